"""The detector on a tiny network of random weights: files, odd pages, light, regions to ignore."""

import json
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from latexocr.detection_model import DetectorConfig, build_detector, lies_in
from latexocr.detector import Detector, even_light, merge_duplicates, page_pixels
from latexocr.errors import ModelError
from tests.tiny import TINY_DETECTOR, tiny_detector

PAGE_SHAPE = (160, 240)


def written_page(height: int = PAGE_SHAPE[0], width: int = PAGE_SHAPE[1]) -> np.ndarray:
    """Three lines of zigzag on white, (H, W, 3) uint8."""
    page = np.full((height, width, 3), 255, np.uint8)
    x = np.arange(0.1 * width, 0.9 * width, 0.03 * width)
    for line in (0.2, 0.5, 0.8):
        y = (line + 0.05 * np.where(np.arange(len(x)) % 2, 1, -1)) * height
        points = np.column_stack([x, y]).round().astype(int)
        cv2.polylines(page, [points], False, (20, 20, 40), max(1, height // 80))
    return page


@pytest.mark.parametrize("height", [20, 41, 97])
def test_a_low_picture_that_comes_first_spoils_none_of_those_after_it(height):
    pages = page_pixels(written_page(height), "ink", 1280), page_pixels(written_page(), "ink", 1280)
    first, fresh = tiny_detector(0), tiny_detector(0)
    after_it = [first.find(page) for page in pages]
    boxes, scores = fresh.find(pages[1])
    assert torch.equal(after_it[1][0], boxes) and torch.equal(after_it[1][1], scores)
    boxes, scores = fresh.find(pages[0])
    assert torch.equal(after_it[0][0], boxes) and torch.equal(after_it[0][1], scores)


# --- Files ---------------------------------------------------------------------------------------


def test_saved_and_loaded_it_finds_the_same(tmp_path):
    detector = tiny_detector(0)
    detector.save_pretrained(tmp_path)
    loaded = Detector.from_pretrained(tmp_path, device="cpu")
    assert loaded.config == detector.config
    boxes, scores = detector.find(page_pixels(written_page(), "ink", 1280))
    again, scores_again = loaded.find(page_pixels(written_page(), "ink", 1280))
    assert len(boxes) > 5
    assert torch.equal(boxes, again) and torch.equal(scores, scores_again)


def test_in_eight_bits_it_takes_half_the_room_and_finds_nearly_the_same(tmp_path):
    detector, page = tiny_detector(), written_page()
    for name, int8 in (("half", False), ("int8", True)):
        detector.save_pretrained(tmp_path / name, int8)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("int8", "half")]
    assert sizes[0] < 0.75 * sizes[1]  # the tiny one's names take much of its file
    loaded = Detector.from_pretrained(tmp_path / "int8", device="cpu")
    for name, value in detector.model.state_dict().items():
        largest = float(value.abs().max())
        assert (loaded.model.state_dict()[name] - value).abs().max() <= 0.005 * largest + 1e-4, name
    scores = [[one.score for one in d.detect(page, score_min=0.0)] for d in (detector, loaded)]
    assert np.mean(scores[1]) == pytest.approx(np.mean(scores[0]), rel=0.05)
    loaded.save_pretrained(tmp_path / "again", int8=True)
    again = Detector.from_pretrained(tmp_path / "again", device="cpu")
    for name, value in loaded.model.state_dict().items():
        assert torch.allclose(again.model.state_dict()[name], value, rtol=2e-3, atol=1e-6), name


def test_other_weights_find_something_else():
    pixels = page_pixels(written_page(), "ink", 1280)
    found, other = tiny_detector(0).find(pixels)[0], tiny_detector(1).find(pixels)[0]
    assert found.shape != other.shape or not torch.allclose(found, other)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model_type": "bert"}, id="another kind of model"),
        pytest.param({"wings": 2}, id="unknown setting"),
        pytest.param({"widths": [16, 16]}, id="too few widths"),
        pytest.param({"widths": "five"}, id="text for widths"),
        pytest.param({"head": "wide"}, id="text for a number"),
        pytest.param({"widths": [16, 16, 16, 16, 10**7]}, id="gigabytes"),
        pytest.param({"backbone": "vgg"}, id="unknown backbone"),
        pytest.param({"input": "video"}, id="unknown input"),
        pytest.param({"head": 12}, id="weights of another shape"),
    ],
)
def test_a_config_that_fits_no_detector_is_a_model_error(tmp_path, change):
    tiny_detector().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"expected a detector's (config|weights)"):
        Detector.from_pretrained(tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", None),
        ("config.json", b""),
        ("config.json", b"[1, 2]"),
        ("config.json", b"\xff\xfe"),
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", b'\x08\x00\x00\x00\x00\x00\x00\x00{"a": 1}'),
    ],
)
def test_a_broken_folder_is_a_model_error(tmp_path, name, content):
    tiny_detector().save_pretrained(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="expected a detector's"):
        Detector.from_pretrained(tmp_path, device="cpu")


def test_cut_off_weights_are_a_model_error(tmp_path):
    tiny_detector().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError):
        Detector.from_pretrained(tmp_path, device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"backbone": "resnet"}, id="backbone"),
        pytest.param({"input": "grey"}, id="input"),
        pytest.param({"widths": (16, 32, 64)}, id="too few widths"),
        pytest.param({"widths": (8, 16, 16, 16, 16)}, id="widths that torch cannot train"),
        pytest.param({"blocks": (1, 2, 3, 0)}, id="a stage without blocks"),
        pytest.param({"anchor_heights": (10, 20)}, id="anchor heights"),
        pytest.param({"anchor_ratios": ()}, id="no ratios"),
        pytest.param({"anchor_ratios": (1.0, -2.0)}, id="ratio below 0"),
        pytest.param({"long_side": 32}, id="long side"),
        pytest.param({"pyramid": 0}, id="pyramid"),
        pytest.param({"head": 10**9}, id="head"),
        pytest.param({"roi_width": -1}, id="width of what the head sees"),
        pytest.param({"score_min": 1.5}, id="score above 1"),
        pytest.param({"score_min": float("nan")}, id="score not a number"),
        pytest.param({"overlap_max": 0.0}, id="no overlap"),
        pytest.param({"rescore_weights": (1.0, 2.0)}, id="too few weights"),
        pytest.param({"rescore_offset": float("inf")}, id="offset without end"),
    ],
)
def test_a_config_says_what_it_expects(settings):
    with pytest.raises(ValueError, match=next(iter(settings)).split("_")[0]):
        DetectorConfig(**settings)


# --- Odd pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(np.full((160, 240), 255, np.uint8), id="blank"),
        pytest.param(np.zeros((160, 240), np.uint8), id="black"),
        pytest.param(np.full((1, 300), 200, np.uint8), id="one pixel high"),
        pytest.param(np.eye(300, 1, dtype=np.uint8) * 255, id="one pixel wide"),
        pytest.param(np.zeros((1, 1), np.uint8), id="one pixel"),
        pytest.param(np.full((7, 5, 3), 90, np.uint8), id="tiny"),
        pytest.param(np.tile(np.uint8([255, 0]), (20, 2500)), id="very wide"),
        pytest.param(np.tile(np.uint8([[255], [0]]), (2500, 20)), id="very high"),
        pytest.param(np.full((5000, 8000), 255, np.uint8), id="40 megapixels"),
        pytest.param(np.random.default_rng(0).integers(0, 255, (90, 90, 4), np.uint8), id="noise"),
    ],
)
@pytest.mark.parametrize("kind", ["ink", "rgb"])
def test_boxes_of_any_page_are_on_it(page, kind):
    detector = tiny_detector(input=kind)
    found = detector.detect(page, score_min=0.0)
    height, width = page.shape[:2]
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    for x0, y0, x1, y1 in (one.box for one in found):
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height


def test_boxes_are_in_pixels_of_the_page_whatever_size_was_looked_at():
    detector, page = tiny_detector(), written_page(400, 600)
    boxes, scores = detector.find(page_pixels(page, "ink", 150))
    boxes, scores = merge_duplicates(boxes, scores, detector.config.overlap_max)
    found = detector.detect(page, long_side=150, score_min=0.0)
    assert len(found) > 3
    assert [one.score for one in found] == pytest.approx(scores.tolist())
    assert np.array([one.box for one in found]) == pytest.approx(4 * boxes.numpy(), abs=0.01)


def test_a_page_can_be_looked_at_enlarged():
    detector, page = tiny_detector(), Image.fromarray(written_page(100, 150))
    enlarged = page.resize((300, 200), Image.Resampling.BICUBIC)
    found = detector.detect(page, long_side=300, score_min=0.0)
    expected = detector.detect(enlarged, score_min=0.0)
    assert len(found) > 3
    assert [one.score for one in found] == [one.score for one in expected]
    boxes = [np.array(one.box) / 2 for one in expected]
    assert np.array([one.box for one in found]) == pytest.approx(np.array(boxes), abs=0.01)


def test_what_is_unlikely_is_not_reported():
    detector, page = tiny_detector(), written_page()
    scores = [one.score for one in detector.detect(page, score_min=0.0)]
    middle = sorted(scores)[len(scores) // 2]
    detector.config = replace(detector.config, score_min=middle)
    found = detector.detect(page)
    assert 0 < len(found) < len(scores)
    assert min(one.score for one in found) >= middle


@pytest.mark.parametrize(
    ("boxes", "scores", "kept"),
    [
        pytest.param([], [], [], id="none"),
        pytest.param([(0, 0, 10, 10), (20, 0, 30, 10)], [0.5, 0.9], [1, 0], id="apart, by score"),
        pytest.param([(0, 0, 10, 10), (0, 0, 10, 8)], [0.9, 0.5], [0], id="duplicate"),
        pytest.param([(0, 0, 100, 20), (5, 5, 15, 15)], [0.9, 0.5], [0], id="part of a likelier"),
        pytest.param([(0, 0, 100, 20), (5, 5, 15, 15)], [0.5, 0.9], [1], id="holds a likelier"),
        pytest.param(
            [(0, 0, 100, 10), (0, 0, 40, 10), (60, 0, 100, 10)],
            [0.9, 0.95, 0.7],
            [1, 2],
            id="what goes takes nothing away",
        ),
        pytest.param([(0, 0, 20, 10), (15, 0, 40, 10)], [0.9, 0.5], [0, 1], id="overlap a little"),
    ],
)
def test_merge_duplicates(boxes, scores, kept):
    given = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    found, found_scores = merge_duplicates(given, torch.tensor(scores), 0.4)
    assert torch.equal(found, given[kept])
    assert found_scores.tolist() == pytest.approx([scores[i] for i in kept])


# --- What the network looks at -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "long_side", "expected"),
    [
        pytest.param((100, 200), 1280, (100, 200), id="small pages are not enlarged"),
        pytest.param((100, 200), 100, (50, 100), id="wide"),
        pytest.param((300, 100), 150, (150, 50), id="high"),
        pytest.param((2, 3000), 300, (1, 300), id="at least a pixel"),
    ],
)
def test_pages_are_reduced_to_the_long_side(shape, long_side, expected):
    page = np.full((*shape, 3), 255, np.uint8)
    assert page_pixels(page, "ink", long_side).shape == expected
    assert page_pixels(page, "rgb", long_side).shape == (*expected, 3)


def shadow(page: np.ndarray) -> np.ndarray:
    """From full light at the left to a quarter of it at the right."""
    return (page * np.linspace(1, 0.25, page.shape[1])[None, :, None]).astype(np.uint8)


def on_a_desk(page: np.ndarray, ink: int = 0) -> np.ndarray:
    """The page as a sheet that takes a ninth of the picture, so that most of it is dark; ink, the
    grey of its strokes."""
    grain = np.random.default_rng(0).integers(20, 60, (*page.shape[:2], 1), np.uint8)
    desk = np.repeat(cv2.GaussianBlur(grain, (0, 0), 1)[..., None], 3, axis=2)
    height, width = page.shape[0] // 3, page.shape[1] // 3
    sheet = cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA)
    desk[height : 2 * height, width : 2 * width] = np.maximum(sheet, ink)
    return desk


LIGHTS = {
    "paper": lambda page: page,
    "shadow": shadow,
    "grey paper": lambda page: page // 2 + 60,
    "yellow paper": lambda page: (page * [1, 0.9, 0.6]).astype(np.uint8),
    "blackboard": lambda page: 255 - page,
    "green board in shadow": lambda page: shadow((255 - page) // 2 + np.uint8([10, 40, 20])),
    "red ink": lambda page: np.maximum(page, np.uint8([200, 0, 0])),
}


@pytest.mark.parametrize("name", LIGHTS)
def test_ink_is_bright_and_paper_dark_in_any_light(name):
    page = written_page(300, 450)
    inked = cv2.erode((page[..., 0] < 128).astype(np.uint8), np.ones((2, 2))) > 0
    paper = cv2.dilate((page[..., 0] < 255).astype(np.uint8), np.ones((5, 5))) == 0
    seen = even_light(LIGHTS[name](page))
    assert (seen.shape, seen.dtype) == (page.shape[:2], np.uint8)
    assert np.quantile(seen[inked], 0.1) > 80
    assert np.quantile(seen[paper], 0.99) < 40


@pytest.mark.parametrize("ink", [0, 180])
def test_a_small_sheet_on_a_dark_desk_is_seen_as_the_sheet_alone(ink):
    page = written_page(900, 1350)
    seen = even_light(on_a_desk(page, ink))[300:600, 450:900]
    alone = even_light(np.maximum(cv2.resize(page, (450, 300), interpolation=cv2.INTER_AREA), ink))
    inner = np.s_[40:-40, 40:-40]  # at its rim the light of the paper is not known
    assert alone[inner].max() > 200
    assert np.abs(seen[inner].astype(int) - alone[inner]).mean() < 3


def test_blank_paper_shows_no_ink():
    assert even_light(np.full((200, 300, 3), 180, np.uint8)).max() == 0


# --- Training ------------------------------------------------------------------------------------


def target(boxes: list[tuple], ignore: list[tuple] = ()) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "ignore": torch.tensor(ignore, dtype=torch.float32).reshape(-1, 4),
    }


LINE, REGION = (20, 20, 200, 44), (0, 70, 240, 160)


@pytest.mark.parametrize(
    ("boxes", "regions", "inside"),
    [
        ([(0, 0, 10, 10)], [(0, 0, 10, 10)], [True]),
        ([(0, 0, 10, 10), (0, 0, 10, 21)], [(0, 0, 10, 10)], [True, False]),
        ([(0, 0, 10, 10)], [(0, 0, 4, 10), (4, 0, 10, 10)], [True]),
        ([(0, 0, 10, 10)], [(0, 0, 4, 10), (6, 0, 10, 10)], [False]),
        ([(0, 0, 10, 10)], [], [False]),
        ([], [(0, 0, 10, 10)], []),
    ],
)
def test_lies_in(boxes, regions, inside):
    given = (torch.tensor(part, dtype=torch.float32).reshape(-1, 4) for part in (boxes, regions))
    assert lies_in(*given).tolist() == inside


def test_without_regions_nothing_lies_in_one():
    assert lies_in(torch.zeros(3, 4), None).tolist() == [False] * 3


@pytest.mark.parametrize("is_ignored", [False, True])
def test_regions_to_ignore_do_not_train_the_proposals(is_ignored):
    torch.manual_seed(0)
    model = tiny_detector().model.train()
    made: dict[nn.Module, list[Tensor]] = {}
    for module in (model.rpn.head, model.rpn.anchor_generator):
        module.register_forward_hook(lambda module, _, output: made.update({module: output}))
    losses = model([torch.rand(1, 160, 240)], [target([LINE], [REGION] if is_ignored else [])])
    scores, _ = made[model.rpn.head]
    gradients = torch.autograd.grad(losses["loss_objectness"], scores)
    # (1, A, H, W) of each level, in the order of the anchors: by row, column and shape.
    gradient = torch.cat([level[0].permute(1, 2, 0).flatten() for level in gradients])
    inside = lies_in(made[model.rpn.anchor_generator][0], torch.tensor([REGION]))
    assert bool(gradient[inside].any()) is not is_ignored
    assert gradient[~inside].any()


@pytest.mark.parametrize("is_ignored", [False, True])
def test_candidates_in_a_region_to_ignore_do_not_train_the_heads(is_ignored):
    torch.manual_seed(0)
    heads = tiny_detector().model.roi_heads
    candidates = torch.tensor([LINE, (30, 80, 90, 100), (30, 110, 90, 130), (5, 5, 60, 15)])
    page = target([LINE], [REGION] if is_ignored else [])
    chosen, _, labels, _ = heads.select_training_samples([candidates.float()], [page])
    rows = {tuple(box) for box in chosen[0].tolist()}
    wrong = {(30, 80, 90, 100), (30, 110, 90, 130)}
    assert wrong.isdisjoint(rows) if is_ignored else wrong <= rows
    assert {LINE, (5, 5, 60, 15)} <= rows
    assert sorted(set(labels[0].tolist())) == [0, 1]


def test_true_boxes_within_a_region_to_ignore_still_train():
    heads = tiny_detector().model.roi_heads
    page = target([LINE], [(0, 0, 240, 160)])
    _, _, labels, _ = heads.select_training_samples([torch.tensor([LINE]).float()], [page])
    assert labels[0].tolist() == [1, 1]  # the candidate, and the true box itself


def test_steps_make_the_loss_smaller():
    torch.manual_seed(0)
    model = tiny_detector().model.train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    pixels = as_ink(written_page())
    boxes = [(24, y - 10, 216, y + 10) for y in (32, 80, 128)]
    losses = []
    for _ in range(40):
        loss = sum(model([pixels], [target(boxes)]).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def as_ink(page: np.ndarray) -> Tensor:
    return torch.from_numpy(even_light(page)).float()[None] / 255


def test_a_page_without_lines_can_be_trained_on():
    model = tiny_detector().model.train()
    losses = model([torch.rand(1, 64, 96), torch.rand(1, 90, 64)], [target([]), target([LINE])])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())


@torch.no_grad()
def test_what_is_found_is_moved_once_more_from_where_it_was_found():
    heads = tiny_detector().model.roi_heads
    predictor = heads.box_predictor
    for layer in (predictor.cls_score, predictor.bbox_pred):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    predictor.cls_score.bias[1] = 9.0  # everything is an expression,
    predictor.bbox_pred.bias[4] = 1.0  # a tenth of its width further to the right
    features = {
        str(stride): torch.rand(2, 8, 160 // stride, 320 // stride) for stride in (8, 16, 32)
    }
    proposals = [torch.tensor([[10.0, 10, 110, 40], [215, 50, 315, 80]]), torch.empty(0, 4)]
    found, _ = heads(features, proposals, [(160, 320)] * 2)
    boxes = sorted(found[0]["boxes"].tolist())
    assert boxes[0] == pytest.approx([30, 10, 130, 40], abs=0.01)
    assert boxes[1] == pytest.approx([234.5, 50, 320, 80], abs=0.01)  # cut off at the edge, twice
    assert found[1]["boxes"].shape == (0, 4)


def test_torchvision_s_resnet50_takes_the_same_pages():
    torch.manual_seed(0)
    model = build_detector(DetectorConfig(backbone="resnet50_fpn_v2"))
    before = model.backbone.body.conv1.weight.detach().clone()
    pixels = torch.rand(1, 64, 96)
    losses = model([pixels], [target([(8, 8, 80, 24)])])
    sum(losses.values()).backward()
    torch.optim.SGD(model.parameters(), 0.01).step()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert not torch.equal(model.backbone.body.conv1.weight, before)
    (found,) = model.eval()([pixels])
    assert set(found) == {"boxes", "labels", "scores"}


def test_anchors_are_wide_and_of_every_level_s_heights():
    config = DetectorConfig(**TINY_DETECTOR)
    anchors = build_detector(config).rpn.anchor_generator
    heights = [cell[:, 3] - cell[:, 1] for cell in anchors.cell_anchors]
    expected = [config.anchor_heights[i : i + 2] for i in (0, 2, 4)]
    assert [sorted(set(found.tolist())) for found in heights] == [list(pair) for pair in expected]
    assert all(max(a) < min(b) for a, b in pairwise(expected))
    for cell in anchors.cell_anchors:
        ratios = (cell[:, 2] - cell[:, 0]) / (cell[:, 3] - cell[:, 1])
        assert sorted(set(ratios.tolist())) == pytest.approx(list(config.anchor_ratios))
