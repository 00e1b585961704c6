"""How a page lies before a camera, and what light and camera make of it.

A View says where each point of the flat page lands in the picture, and back. Light, blur, noise and
compression move nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

NOISE_TILE_PX = 1024


@dataclass(frozen=True)
class Wave:
    """A bend of the paper: a shift by amplitude * sin(2 pi * place / length + phase), in pixels."""

    amplitude: float = 0.0
    length: float = 1.0
    phase: float = 0.0

    def __call__(self, place: np.ndarray) -> np.ndarray:
        return self.amplitude * np.sin(2 * np.pi * place / self.length + self.phase)


@dataclass(frozen=True, eq=False)
class View:
    """From the flat page to the picture: bent up and down along x, then sideways along y, then
    seen in perspective. Each step can be undone exactly.

    matrix: (3, 3), from bent page to picture. height, width: of the picture, pixels."""

    matrix: np.ndarray
    height: int
    width: int
    rise: Wave = Wave()
    sway: Wave = Wave()

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points of the flat page (N, 2) -> points of the picture (N, 2)."""
        x, y = points[:, 0], points[:, 1]
        y = y + self.rise(x)
        x = x + self.sway(y)
        return _project(self.matrix, x, y)

    def invert(self, points: np.ndarray) -> np.ndarray:
        """Points of the picture (N, 2) -> points of the flat page (N, 2)."""
        x, y = _project(np.linalg.inv(self.matrix), points[:, 0], points[:, 1]).T
        x = x - self.sway(y)
        return np.column_stack([x, y - self.rise(x)])

    def scale_at(self, x: float, y: float) -> float:
        """Pixels of the picture per unit of the page, around a point of the page."""
        corners = np.array([[x, y], [x + 1.0, y], [x, y + 1.0]])
        origin, right, down = self.apply(corners)
        a, b = right - origin, down - origin
        return float(np.sqrt(abs(a[0] * b[1] - a[1] * b[0])))


def _project(matrix: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    homogeneous = np.stack([x, y, np.ones_like(x)], axis=1) @ matrix.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def flat_view(page_height: float, page_width: float) -> View:
    """The page as it is: a scan, or a drawing."""
    return View(np.eye(3), round(page_height), round(page_width))


def random_view(
    rng: np.random.Generator, page_height: float, page_width: float, long_side: int
) -> View:
    """A hand-held photo of a page, upright, some of it cut off or some desk around it.

    Args: page_height, page_width in its own units; long_side of the picture, pixels."""
    aspect = page_height / page_width * np.exp(rng.uniform(-0.25, 0.25))
    if rng.random() < 0.1:
        aspect = 1 / aspect
    height = long_side if aspect >= 1 else max(64, round(long_side * aspect))
    width = long_side if aspect < 1 else max(64, round(long_side / aspect))
    fill = rng.choice([rng.uniform(0.6, 0.98), rng.uniform(0.95, 1.25)])
    zoom = fill * min(height / page_height, width / page_width)
    middle = np.array([page_width, page_height]) / 2
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [page_width, page_height]
    turn = np.radians(np.clip(rng.normal(0, 2.0) * rng.choice([1, 1, 3]), -12, 12))
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    seen = (corners - middle) @ spin.T * zoom
    seen += rng.normal(0, 0.012, (4, 2)).clip(-0.03, 0.03) * [width, height]
    tilt = np.clip(rng.normal(0, 0.035), -0.09, 0.09)  # the far edge looks shorter
    seen[:, 0] *= 1 + tilt * np.sign(seen[:, 1])
    slack = np.maximum(np.abs([width, height] - np.ptp(seen, axis=0)) / 2, 0.01 * width)
    seen += np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * slack * 0.9
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32))
    bend = 0.004 * page_width * (rng.random() < 0.6)
    return View(
        matrix.astype(np.float64),
        height,
        width,
        rise=_random_wave(rng, 2 * bend, page_width),
        sway=_random_wave(rng, bend, page_height),
    )


def _random_wave(rng: np.random.Generator, spread: float, length: float) -> Wave:
    amplitude = float(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread))
    return Wave(amplitude, length * rng.uniform(0.8, 2.5), rng.uniform(0, 2 * np.pi))


# --- Light and camera --------------------------------------------------------------------------


def light(rng: np.random.Generator, height: int, width: int, strength: float) -> np.ndarray:
    """What is left of the light, (H, W) uint8: a gradient, and often a soft shadow.

    Args: strength 0 to 1 of the darkest place's loss."""
    small = (max(4, height // 16), max(4, width // 16))
    y, x = np.mgrid[-1 : 1 : small[0] * 1j, -1 : 1 : small[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * x + np.sin(angle) * y
    field = 1 - strength * rng.uniform(0.1, 0.6) * (slope / 2.83 + 0.5)
    field -= strength * rng.uniform(0, 0.3) * ((x**2 + y**2) / 2)  # lenses are darker at the rim
    for _ in range(int(rng.integers(0, 3))):
        field *= _shadow(rng, small, strength)
    small_light = (255 * np.clip(field, 0.12, 1)).astype(np.uint8)
    return cv2.resize(small_light, (width, height), interpolation=cv2.INTER_LINEAR)


def _shadow(rng: np.random.Generator, shape: tuple[int, int], strength: float) -> np.ndarray:
    """A hand's, a head's or a phone's: a soft polygon that leaves 1 - strength of the light."""
    height, width = shape
    centre = rng.uniform(-0.2, 1.2, 2) * [width, height]
    angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
    radius = rng.uniform(0.25, 0.9, 7) * max(shape)
    corners = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [corners.astype(np.int32)], 1.0)
    sigma = np.exp(rng.uniform(np.log(0.008), np.log(0.12))) * max(shape)
    return 1 - strength * rng.uniform(0.2, 0.7) * cv2.GaussianBlur(mask, (0, 0), max(0.5, sigma))


def dim(picture: np.ndarray, field: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 under a light (H, W) uint8."""
    return cv2.multiply(picture, cv2.merge([field] * 3), scale=1 / 255)


def expose(rng: np.random.Generator, picture: np.ndarray, strength: float) -> np.ndarray:
    """Blur of lens and hand, colour cast, contrast, noise and compression of a phone."""
    if rng.random() < 0.6:
        picture = _blur(rng, picture, strength)
    tables = _tone(rng, strength)
    picture = cv2.LUT(picture, tables)
    if rng.random() < 0.7:
        picture = _noise(rng, picture, rng.uniform(0.5, 7.0) * strength)
    if rng.random() < 0.7:
        quality = int(rng.uniform(35, 95))
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return picture


def _blur(rng: np.random.Generator, picture: np.ndarray, strength: float) -> np.ndarray:
    kind = rng.random()
    if kind < 0.7:
        return cv2.GaussianBlur(picture, (0, 0), 0.3 + strength * rng.uniform(0.1, 0.9))
    if kind < 0.85:  # a phone's sharpening
        soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
        amount = rng.uniform(0.3, 1.2)
        return cv2.addWeighted(picture, 1 + amount, soft, -amount, 0)
    length = int(rng.integers(2, 5))
    kernel = np.zeros((2 * length + 1,) * 2, np.float32)
    angle = rng.uniform(0, np.pi)
    tip = np.array([np.cos(angle), np.sin(angle)]) * length * 0.5
    start, end = (length - tip).round().astype(int), (length + tip).round().astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def _tone(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Lookup tables (1, 256, 3): brightness, contrast, gamma and colour cast."""
    values = np.linspace(0, 1, 256)
    gamma = np.exp(rng.normal(0, 0.2 * strength))
    gain = rng.uniform(1 - 0.35 * strength, 1.05)
    lift = rng.uniform(0, 0.12 * strength)
    cast = np.exp(rng.normal(0, 0.05 * strength, 3))
    curves = [lift + (1 - lift) * gain * channel * values**gamma for channel in cast]
    return (255 * np.clip(np.stack(curves, axis=1), 0, 1)).astype(np.uint8)[None]


def _noise(rng: np.random.Generator, picture: np.ndarray, sigma: float) -> np.ndarray:
    height, width = picture.shape[:2]
    noise = np.roll(_noise_tile(), tuple(rng.integers(0, NOISE_TILE_PX, 2)), axis=(0, 1))
    repeats = (-(-height // NOISE_TILE_PX), -(-width // NOISE_TILE_PX))
    if repeats != (1, 1):
        noise = np.tile(noise, repeats)
    noise = noise[:height, :width]
    if rng.random() < 0.4:  # phones smooth their noise
        noise = cv2.GaussianBlur(noise, (0, 0), 0.8) * 1.7
    grains = cv2.merge([noise * np.float32(sigma)] * 3)
    return cv2.add(picture, grains, dtype=cv2.CV_8U)


@cache
def _noise_tile() -> np.ndarray:
    """Drawing fresh noise for every page would take longer than all the rest."""
    shape = (NOISE_TILE_PX, NOISE_TILE_PX)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
