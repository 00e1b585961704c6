"""Print made to look less like print: pictures of rendered formulas, altered as they are drawn.

    altered = alter(load_picture(data), PictureAugment(), rng_for(seed, epoch, index))
    altered.pixels                        # (H, W, 3) uint8
    altered.standard(symbol_px=20)        # the ink map that our recogniser reads

The transforms and the strengths of the first two are those of the article's pretraining. Each has
its own switch, `share`, and its own random numbers: turning one off leaves the others as they were.

Look:  python -m trainer.data.augment im2latex_train.tar.gz --sheet sheet.png
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from latexocr.errors import DataError
from latexocr.imaging import find_frame, ink_map, standardize, symbol_size
from latexocr.pictures import load_picture
from trainer.data.examples import load_examples
from trainer.data.strokes import rng_for

INK_FROM = 60  # of 255: what is fainter is no ink to rub out or to keep
MARGIN = 0.5  # paper kept round the ink, in symbol sizes
SCALE_SLIP = 1.4  # factor by which a standard picture's scale may be off, both ways
SHEET_COLUMNS = 4
SHEET_CELL_PX = (400, 160)  # width, height; larger pictures are shrunk to fit


@dataclass(frozen=True, eq=False)
class Altered:
    """A picture on its way through the transforms, dark on light.

    pixels: (H, W, 3) uint8. symbol_size: of its symbols, in pixels, as it was before lines were
    drawn among them."""

    pixels: np.ndarray
    symbol_size: float

    def standard(self, symbol_px: float) -> np.ndarray:
        """The picture as imaging.prepare makes it, (h, w) uint8, except that lines of the paper
        that are taken for symbols do not change the scale by more than SCALE_SLIP.

        Raises: ImageError if there is no ink left."""
        ink = ink_map(Image.fromarray(self.pixels))
        frame = find_frame(ink, symbol_px)
        true = symbol_px / (self.symbol_size * ink.shape[0] / self.pixels.shape[0])
        scale = float(np.clip(frame.scale, true / SCALE_SLIP, true * SCALE_SLIP))
        return standardize(ink, symbol_px, replace(frame, scale=scale))


def _check_shares(*shares: float) -> None:
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"a share must be from 0 to 1, got {', '.join(map(str, shares))}")


def _check_order(name: str, low: float, high: float) -> None:
    if not 0 < low <= high:
        raise ValueError(f"expected 0 < {name}_min <= {name}_max, got {low} and {high}")


@dataclass(frozen=True)
class Affine:
    """Turned, slanted and scaled on the sheet, which grows where the formula would leave it."""

    share: float = 1.0  # of the pictures; 0 turns it off
    rotate_deg: float = 5.0  # up to so much, both ways
    shear_deg: float = 30.0  # slant, up to so much, both ways
    scale_min: float = 0.7  # log-uniform between the two
    scale_max: float = 1.1

    def __post_init__(self) -> None:
        _check_shares(self.share)
        _check_order("scale", self.scale_min, self.scale_max)

    def apply(self, drawn: Altered, rng: np.random.Generator) -> Altered:
        picture = drawn.pixels
        turn = np.radians(rng.uniform(-self.rotate_deg, self.rotate_deg))
        slant = np.tan(np.radians(rng.uniform(-self.shear_deg, self.shear_deg)))
        scale = _log_uniform(rng, self.scale_min, self.scale_max)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        matrix = scale * spin @ np.array([[1.0, slant], [0.0, 1.0]])
        height, width = picture.shape[:2]
        corners = np.array(
            [[x, y] for x in (-width / 2, width / 2) for y in (-height / 2, height / 2)]
        )
        extent = 2 * np.abs(corners @ matrix.T).max(axis=0)
        # Never a smaller sheet: a formula drawn smaller has more paper round it.
        new_width, new_height = np.ceil(np.maximum(extent, [width, height])).astype(int).tolist()
        shift = np.array([new_width, new_height]) / 2 - matrix @ [width / 2, height / 2]
        moved = cv2.warpAffine(
            picture,
            np.column_stack([matrix, shift]),
            (new_width, new_height),
            flags=cv2.INTER_CUBIC,
            borderValue=paper(picture),
        )
        return Altered(moved, drawn.symbol_size * scale)


@dataclass(frozen=True)
class Jitter:
    """Colour jitter. Factors are uniform from 1 - strength to 1 + strength."""

    share: float = 1.0  # of the pictures; 0 turns it off
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.1  # of a full turn of the colour wheel, both ways

    def __post_init__(self) -> None:
        _check_shares(self.share, self.brightness, self.contrast, self.saturation, self.hue)

    def apply(self, drawn: Altered, rng: np.random.Generator) -> Altered:
        strengths = np.array([self.brightness, self.contrast, self.saturation])
        brightness, contrast, saturation = 1 + rng.uniform(-1, 1, 3) * strengths
        turn = rng.uniform(-self.hue, self.hue)
        values = np.clip(drawn.pixels * brightness / 255, 0, 1)
        values = np.clip(values.mean() + contrast * (values - values.mean()), 0, 1)
        grey = cv2.cvtColor(values.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., None]
        values = np.clip(grey + saturation * (values - grey), 0, 1)
        hsv = cv2.cvtColor(values.astype(np.float32), cv2.COLOR_RGB2HSV)  # hue in degrees
        hsv[..., 0] = (hsv[..., 0] + 360 * turn) % 360
        coloured = np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)
        return replace(drawn, pixels=coloured)


@dataclass(frozen=True)
class Rules:
    """Occlusion by the lines of ruled paper, or of squared paper. Lengths in symbol sizes."""

    share: float = 0.5  # of the pictures; 0 turns it off
    squared: float = 0.25  # share of these that have upright lines too
    gap_min: float = 1.0  # from line to line, log-uniform between the two
    gap_max: float = 4.0
    width_max: float = 0.12  # of a line; it is at least a pixel wide
    darkness_min: float = 0.15  # of a line, 1 is black
    darkness_max: float = 0.8
    tilt_deg: float = 2.0  # up to so much, both ways

    def __post_init__(self) -> None:
        _check_shares(self.share, self.squared, self.darkness_min, self.darkness_max)
        _check_order("gap", self.gap_min, self.gap_max)
        _check_order("darkness", self.darkness_min, self.darkness_max)

    def apply(self, drawn: Altered, rng: np.random.Generator) -> Altered:
        size = drawn.symbol_size
        height, width = drawn.pixels.shape[:2]
        gap = max(3.0, size * _log_uniform(rng, self.gap_min, self.gap_max))
        thickness = max(1, round(size * rng.uniform(0, self.width_max)))
        slope = np.tan(np.radians(rng.uniform(-self.tilt_deg, self.tilt_deg)))
        lines = np.zeros((height, width), np.uint8)
        for y in np.arange(rng.uniform(0, gap) - abs(slope) * width, height + gap, gap):
            _line(lines, (0, y), (width, y + slope * width), thickness)
        if rng.random() < self.squared:
            for x in np.arange(rng.uniform(0, gap) - abs(slope) * height, width + gap, gap):
                _line(lines, (x, 0), (x - slope * height, height), thickness)
        darkness = rng.uniform(self.darkness_min, self.darkness_max)
        colour = 255 * (1 - darkness * rng.uniform(0.4, 1.0, 3))
        share = (lines / 255.0)[..., None]
        # The darker of both: ink shows through a line of the paper.
        ruled = np.minimum(drawn.pixels, np.rint(255 - share * (255 - colour))).astype(np.uint8)
        return replace(drawn, pixels=ruled)


@dataclass(frozen=True)
class Patches:
    """Occlusion by patches that are rubbed out of the ink. Lengths in symbol sizes."""

    share: float = 0.5  # of the pictures; 0 turns it off
    most: int = 4  # patches in a picture; at least one
    side_min: float = 0.1  # of a patch, log-uniform between the two, height and width each
    side_max: float = 0.4  # larger ones leave symbols that nobody could read

    def __post_init__(self) -> None:
        _check_shares(self.share)
        _check_order("side", self.side_min, self.side_max)
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")

    def apply(self, drawn: Altered, rng: np.random.Generator) -> Altered:
        size, rubbed = drawn.symbol_size, drawn.pixels.copy()
        rows, columns = np.nonzero(ink_of(rubbed) > INK_FROM)
        for _ in range(int(rng.integers(1, self.most + 1)) if len(rows) else 0):
            place = int(rng.integers(len(rows)))
            sides = [size * _log_uniform(rng, self.side_min, self.side_max) for _ in range(2)]
            middle = (float(columns[place]), float(rows[place]))
            corners = cv2.boxPoints((middle, sides, float(rng.uniform(0, 180))))
            cv2.fillConvexPoly(rubbed, np.rint(corners).astype(np.int32), paper(rubbed))
        return replace(drawn, pixels=rubbed)


@dataclass(frozen=True)
class Camera:
    """Few pixels, a soft lens, noise and JPEG, as in photos of screens and paper, and old scans."""

    share: float = 0.0  # of the pictures; 0 turns it off
    symbol_min: float = 9.0  # size of the symbols in pixels, log-uniform between the two;
    symbol_max: float = 30.0  # smaller ones stay as they are
    blur_max: float = 0.07  # standard deviation, in symbol sizes
    noise_max: float = 12.0  # standard deviation, of 255
    quality_min: int = 25  # of the JPEG, up to 95

    def __post_init__(self) -> None:
        _check_shares(self.share)
        _check_order("symbol", self.symbol_min, self.symbol_max)

    def apply(self, drawn: Altered, rng: np.random.Generator) -> Altered:
        wanted = _log_uniform(rng, self.symbol_min, self.symbol_max)
        factor = min(1.0, wanted / drawn.symbol_size)
        pixels = cv2.resize(drawn.pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        size = drawn.symbol_size * factor
        blur = size * rng.uniform(0, self.blur_max)
        if blur > 0.3:  # of a pixel: less does nothing
            pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
        noise = rng.normal(0, rng.uniform(0, self.noise_max), pixels.shape[:2])[..., None]
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
        quality = int(rng.integers(self.quality_min, 96))
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return Altered(cv2.imdecode(encoded, cv2.IMREAD_COLOR), size)


@dataclass(frozen=True)
class PictureAugment:
    """What happens to a picture, in this order."""

    patches: Patches = field(default_factory=Patches)
    affine: Affine = field(default_factory=Affine)
    rules: Rules = field(default_factory=Rules)  # on the paper, hence not slanted with the ink
    jitter: Jitter = field(default_factory=Jitter)
    camera: Camera = field(default_factory=Camera)  # not among the article's


def alter(picture: Image.Image, augment: PictureAugment, rng: np.random.Generator) -> Altered:
    """A picture as the transforms leave it, not always of the same size: the same for the same rng.

    Args: picture in RGB, as load_picture gives it, dark on light."""
    altered = _cropped(np.asarray(picture.convert("RGB")))
    transforms = [getattr(augment, each.name) for each in fields(augment)]
    for transform, own_rng in zip(transforms, rng.spawn(len(transforms)), strict=True):
        if own_rng.random() < transform.share:
            altered = transform.apply(altered, own_rng)
    return altered


def _cropped(pixels: np.ndarray) -> Altered:
    """A picture without most of its margin: lines drawn there would only make it larger."""
    ink = ink_of(pixels)
    left, top, width, height = cv2.boundingRect(cv2.inRange(ink, INK_FROM, 255))
    if not width:
        return Altered(pixels, pixels.shape[0] / 4)
    size = symbol_size(ink)
    margin = math.ceil(MARGIN * size)
    rows = slice(max(0, top - margin), top + height + margin)
    return Altered(pixels[rows, max(0, left - margin) : left + width + margin], size)


def paper(picture: np.ndarray) -> list[float]:
    """The paper's colour: the median of the picture's rim. (H, W, 3) uint8 -> 3 values."""
    rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return np.median(rim, axis=0).tolist()


def ink_of(picture: np.ndarray) -> np.ndarray:
    """About how much darker than the paper each pixel is. (H, W, 3) uint8 -> (H, W) uint8."""
    darkest = picture.min(axis=2).astype(np.float32)
    return np.clip(min(paper(picture)) - darkest, 0, 255).astype(np.uint8)


def _line(
    canvas: np.ndarray, start: tuple[float, float], end: tuple[float, float], thickness: int
) -> None:
    points = [tuple(round(16 * value) for value in point) for point in (start, end)]
    cv2.line(canvas, *points, 255, thickness, cv2.LINE_AA, 4)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


# --- Contact sheets --------------------------------------------------------------------------


def sheet(pictures: Sequence[Image.Image], augment: PictureAugment, seed: int = 0) -> np.ndarray:
    """Altered pictures in a grid, (H, W, 3) uint8."""
    cells = [
        _cell(alter(picture, augment, rng_for(seed, 0, index)).pixels)
        for index, picture in enumerate(pictures)
    ]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % SHEET_COLUMNS)
    rows = [np.hstack(cells[i : i + SHEET_COLUMNS]) for i in range(0, len(cells), SHEET_COLUMNS)]
    return np.vstack(rows)


def _cell(picture: np.ndarray) -> np.ndarray:
    width, height = SHEET_CELL_PX
    cell = np.full((height, width, 3), 255, np.uint8)
    shrink = min(1.0, (width - 10) / picture.shape[1], (height - 10) / picture.shape[0])
    small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    cell[5 : 5 + small.shape[0], 5 : 5 + small.shape[1]] = small
    return cell


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Contact sheet of altered pictures.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("source", help="pictures as load_examples reads them")
    parser.add_argument("--sheet", type=Path, required=True, help="PNG to write")
    parser.add_argument("--count", type=int, default=48, help="number of formulas")
    parser.add_argument("--seed", type=int, default=0, help="of the choice and the transforms")
    args = parser.parse_args(argv)
    examples = load_examples(args.source)
    chosen = rng_for(args.seed, 0, 0).permutation(len(examples))[: args.count]
    pictures = [load_picture(examples[i].picture()) for i in chosen]
    drawn = sheet(pictures, PictureAugment(), args.seed)
    args.sheet.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.sheet), drawn[..., ::-1]):
        raise DataError(f"expected a place to write a PNG, got {args.sheet}")
    print(f"{args.sheet}: {len(pictures)} of {len(examples)} pictures")


if __name__ == "__main__":
    main()
