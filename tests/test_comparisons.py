"""The comparisons of the article's claims, on data small enough for a test."""

import pytest
from accelerate.state import AcceleratorState, PartialState

from tests.launching import ROOT
from tests.test_pretraining import write_pictures
from tests.tiny import TINY, tiny_recognizer, write_inks
from tests.tiny_foreign import EXAMPLES, write_foreign
from trainer import rerank
from trainer.compare import compare, confusions, script_errors
from trainer.config import parse_config
from trainer.finetune import train
from trainer.foreign import Blip, TrOCR, load_foreign
from trainer.loop import read_log
from trainer.pretrain import PretrainConfig
from trainer.scratch import Shape, write_scratch

SMALL = Shape(32, 8, 32, heads=2, feedforward=64, encoder_layers=1, decoder_layers=1)

# Options of a tiny recogniser; lists are written as YAML has them.
TINY_OPTIONS = [
    text
    for key, value in TINY.items()
    for text in (f"--model.{key}", str(list(value) if isinstance(value, tuple) else value))
]


@pytest.mark.parametrize(("kind", "family"), [("trocr", TrOCR), ("swin", TrOCR), ("blip", Blip)])
def test_a_model_from_scratch_writes_every_token_as_one(tmp_path, kind, family):
    write_scratch(kind, tmp_path / kind, SMALL)
    model = load_foreign(tmp_path / kind)
    assert isinstance(model, family)
    ids = model.token_ids(r"\frac{a}{2}")
    assert len(ids) == 7 + 2
    assert model.text(ids) == r"\frac { a } { 2 }"


def test_all_kinds_have_about_as_many_parameters(tmp_path):
    trocr, blip, swin = (
        write_scratch(kind, tmp_path / kind, Shape()) for kind in ("trocr", "blip", "swin")
    )
    assert max(trocr, blip) < 1.02 * min(trocr, blip)
    assert 0.9 * trocr < swin < 1.1 * trocr


def test_a_folder_with_weights_is_not_written_over(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ValueError, match="empty folder"):
        write_scratch("trocr", tmp_path, SMALL)


@pytest.mark.parametrize(
    ("truths", "readings", "pairs", "rarer"),
    [
        pytest.param(["x+x"], ["x+x"], [], 50.0, id="nothing wrong"),
        pytest.param(
            *(["x+x", r"\chi"], [r"\chi+x", r"\chi"], [("x", r"\chi", 1)], 100.0),
            id="rare for common",
        ),
        pytest.param(
            ["x+x", r"\chi"], ["x+x", "x"], [(r"\chi", "x", 1)], 0.0, id="common for rare"
        ),
        pytest.param(["a+b"], ["b+b"], [("a", "b", 1)], 50.0, id="equally common"),
        pytest.param(["x^2"], ["x_2"], [], 50.0, id="structure is no symbol"),
    ],
)
def test_what_is_taken_for_what(truths, readings, pairs, rarer):
    found = confusions(truths, readings)
    assert found.confused == pairs
    assert found.rarer == rarer


@pytest.mark.parametrize(
    ("truth", "reading", "errors"),
    [
        pytest.param("x^2+y_1", "x^2+y_1", 0.0, id="none"),
        pytest.param("x^2+y_1", "x_2+y_1", 50.0, id="taken for the other"),
        pytest.param("x^2+y_1", "x2+y_1", 50.0, id="missed"),
        pytest.param("x^2+y", "x^2+y_1", 100.0, id="made up"),
        pytest.param("x+y", "a+b", 0.0, id="no scripts"),
    ],
)
def test_script_errors(truth, reading, errors):
    assert script_errors([truth], [reading]) == errors


def test_ours_and_theirs_are_measured_alike(tmp_path):
    tiny_recognizer().save_pretrained(tmp_path / "ours")
    write_foreign(tmp_path / "theirs", "vit")
    inks = str(write_inks(tmp_path / "inks", n=3))
    for name in ("ours", "theirs"):
        figures = compare(str(tmp_path / name), inks, limit=2)
        assert figures["n"] == 2
        assert figures["perplexity"] > 1
        assert 0 <= figures["exprate"] <= 100
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "theirs", "inks"}  # none is kept


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("compare_trocr_small", ["--batch_size", "2"], id="TrOCR"),
        pytest.param("compare_blip_small", ["--batch_size", "2"], id="BLIP"),
        pytest.param("pretrain_compare_plain", TINY_OPTIONS, id="plain print"),
        pytest.param("pretrain_compare_altered", TINY_OPTIONS, id="altered print"),
    ],
)
def test_the_configs_of_the_comparisons_start(tmp_path, name, options):
    data = str(write_pictures(tmp_path / "pictures"))
    if name.startswith("compare"):
        kind = name.split("_")[1]
        write_scratch(kind, tmp_path / "model", SMALL)
        options = [*options, "--model_from", str(tmp_path / "model")]
    config = ["--config", str(ROOT / "trainer" / "configs" / f"{name}.yaml"), "--data", data]
    config += ["--output", str(tmp_path), "--loop.max_steps", "1", "--n_workers", "0"]
    config += ["--select", data, "--loop.mixed_precision", "no", "--loop.n_threads", "1"]
    try:
        train(parse_config(PretrainConfig, [*config, *options]))
    finally:
        AcceleratorState._reset_state()
        PartialState._reset_state()
    assert read_log(tmp_path / name, "select")[-1]["perplexity"] > 1
    assert (tmp_path / name / "final" / "config.json").is_file()


def test_a_matcher_learns_which_text_is_the_picture_s(tmp_path):
    captioner = load_foreign(write_foreign(tmp_path / "blip", "blip"))
    matcher = rerank.Matcher(captioner)
    sets = [
        rerank.Candidates(EXAMPLES[0], ["l", "x + T"], [-1.0, -1.5]),
        rerank.Candidates(EXAMPLES[1], ["l", "l x l x l"], [-1.0, -1.5]),
    ]
    rerank.fit(matcher, sets, steps=12, lr=3e-3, seed=0)
    figures = rerank.measure(matcher, sets)
    assert figures["recognizer"] == 0.0 and figures["any"] == 100.0
    assert figures["matcher"] == 100.0
