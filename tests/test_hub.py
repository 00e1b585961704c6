"""One way in for embedded, local and downloaded weights. Nothing here uses the network."""

from pathlib import Path

import huggingface_hub
import pytest

from latexocr import hub
from latexocr.errors import ModelError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with a recogniser and no detector."""
    (tmp_path / "weights" / "recognizer").mkdir(parents=True)
    (tmp_path / "weights" / "recognizer" / "config.json").write_text("{}")
    return tmp_path / "weights"


@pytest.mark.parametrize("source", [None, "", "  "], ids=["none", "empty", "spaces"])
def test_without_a_source_the_embedded_weights_are_used(source, weights, monkeypatch):
    monkeypatch.setattr(hub, "EMBEDDED", weights)
    assert hub.resolve(source, "recognizer") == weights / "recognizer"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_local_folder_is_used_as_it_is(kind, weights):
    assert hub.resolve(kind(weights), "recognizer") == weights / "recognizer"


def test_home_is_understood(weights, monkeypatch):
    monkeypatch.setenv("HOME", str(weights.parent))
    assert hub.resolve("~/weights", "recognizer") == weights / "recognizer"


def test_a_missing_part_is_named_with_its_folder(weights):
    with pytest.raises(ModelError, match=r"detector in .*weights"):
        hub.resolve(weights, "detector")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("no-such-folder", id="a word"),
        pytest.param("/no/such/folder", id="absolute path"),
        pytest.param("../up/there", id="relative path"),
        pytest.param("user/name/more", id="too many parts"),
        pytest.param(Path("user/name"), id="a path is never looked up on the Hub"),
    ],
)
def test_what_is_neither_folder_nor_repository_is_refused(source, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", pytest.fail)
    with pytest.raises(ModelError, match="neither"):
        hub.resolve(source, "recognizer")


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        pytest.param("recognizer", ["recognizer/*", "recognizer_int8/*"], id="with its twin"),
        pytest.param("detector", ["detector/*"], id="detector"),
    ],
)
def test_of_a_repository_only_the_wanted_part_is_downloaded(weights, monkeypatch, part, wanted):
    calls = []

    def download(repo_id, allow_patterns):
        calls.append((repo_id, allow_patterns))
        (weights / part).mkdir(exist_ok=True)
        (weights / part / "config.json").write_text("{}")
        return str(weights)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub.resolve("some-user/a.model_1", part) == weights / part
    assert calls == [("some-user/a.model_1", wanted)]


def test_a_failed_download_says_what_was_wanted(monkeypatch):
    def download(repo_id, allow_patterns):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError, match=r"user/name.*no network"):
        hub.resolve("user/name", "recognizer")
