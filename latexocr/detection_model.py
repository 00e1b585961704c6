"""The network that finds expressions on a page: Faster R-CNN with a small pyramid, in torchvision.

Source: Ren et al. 2015, arXiv:1506.01497; Lin et al. 2017, arXiv:1612.03144 (pyramid). What differs
from torchvision's own builders:

- anchors are given by their height and width, since lines of mathematics are wide and flat, and a
  line's level in the pyramid follows from its height;
- regions to be ignored are left out of both losses;
- the picture is not rescaled inside: who calls it decides at which size the page is looked at;
- what was found is looked at once more from where it was found, which moves its sides nearer to
  its ends;
- heads work in float32 even under autocast: bfloat16 would round places to 4 pixels.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, clip_boxes_to_image

from latexocr.rescoring import FEATURES

N_CLASSES = 2  # background, expression
IGNORED_SHARE = 0.5  # of a candidate that lies in a region to be ignored
STRIDES = (8, 16, 32)
RESNET_STRIDES = (4, 8, 16, 32)
# With fewer channels the backward pass of a 1x1 convolution of stride 2, channels last, writes
# where it must not: oneDNN in torch 2.14 on CPUs with AVX-512.
MIN_WIDTH = 16
MAX_SIZE = 4096  # of any length or number in a config
SIZES = (
    *("widths", "blocks", "anchor_heights", "pyramid", "head"),
    *("roi_height", "roi_width", "long_side"),
)

Losses = dict[str, Tensor]
Found = dict[str, Tensor]


@dataclass(frozen=True)
class DetectorConfig:
    """The detector's shape, and how it looks at a page."""

    backbone: str = "small"  # small, or resnet50_fpn_v2: torchvision's, for those with a GPU
    input: str = "ink"  # ink: light and polarity evened out, one channel; rgb: the picture as it is
    long_side: int = 1280  # pixels, to which the longest side of a page is reduced
    widths: tuple[int, ...] = (16, 32, 64, 112, 176)  # channels at strides 2, 4, 8, 16 and 32
    blocks: tuple[int, ...] = (1, 2, 3, 2)  # residual blocks at strides 4, 8, 16 and 32
    pyramid: int = 80  # channels
    head: int = 160  # width of the box head
    anchor_heights: tuple[int, ...] = (11, 18, 30, 48, 80, 150)  # pixels, two for each stride
    anchor_ratios: tuple[float, ...] = (0.8, 2.0, 4.5, 10.0, 22.0)  # width over height
    roi_height: int = 5  # cells of what the box head sees of a candidate
    roi_width: int = 13
    score_min: float = 0.5  # what is less likely an expression is not reported
    overlap_max: float = 0.4  # intersection over union at which the less likely of two boxes goes
    # Curve by which what is read in a box decides (rescoring.py); without weights score_min does.
    rescore_weights: tuple[float, ...] = ()
    rescore_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.backbone not in ("small", "resnet50_fpn_v2"):
            raise ValueError(f"backbone must be small or resnet50_fpn_v2, got {self.backbone!r}")
        if self.input not in ("ink", "rgb"):
            raise ValueError(f"input must be ink or rgb, got {self.input!r}")
        if len(self.widths) != 5 or len(self.blocks) != 4 or len(self.anchor_heights) != 6:
            raise ValueError(
                "expected 5 widths, 4 blocks and 6 anchor_heights, "
                f"got {self.widths}, {self.blocks} and {self.anchor_heights}"
            )
        if min(self.widths) < MIN_WIDTH:
            raise ValueError(f"widths must be at least {MIN_WIDTH} channels, got {self.widths}")
        if self.long_side < 64:
            raise ValueError(f"long_side must be at least 64, got {self.long_side}")
        self._check_sizes()

    def _check_sizes(self) -> None:
        """A config comes with weights from anywhere: it must not ask for gigabytes."""
        for name in SIZES:
            value = getattr(self, name)
            sizes = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(size, int) and 1 <= size <= MAX_SIZE for size in sizes):
                raise ValueError(
                    f"{name}: expected whole numbers from 1 to {MAX_SIZE}, got {value}"
                )
        if not self.anchor_ratios or not all(0 < ratio < MAX_SIZE for ratio in self.anchor_ratios):
            raise ValueError(f"expected anchor_ratios above 0, got {self.anchor_ratios}")
        if not (0 <= self.score_min <= 1 and 0 < self.overlap_max <= 1):
            raise ValueError(
                "score_min and overlap_max must be from 0 to 1, "
                f"got {self.score_min} and {self.overlap_max}"
            )
        if self.rescore_weights and len(self.rescore_weights) != len(FEATURES):
            raise ValueError(
                f"expected {len(FEATURES)} rescore_weights or none, got {self.rescore_weights}"
            )
        if not all(map(math.isfinite, (*self.rescore_weights, self.rescore_offset))):
            raise ValueError(
                "rescore_weights and rescore_offset must be finite, "
                f"got {self.rescore_weights} and {self.rescore_offset}"
            )

    @property
    def n_channels(self) -> int:
        return 1 if self.input == "ink" else 3


def build_detector(config: DetectorConfig) -> GeneralizedRCNN:
    """A detector with random weights.

    Takes a list of (C, H, W) float32 pictures from 0 to 1, C = config.n_channels, and in training
    targets: boxes (N, 4), labels (N,) int64 of ones, and for the small one also ignore (M, 4).
    Returns: in training a dictionary of losses, otherwise for each picture boxes, labels, scores.
    """
    if config.backbone == "small":
        return _small_detector(config)
    model = fasterrcnn_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=N_CLASSES, **_thresholds(config)
    )
    model.transform = AsItIs(config.n_channels)
    _set_strides(model.roi_heads.box_roi_pool, RESNET_STRIDES)
    if config.n_channels == 1:
        old = model.backbone.body.conv1
        model.backbone.body.conv1 = nn.Conv2d(1, old.out_channels, 7, 2, 3, bias=False)
    return model


def _thresholds(config: DetectorConfig) -> dict[str, float | int]:
    return {
        "box_score_thresh": 0.05,
        "box_nms_thresh": config.overlap_max,
        "box_detections_per_img": 200,
    }


def _small_detector(config: DetectorConfig) -> GeneralizedRCNN:
    backbone = SmallPyramid(config)
    anchors = LineAnchors(config.anchor_heights, config.anchor_ratios)
    rpn = IgnoringProposals(
        anchors,
        FloatRPNHead(config.pyramid, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.6,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 1000, "testing": 600},
        post_nms_top_n={"training": 600, "testing": 300},
        nms_thresh=0.7,
    )
    pool = MultiScaleRoIAlign(
        [str(stride) for stride in STRIDES], (config.roi_height, config.roi_width), 2
    )
    _set_strides(pool, STRIDES)
    limits = _thresholds(config)
    heads = IgnoringHeads(
        pool,
        TwoMLPHead(config.pyramid * config.roi_height * config.roi_width, config.head),
        FloatPredictor(config.head, N_CLASSES),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=128,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=limits["box_score_thresh"],
        nms_thresh=limits["box_nms_thresh"],
        detections_per_img=limits["box_detections_per_img"],
    )
    return GeneralizedRCNN(backbone, rpn, heads, AsItIs(config.n_channels))


def _set_strides(pool: MultiScaleRoIAlign, strides: Sequence[int]) -> None:
    """Show it a picture that needs no padding: it reckons its strides from the first one that it
    sees, for good, and those of a low one that was padded come out wrong."""
    side = 8 * strides[-1]
    features = {
        name: torch.zeros(1, 1, side // stride, side // stride)
        for name, stride in zip(pool.featmap_names, strides, strict=True)
    }
    pool(features, [torch.zeros(1, 4)], [(side, side)])


class AsItIs(GeneralizedRCNNTransform):
    """Pads pictures to a batch and does nothing else to them."""

    def __init__(self, n_channels: int) -> None:
        mean, std = [0.0] * n_channels, [1.0] * n_channels
        super().__init__(1, 1, mean, std, size_divisible=STRIDES[-1])

    def resize(self, image: Tensor, target: Found | None = None) -> tuple[Tensor, Found | None]:
        return image, target


# --- Backbone ----------------------------------------------------------------------------------


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut. Source: He et al. 2016, arXiv:1512.03385."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(n_in, n_out, 3, stride), nn.ReLU(inplace=True), *_conv(n_out, n_out, 3, 1)
        )
        changes = stride != 1 or n_in != n_out
        self.shortcut = nn.Sequential(*_conv(n_in, n_out, 1, stride)) if changes else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.body(features) + self.shortcut(features))


def _conv(n_in: int, n_out: int, size: int, stride: int) -> tuple[nn.Module, nn.Module]:
    # Batch statistics, though batches are small: even one page has thousands of places, and at
    # inference the norm melts into the convolution, which a group norm cannot.
    return (
        nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(n_out),
    )


class SmallPyramid(nn.Module):
    """A residual network whose features at strides 8, 16 and 32 are joined from the top down."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem = nn.Sequential(*_conv(config.n_channels, widths[0], 5, 2), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(a if not i else b, b, 1 if i else 2) for i in range(n)))
            for a, b, n in zip(widths[:-1], widths[1:], config.blocks, strict=True)
        )
        self.pyramid = FeaturePyramidNetwork(
            list(widths[2:]), config.pyramid, norm_layer=nn.BatchNorm2d
        )
        self.out_channels = config.pyramid  # torchvision asks for it

    def forward(self, pixels: Tensor) -> OrderedDict[str, Tensor]:
        features = self.stem(pixels)  # (B, C, H, W) -> (B, widths[0], H/2, W/2)
        found: OrderedDict[str, Tensor] = OrderedDict()
        for stride, stage in zip((4, *STRIDES), self.stages, strict=True):
            features = stage(features)
            if stride in STRIDES:
                found[str(stride)] = features
        return self.pyramid(found)  # each (B, pyramid, H/stride, W/stride)


# --- Anchors and heads -------------------------------------------------------------------------


class LineAnchors(AnchorGenerator):
    """Boxes of given heights and of given widths in heights; two heights at each stride."""

    def __init__(self, heights: tuple[int, ...], ratios: tuple[float, ...]) -> None:
        pairs = [tuple(heights[i : i + 2]) for i in range(0, len(heights), 2)]
        super().__init__(tuple(pairs), (tuple(ratios),) * len(pairs))

    def generate_anchors(
        self,
        scales: list[int],
        aspect_ratios: list[float],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """(heights * ratios, 4), around 0; named by the class above."""
        heights = torch.tensor(scales, dtype=dtype, device=device).repeat_interleave(
            len(aspect_ratios)
        )
        widths = heights * torch.tensor(aspect_ratios, dtype=dtype, device=device).repeat(
            len(scales)
        )
        return torch.stack([-widths, -heights, widths, heights], dim=1) / 2


class FloatRPNHead(RPNHead):
    """As torchvision's, with results in float32."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        scores, deltas = super().forward(x)
        return [s.float() for s in scores], [d.float() for d in deltas]


class FloatPredictor(FastRCNNPredictor):
    """As torchvision's, with results in float32."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores, deltas = super().forward(x)
        return scores.float(), deltas.float()


class IgnoringProposals(RegionProposalNetwork):
    """Anchors that lie in a region to be ignored are neither right nor wrong."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[Found]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for label, anchor, target in zip(labels, anchors, targets, strict=True):
            ignored = lies_in(anchor, target.get("ignore"))
            label[ignored & (label == 0)] = -1.0
        return labels, boxes


class IgnoringHeads(RoIHeads):
    """Candidates that lie in a region to be ignored are neither right nor wrong. Boxes that are
    found are moved twice: by the candidate, and by what is seen from where that led.

    Source of the second: Cai and Vasconcelos 2018, arXiv:1712.00726, section 3.1, iterative
    regression; one head for both, and scores stay those of the first."""

    _ignore: list[Tensor | None]

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Found] | None = None,
    ) -> tuple[list[Found], Losses]:
        found, losses = super().forward(features, proposals, image_shapes, targets)
        boxes = [of_picture["boxes"] for of_picture in found]
        if sum(map(len, boxes)):
            seen = self.box_head(self.box_roi_pool(features, boxes, image_shapes))
            _, deltas = self.box_predictor(seen)
            moved = self.box_coder.decode(deltas, boxes)[:, 1]  # of class expression
            parts = moved.split([len(of_picture) for of_picture in boxes])
            for of_picture, part, shape in zip(found, parts, image_shapes, strict=True):
                of_picture["boxes"] = clip_boxes_to_image(part, shape)
        return found, losses

    def select_training_samples(
        self, proposals: list[Tensor], targets: list[Found] | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        # torchvision hands only boxes and labels on to the method below.
        self._ignore = [target.get("ignore") for target in targets or []]
        return super().select_training_samples(proposals, targets)

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        matches, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        for label, proposal, ignore in zip(labels, proposals, self._ignore, strict=True):
            label[lies_in(proposal, ignore) & (label == 0)] = -1
        return matches, labels


def lies_in(boxes: Tensor, regions: Tensor | None) -> Tensor:
    """(N,) bool: is the larger part of each box (N, 4) in one of the regions (M, 4)?"""
    if regions is None or not len(regions):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    return share_inside(boxes, regions).amax(dim=1) > IGNORED_SHARE


def share_inside(boxes: Tensor, regions: Tensor) -> Tensor:
    """(N, M): which share of each box (N, 4) lies in each region (M, 4)."""
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    common = (high - low).clamp_min(0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).clamp_min(1e-6)
    return common / area[:, None]
