"""Finding the expressions of a page.

detector = Detector.from_pretrained("folder")
for found in detector.detect("page.jpg"):
    print(found.box, found.score)
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.ops import batched_nms

from latexocr.detection_model import DetectorConfig, build_detector, share_inside
from latexocr.errors import ModelError
from latexocr.paper import is_light_on_dark, limited, paper_light
from latexocr.pictures import Source, load_picture

__all__ = ["Detection", "Detector", "DetectorConfig", "build_detector", "page_pixels"]

CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"
MODEL_TYPE = "latexocr-detector"
STEP = ".int8_step"  # what the name of a weight in eight bits has added, for the size of its steps
MIN_SIDE_PX = 32  # a narrower picture is padded: the network needs at least one cell
CONTAINED_SHARE = 0.85  # of two boxes, one so far in the other, the less likely one is wrong

_SHEET_LIGHT = 0.5  # of the brightest light: what is darker is a desk, if no deep shadow
_SHEET_MIN = 0.02  # of the picture


@dataclass(frozen=True)
class Detection:
    """An expression on a page. box: x0, y0, x1, y1 in pixels of the upright picture, ends excluded;
    score: 0 to 1, how sure it is."""

    box: tuple[float, float, float, float]
    score: float


class Detector:
    """A trained network and all that it takes to use it."""

    def __init__(
        self, model: GeneralizedRCNN, config: DetectorConfig, device: str | None = None
    ) -> None:
        """Args: device as torch names it, a GPU by default if there is one."""
        self.config = config
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().to(self.device)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str | None = None) -> Detector:
        """Load a folder that save_pretrained wrote.

        Raises: ModelError if there is no detector there, or a broken one."""
        from safetensors.torch import load_file

        folder = Path(folder)
        config = _read_config(folder / CONFIG_NAME)
        model = build_detector(config)
        try:
            model.load_state_dict(_as_float(load_file(folder / WEIGHTS_NAME)))
        except (OSError, SafetensorError, RuntimeError, KeyError) as error:
            raise ModelError(f"{folder}: expected a detector's weights, got {error}") from error
        return cls(model, config, device)

    def save_pretrained(self, folder: str | Path, int8: bool = False) -> None:
        """Write weights as float16 and the config, so that from_pretrained reads them.

        Args: int8, matrices and kernels in eight bits, half the size for 0.1 points of F1; to learn
            on from, float16 is better."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.cpu() for name, value in self.model.state_dict().items()}
        weights = _as_int8(state) if int8 else state
        written = {
            name: (value.half() if value.is_floating_point() else value).contiguous()
            for name, value in weights.items()
        }
        save_file(written, folder / WEIGHTS_NAME, metadata={"format": "pt"})
        settings = {"model_type": MODEL_TYPE} | dataclasses.asdict(self.config)
        (folder / CONFIG_NAME).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def detect(
        self, picture: Source, long_side: int | None = None, score_min: float | None = None
    ) -> list[Detection]:
        """Expressions of a page, the surest first. A blank page has none.

        Args: picture, anything that pictures.load_picture takes; long_side in pixels, to which the
            longest side is brought before looking; None for the config's, to which it is only ever
            reduced; score_min, None for the config's.
        Raises: ImageError if the picture cannot be decoded."""
        page = load_picture(picture)
        is_larger = long_side is not None and long_side > max(page.size)
        seen = _enlarged(page, long_side) if is_larger else page
        pixels = page_pixels(seen, self.config.input, long_side or self.config.long_side)
        boxes, scores = self.find(pixels)
        wanted = scores >= (self.config.score_min if score_min is None else score_min)
        boxes, scores = merge_duplicates(boxes[wanted], scores[wanted], self.config.overlap_max)
        # To pixels of the page; rounding made the two factors differ a little.
        factors = torch.tensor([page.width / pixels.shape[1], page.height / pixels.shape[0]])
        limits = torch.tensor([page.width, page.height])
        places = torch.minimum((boxes * factors.repeat(2)).clamp_min(0), limits.repeat(2))
        return [
            Detection(tuple(box), score)
            for box, score in zip(places.tolist(), scores.tolist(), strict=True)
        ]

    @torch.inference_mode()
    def find(self, pixels: np.ndarray) -> tuple[Tensor, Tensor]:
        """The network's raw answer: boxes (N, 4) in pixels of what it looked at, scores (N,).

        Args: pixels as page_pixels gives them."""
        height, width = pixels.shape[:2]
        missing = [max(0, MIN_SIDE_PX - height), max(0, MIN_SIDE_PX - width)]
        if any(missing):
            pixels = cv2.copyMakeBorder(pixels, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
        (found,) = self.model([as_tensor(pixels).to(self.device)])
        limits = torch.tensor([width, height, width, height], dtype=torch.float32)
        boxes = torch.minimum(found["boxes"].float().cpu(), limits)
        is_on_page = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)  # others lie in the padding
        return boxes[is_on_page], found["scores"].float().cpu()[is_on_page]


def _as_int8(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with whole numbers from -127 to 127 in place of matrices and kernels, and beside each
    the values of its steps, one for each output channel."""
    weights: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.ndim < 2:
            weights[name] = value
            continue
        # Rounded as it is written, so that the whole numbers belong to it; never 0.
        step = (value.flatten(1).abs().amax(dim=1) / 127).clamp_min(1e-6).half().float()
        steps = step.view(-1, *[1] * (value.ndim - 1))
        weights[name] = (value / steps).round().clamp(-127, 127).to(torch.int8)
        weights[name + STEP] = step
    return weights


def _as_float(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of a file, whatever save_pretrained wrote it as."""
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.dtype == torch.int8:
            step = weights[name + STEP].float()
            state[name] = value * step.view(-1, *[1] * (value.ndim - 1))
        elif not name.endswith(STEP):
            state[name] = value.float() if value.is_floating_point() else value
    return state


def _read_config(path: Path) -> DetectorConfig:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if settings.pop("model_type", None) != MODEL_TYPE:
            raise ValueError(f"its model_type is not {MODEL_TYPE}")
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        return DetectorConfig(**lists)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: expected a detector's config, got {error}") from error


def as_tensor(pixels: np.ndarray) -> Tensor:
    """(H, W) or (H, W, 3) uint8 -> (C, H, W) float32 from 0 to 1."""
    tensor = torch.tensor(pixels).float().div_(255)  # a copy: PIL lends its pixels to read
    return tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)


# --- Looking at a page -------------------------------------------------------------------------


def page_pixels(page: Image.Image | np.ndarray, kind: str, long_side: int) -> np.ndarray:
    """A page as the network looks at it, in training and in serving.

    Args: page, RGB; kind, as DetectorConfig.input; long_side, the longest side is reduced to it and
        never enlarged, pixels.
    Returns: (H, W) uint8, 0 = paper, for ink, or (H, W, 3) uint8 for rgb."""
    rgb = limited(np.asarray(page), long_side)
    return even_light(rgb) if kind == "ink" else rgb


def _enlarged(page: Image.Image, long_side: int) -> Image.Image:
    factor = long_side / max(page.size)
    size = [max(1, round(side * factor)) for side in page.size]
    return page.resize((size[0], size[1]), Image.Resampling.BICUBIC)


def even_light(rgb: np.ndarray) -> np.ndarray:
    """How much of the paper's light each place takes: shadow, paper and chalk do not matter.

    Unlike imaging.ink_map it decides nothing: ruling, table and dirt stay, faint ink too, for the
    network to judge. (H, W, 3) uint8 -> (H, W) uint8, 0 = paper, 255 = the page's darkest ink."""
    if is_light_on_dark(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)):
        rgb = 255 - rgb
    # The darkest channel sees ink of any colour; grey would lose half of red.
    darkest = cv2.min(cv2.min(rgb[..., 0], rgb[..., 1]), rgb[..., 2])
    level = paper_light(darkest)
    taken = 1 - cv2.divide(darkest, cv2.max(level, 1), dtype=cv2.CV_32F)
    strongest = _strongest(taken[::2, ::2], level[::2, ::2]) if taken.size else 1.0
    return cv2.convertScaleAbs(np.maximum(taken, 0), alpha=255 / float(np.clip(strongest, 0.1, 1)))


def _strongest(taken: np.ndarray, level: np.ndarray) -> float:
    """How much of the light, level, the page's strong ink takes. What is taken on a dark desk and
    at the sheet's rim says nothing about ink."""
    bright = (level > _SHEET_LIGHT * np.percentile(level[::2, ::2], 95)).astype(np.uint8)
    rim = max(level.shape) // 24 * 2 + 1
    on_sheet = taken[cv2.erode(bright, np.ones((rim, rim), np.uint8)) > 0]
    # Of so small a sheet nothing could be read; a picture of no sheet at all counts as one.
    return float(np.quantile(on_sheet if on_sheet.size > _SHEET_MIN * taken.size else taken, 0.995))


def merge_duplicates(boxes: Tensor, scores: Tensor, overlap_max: float) -> tuple[Tensor, Tensor]:
    """Without boxes that overlap a likelier one, lie in it or hold it; the likeliest first.

    Args: boxes (N, 4), scores (N,)."""
    keep = batched_nms(boxes, scores, torch.zeros(len(boxes), dtype=torch.int64), overlap_max)
    boxes, scores = boxes[keep], scores[keep]
    inside = share_inside(boxes, boxes)
    is_same = torch.maximum(inside, inside.T) > CONTAINED_SHARE
    kept: list[int] = []
    for i in range(len(boxes)):
        # What is not kept itself takes nothing away: it may hold several that are likely.
        if not is_same[i, kept].any():
            kept.append(i)
    return boxes[kept], scores[kept]
