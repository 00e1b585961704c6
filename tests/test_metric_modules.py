"""Our metrics by the `evaluate` library, loaded from the checkout without the Hub."""

import pytest

from tests.launching import ROOT

MODULES = ROOT / "trainer" / "metric_modules"
TRUTHS = [r"\frac{1}{2}", "x+y", "a_1^2"]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Loads a module of ours. One place for all that are loaded: Python looks there only once."""
    evaluate = pytest.importorskip("evaluate")
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", str(folder / "modules"))
        yield lambda name: evaluate.load(str(MODULES / name), cache_dir=str(folder / "cache"))


@pytest.mark.parametrize(
    ("name", "readings", "expected"),
    [
        pytest.param("exprate", TRUTHS, {"exprate": 100.0, "n": 3, "unparsed": 0}, id="perfect"),
        pytest.param(
            "exprate",
            [r"{1 \over 2}", "x-y", "a^2_1"],  # another spelling is no mistake
            {"exprate": 66.67, "le1": 100.0},
            id="one mistake",
        ),
        pytest.param("cer", TRUTHS, {"cer": 0.0, "n": 3}, id="no token wrong"),
        pytest.param("cer", [r"\frac{1}{2}", "x-y", "a_1^2"], {"cer": 100 / 19}, id="one of 19"),
    ],
)
def test_the_metrics_of_the_evaluate_library(load, name, readings, expected):
    found = load(name).compute(predictions=readings, references=TRUTHS)
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=0.01)
