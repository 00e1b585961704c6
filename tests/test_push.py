"""Pushing to the Hub, with the real client, against a Hub that runs in the test."""

import ast
import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import ModelCard, RepoCard
from safetensors.numpy import save_file

from latexocr import hub as latexocr_hub
from latexocr.errors import ModelError
from latexocr.pipeline import LatexOCR
from tests.conftest import draw
from tests.hub_server import Account, HubServer, Repository
from trainer import push

TOKEN = "hf_secretOfAnn"
REPO = "ann/formulas"
ROOT = Path(__file__).parents[1]
PICKLE = pickle.dumps({"weights": [1.0] * 100})

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub where Ann may write, and the client in this process pointed at it, without Xet."""
    constants = huggingface_hub.constants
    with HubServer() as server:
        server.tokens[TOKEN] = Account("ann")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for name, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "AGENT_HARNESSES_PATH": str(tmp_path / "harnesses"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        # The client waits longer and longer before it tries again.
        patience = SimpleNamespace(sleep=lambda seconds: None)
        monkeypatch.setattr("huggingface_hub.utils._http.time", patience)
        yield server


@pytest.fixture
def run(
    hub: HubServer, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Run:
    """The command: exit status, stdout, stderr with the log. The token is in none of them, nor in
    anything that the Hub got, except as a header."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        caplog.clear()
        with caplog.at_level(logging.DEBUG):
            status = push.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        err += caplog.text
        token = os.environ.get("HF_TOKEN", TOKEN)
        assert token not in out + err
        contents = [
            data for repo in hub.repositories.values() for c in repo.commits
            for data in c.files.values()
        ]  # fmt: skip
        assert not any(token.encode() in data for data in hub.sent + contents)
        return status, out, err

    return run


def write_weights(folder: Path, value: float = 0.0, parts: str = "recognizer detector") -> Path:
    """What looks like the weights of the parts; the recogniser's are in two shards."""
    for part in parts.split():
        place = folder / part
        place.mkdir(parents=True, exist_ok=True)
        if part == "detector":
            write_json(place / "config.json", {"model_type": "latexocr-detector"})
            save_file({"c": np.full(900, value + 2)}, place / "model.safetensors")
            continue
        write_json(place / "config.json", {"model_type": "vision-encoder-decoder"})
        write_json(place / "tokenizer.json", {})
        names = {key: f"model-0000{i}-of-00002.safetensors" for i, key in enumerate("ab", 1)}
        for i, (key, name) in enumerate(names.items()):
            save_file({key: np.full(900, value + i)}, place / name)
        write_json(place / "model.safetensors.index.json", {"weight_map": names})
    return folder


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights")


# --- Up and down again --------------------------------------------------------------------------


def test_what_was_pushed_loads_by_the_name_of_its_repository(run, hub, model_folder):
    status, out, _ = run("--repo", REPO, "--model", model_folder)
    assert status == 0
    assert out.startswith(f"{hub.url}/{REPO}  ")
    picture = draw("x+l")
    assert LatexOCR(REPO, "cpu").read(picture) == LatexOCR(model_folder, "cpu").read(picture)


def test_the_repository_holds_weights_configs_licence_and_card(run, hub, weights):
    run("--repo", REPO, "--model", weights, "--message", "The first ones")
    repository = hub.repositories["model", REPO]
    assert not repository.private
    assert [commit.message for commit in repository.commits] == ["initial commit", "The first ones"]
    names = {p.relative_to(weights).as_posix() for p in weights.rglob("*") if p.is_file()}
    assert set(repository.files) == names | {"README.md", "LICENSE", ".gitattributes"}
    for name in names:
        assert repository.files[name] == (weights / name).read_bytes()
    assert b"NonCommercial" in repository.files["LICENSE"]


def test_pushing_the_same_again_makes_no_commit(run, hub, weights):
    run("--repo", REPO, "--model", weights)
    hub.requests.clear()
    status, out, _ = run("--repo", REPO, "--model", weights)
    assert status == 0
    assert out.rstrip().endswith("unchanged")
    assert not hub.asked("PUT|/commit/")


def test_newer_weights_replace_older_ones_and_nothing_else(run, hub, weights, tmp_path):
    run("--repo", REPO, "--model", weights)
    repository = hub.repositories["model", REPO]
    repository.commit("by hand", repository.files | {"demo.gif": b"GIF", "recognizer/old": b"1"})
    newer = write_weights(tmp_path / "newer", 5.0, "recognizer")
    (newer / "recognizer" / "model.safetensors.index.json").unlink()
    for shard in newer.glob("recognizer/*.safetensors"):
        shard.rename(newer / "recognizer" / "model.safetensors")
    status, out, _ = run("--repo", REPO, "--model", newer)
    assert (status, "unchanged" in out) == (0, False)
    assert len(repository.commits) == 4
    assert {name for name in repository.files if name.startswith("recognizer/")} == {
        f"recognizer/{name}" for name in ("config.json", "tokenizer.json", "model.safetensors")
    }
    assert {"demo.gif", "detector/model.safetensors"} < set(repository.files)


def test_what_a_training_run_left_is_pushed_with_its_record(hub, tmp_path):
    run_dir = write_weights(tmp_path / "run", parts="recognizer")
    (run_dir / "recognizer").rename(run_dir / "final")
    settings = {"data": "/home/ann/private/ink.tar.gz", "seed": 3, "loop": {"max_steps": 70}}
    write_json(run_dir / "config.json", settings)
    start = {"kind": "start", "step": 0, "seconds": 0, "device": "cuda:0", "processes": 2}
    train = {"kind": "train", "step": 70, "seconds": 5400}
    log = f'{json.dumps(start)}\n{json.dumps(train)}\n{{"kind": "tr'
    (run_dir / "log.jsonl").write_text(log)
    pushed = push.push_folder(run_dir / "final", REPO, private=True)
    repository = hub.repositories["model", REPO]
    assert (pushed.changed, pushed.commit) == (True, repository.commits[-1].oid)
    assert repository.private
    assert "recognizer/config.json" in repository.files
    card = repository.files["README.md"].decode()
    for text in ("ink.tar.gz", "max_steps: 70", "device cuda:0, processes 2", "1.5 hours for 70"):
        assert text in card
    assert "private/" not in card


# --- The card -----------------------------------------------------------------------------------

FIGURES = {
    "recognizer": [
        {"set": "CROHME 2014", "metric": "ExpRate", "value": 41.2, "interval": [38.1, 44.3]},
        {"set": "CROHME 2014", "metric": "CER", "value": 12},
    ],
    "detector": [{"set": "pages | drawn", "metric": "F1", "value": 97.5, "n": 100}],
    "training": {"data": "Ink of two hands.", "hardware": "An abacus.", "time": "A week."},
}


def test_the_card_says_how_well_the_weights_do(run, hub, weights):
    write_json(weights / "figures.json", FIGURES)
    run("--repo", REPO, "--model", weights)
    files = hub.repositories["model", REPO].files
    assert json.loads(files["figures.json"]) == FIGURES
    card = ModelCard(files["README.md"].decode())
    assert card.data.license == "cc-by-nc-sa-4.0"
    assert card.data.pipeline_tag == "image-to-text"
    results = [(r.task_type, r.dataset_name, r.metric_name, r.metric_value, r.metric_args)
               for r in card.data.eval_results]  # fmt: skip
    assert results == [
        ("image-to-text", "CROHME 2014", "ExpRate", 41.2, {"interval_95": [38.1, 44.3]}),
        ("image-to-text", "CROHME 2014", "CER", 12.0, None),
        ("object-detection", "pages | drawn", "F1", 97.5, None),
    ]
    assert "| recognizer | CROHME 2014 | ExpRate | 41.2 | 38.1 to 44.3 |" in card.text
    assert "| detector | pages \\| drawn | F1 | 97.5 | - |" in card.text
    for text in ("Ink of two hands.", "An abacus.", "A week.", "**Recipe.** Not recorded"):
        assert text in card.text
    for heading in ("How to use it", "Limits", "Bias", "Licence"):
        assert f"## {heading}\n" in card.text


@pytest.mark.parametrize(
    ("parts", "present", "absent"),
    [
        pytest.param("recognizer", "LatexOCR(", "Faster R-CNN", id="recogniser alone"),
        pytest.param("detector", "Detector.from_pretrained(", "LatexOCR(", id="detector alone"),
    ],
)
def test_the_card_speaks_of_what_is_there(run, hub, tmp_path, parts, present, absent):
    run("--repo", REPO, "--model", write_weights(tmp_path / "weights", parts=parts))
    card = hub.repositories["model", REPO].files["README.md"].decode()
    assert present in card
    assert absent not in card
    assert "No figures were recorded" in card


@pytest.mark.parametrize(
    ("text", "license_id"),
    [("MIT License\n\nDo as you like.", "mit"), ("Ask me first.", "other")],
    ids=["known", "own"],
)
def test_a_licence_beside_the_weights_is_theirs(run, hub, weights, text, license_id):
    (weights / "LICENSE").write_text(text)
    run("--repo", REPO, "--model", weights)
    files = hub.repositories["model", REPO].files
    assert files["LICENSE"].decode() == text
    assert ModelCard(files["README.md"].decode()).data.license == license_id


# --- What is refused here, before anything is sent ----------------------------------------------


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes | str | dict | list) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = content if isinstance(content, bytes | str) else json.dumps(content)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return change


def only_a_pickle(folder: Path) -> None:
    (folder / "detector/model.safetensors").unlink()
    (folder / "detector/pytorch_model.bin").write_bytes(PICKLE)


def cut(folder: Path) -> None:
    path = folder / "detector/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def swap(folder: Path) -> None:
    (folder / "recognizer").rename(folder / "other")
    (folder / "detector").rename(folder / "recognizer")


SHARD = "model-00001-of-00002.safetensors"
ROW = {"set": "a", "metric": "b", "value": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(only_a_pickle, "no model.safetensors", id="weights in a pickle"),
        pytest.param(
            write("detector/model.safetensors", PICKLE), "expected safetensors", id="pickle renamed"
        ),
        pytest.param(write("recognizer/more.json", PICKLE), "expected JSON", id="pickle as JSON"),
        pytest.param(write("recognizer/LICENSE", PICKLE), "expected text", id="pickle as text"),
        pytest.param(cut, "expected safetensors", id="cut weights"),
        pytest.param(remove(f"recognizer/{SHARD}"), f"no {SHARD}", id="shard missing"),
        pytest.param(remove("recognizer/tokenizer.json"), "no tokenizer.json", id="no tokenizer"),
        pytest.param(swap, "expected a recognizer, got a detector", id="wrong folder"),
        pytest.param(
            write("recognizer/config.json", {"model_type": "bert"}), "got 'bert'", id="other model"
        ),
        pytest.param(write("recognizer/config.json", []), "expected a JSON object", id="a list"),
        pytest.param(write("figures.json", "{"), "figures.json: expected JSON", id="no figures"),
        pytest.param(write("figures.json", {"speed": 3}), "with keys of", id="unknown figures"),
        pytest.param(
            write("figures.json", {"recognizer": [{"set": "a"}]}), "expected set", id="no value"
        ),
        pytest.param(
            write("figures.json", {"detector": [ROW | {"interval": [1]}]}),
            "expected set",
            id="half an interval",
        ),
        pytest.param(
            write("figures.json", {"training": {"date": "x"}}), "training with", id="unknown words"
        ),
    ],
)
def test_broken_weights_are_named_before_anything_is_sent(run, hub, weights, change, message):
    change(weights)
    status, out, err = run("--repo", REPO, "--model", weights)
    assert (status, out) == (2, "")
    assert err.startswith("push: ")
    assert message in err
    assert hub.requests == []


def test_an_empty_folder_is_no_model(run, hub, tmp_path):
    status, _, err = run("--repo", REPO, "--model", tmp_path)
    assert status == 2
    assert "expected recognizer/ or detector/" in err


@pytest.mark.parametrize("repo", ["formulas", "ann/formulas/v2", "ann/for mulas", "ann/a--b", ""])
def test_what_is_no_name_of_a_repository_is_refused(run, hub, weights, repo):
    status, _, err = run("--repo", repo, "--model", weights)
    assert status == 2
    assert "expected a repository like user/name" in err
    assert hub.requests == []


def test_pickles_and_what_else_lies_there_stay_here(run, hub, weights):
    for name in ("optimizer.bin", "scheduler.pt", "notes.doc", ".env"):
        (weights / "recognizer" / name).write_bytes(PICKLE)
    (weights / "recognizer" / "checkpoints").mkdir()
    (weights / "training_args.bin").write_bytes(PICKLE)
    status, _, err = run("--repo", REPO, "--model", weights)
    assert status == 0
    assert "not sent: .env, checkpoints, notes.doc, optimizer.bin, scheduler.pt" in err
    files = hub.repositories["model", REPO].files
    assert PICKLE not in files.values()
    assert not any("checkpoints" in name for name in files)


# --- What the Hub refuses -----------------------------------------------------------------------


def use_token(token: str, account: Account | None = None) -> Callable:
    def change(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", token)
        if account:
            hub.tokens[token] = account

    return change


def log_out(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")


def forbid(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["model", REPO] = Repository(private=True)
    hub.read_only.add(REPO)


def publish(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["model", REPO] = Repository(private=False)


def unplug(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")


def go_offline(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(log_out, "expected a Hugging Face token, got none", id="no token"),
        pytest.param(use_token("hf_of_nobody"), "expected a valid token", id="bad token"),
        pytest.param(use_token("hf_torn\x01in two"), "got other characters", id="broken token"),
        pytest.param(use_token("hf_pasted…"), "got other characters", id="shortened token"),
        pytest.param(
            use_token("hf_reader", Account("ann", "read")), "that may write, got", id="read token"
        ),
        pytest.param(
            use_token("hf_bob", Account("bob")), "that may write there, but the Hub answered 403",
            id="another's name",
        ),
        pytest.param(forbid, "the Hub answered 403: Forbidden", id="no right to write"),
        pytest.param(publish, "to be private, but it is there and public", id="public already"),
        pytest.param(unplug, "the connection to http://127.0.0.1:9 failed", id="no network"),
        pytest.param(go_offline, "HF_HUB_OFFLINE is set", id="offline"),
    ],
)  # fmt: skip
def test_a_refusal_is_explained_and_changes_nothing(
    run, hub, weights, monkeypatch, change, message
):
    change(hub, monkeypatch)
    status, out, err = run("--repo", REPO, "--model", weights, "--private")
    assert (status, out) == (2, "")
    assert err.startswith("push: ")
    assert message in err
    assert hub.large == {}
    assert all(len(repository.commits) == 1 for repository in hub.repositories.values())


def test_the_token_stays_out_of_errors_even_if_the_hub_says_it(hub, weights):
    hub.commit_error = f"no room for {TOKEN}"
    with pytest.raises(push.PushError, match=r"answered 500: no room for \*\*\*") as raised:
        push.push_folder(weights, REPO)
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    assert len(hub.repositories["model", REPO].commits) == 1


def test_a_push_that_broke_off_goes_on_where_it_stopped(run, hub, weights):
    hub.uploads_until_break = 1
    status, _, err = run("--repo", REPO, "--model", weights)
    assert status == 2
    assert "the same command goes on from there" in err
    repository = hub.repositories["model", REPO]
    assert len(repository.commits) == 1
    assert len(hub.large) == 1
    hub.uploads_until_break = None
    hub.requests.clear()
    assert run("--repo", REPO, "--model", weights)[0] == 0
    assert len(hub.asked("PUT /lfs/")) == 2  # of three
    assert len(repository.commits) == 2
    assert (weights / f"recognizer/{SHARD}").read_bytes() == repository.files[f"recognizer/{SHARD}"]


def test_a_short_break_is_bridged(run, hub, weights, monkeypatch):
    def mend(seconds: float) -> None:
        hub.uploads_until_break = None

    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=mend))
    hub.uploads_until_break = 0
    assert run("--repo", REPO, "--model", weights)[0] == 0
    assert len(hub.repositories["model", REPO].commits) == 2


def test_access_can_be_checked_before_a_training(hub, monkeypatch):
    push.check_access()
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    with pytest.raises(push.PushError, match="expected a valid token"):
        push.check_access()
    assert hub.repositories == {}


def test_a_download_that_breaks_off_says_so(run, hub, weights):
    run("--repo", REPO, "--model", weights)
    hub.downloads_break = True
    with pytest.raises(ModelError, match=REPO):
        latexocr_hub.resolve(REPO, "detector")
    hub.downloads_break = False
    data = (latexocr_hub.resolve(REPO, "detector") / "model.safetensors").read_bytes()
    assert data == (weights / "detector/model.safetensors").read_bytes()


def test_a_private_repository_loads_for_its_owner_only(run, hub, weights, monkeypatch):
    run("--repo", REPO, "--model", weights, "--private")
    assert hub.repositories["model", REPO].private
    monkeypatch.setenv("HF_TOKEN", "hf_bob")
    hub.tokens["hf_bob"] = Account("bob")
    with pytest.raises(ModelError, match="Repository Not Found"):
        latexocr_hub.resolve(REPO, "detector")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    folder = latexocr_hub.resolve(REPO, "detector")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


# --- The Space ----------------------------------------------------------------------------------

SPACE = "ann/latex-ocr"


def test_a_space_gets_the_app_its_library_and_the_weights(run, hub, weights):
    status, out, _ = run("--repo", REPO, "--space", SPACE, "--model", weights)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        f"{hub.url}/{REPO}",
        f"{hub.url}/spaces/{SPACE}",
    ]
    space = hub.repositories["space", SPACE]
    assert space.sdk == "gradio"
    app = ["requirements.txt", "LICENSE", "latexocr/vocabulary.txt", "latexocr/token_counts.txt"]
    for path in (*ROOT.glob("app*.*"), *(ROOT / "latexocr").rglob("*.py")):
        app.append(path.relative_to(ROOT).as_posix())
    parts = [name for name in hub.repositories["model", REPO].files if "/" in name]
    assert set(app) < set(space.files)
    assert set(space.files) - set(app) - {".gitattributes", "README.md"} == {
        f"latexocr/weights/{name}" for name in parts
    }
    for name in app:
        assert space.files[name] == (ROOT / name).read_bytes()
    for name in parts:
        assert space.files[f"latexocr/weights/{name}"] == (weights / name).read_bytes()


def test_a_space_has_every_module_that_it_imports(run, hub, weights):
    run("--repo", REPO, "--space", SPACE, "--model", weights)
    files = hub.repositories["space", SPACE].files
    here = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    there = {name.split("/")[0].removesuffix(".py") for name in files}
    for name in files:
        if name.endswith(".py"):
            ours = imported(files[name]) & here
            assert ours <= there, f"{name} imports {ours - there}"
    assert "trainer" in here - there


def imported(source: bytes) -> set[str]:
    """Names of the packages that a module imports."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def test_a_space_starts_by_the_front_matter_of_our_readme(run, hub, weights):
    run("--repo", REPO, "--space", SPACE, "--model", weights)
    card = RepoCard(hub.repositories["space", SPACE].files["README.md"].decode())
    ours = RepoCard.load(ROOT / "README.md").data.to_dict()
    assert card.data.to_dict() == ours | {"models": [REPO]}
    assert ours["app_file"] == "app.py"
    assert REPO in card.text


def test_a_space_keeps_what_is_not_ours(run, hub, weights):
    command = ("--repo", REPO, "--space", SPACE, "--model", weights)
    run(*command)
    space = hub.repositories["space", SPACE]
    theirs = {"packages.txt": b"", "apples.txt": b""}
    outdated = {"latexocr/gone.py": b"", "app_x.js": b""}
    space.commit("by hand", space.files | theirs | outdated)
    assert run(*command)[0] == 0
    assert set(theirs) < set(space.files)
    assert not set(outdated) & set(space.files)
    n_commits = len(space.commits)
    assert "unchanged" in run(*command)[1].splitlines()[1]
    assert len(space.commits) == n_commits


def test_a_space_needs_a_recogniser(run, hub, tmp_path):
    folder = write_weights(tmp_path / "weights", parts="detector")
    status, _, err = run("--repo", REPO, "--space", SPACE, "--model", folder)
    assert status == 2
    assert "expected a recogniser for the Space" in err
    assert hub.repositories == {}


# --- As a command of its own, by HF_ENDPOINT and through Xet ------------------------------------


@pytest.fixture
def command(hub: HubServer, weights: Path, tmp_path: Path) -> Callable:
    """Runs the command in a process of its own, where the client is as it is installed."""
    pytest.importorskip("hf_xet")
    home = tmp_path / "home"
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_TOKEN": TOKEN}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | own

    def command() -> subprocess.CompletedProcess[str]:
        arguments = ["-m", "trainer.push", "--repo", REPO, "--model", str(weights)]
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT
        )
        assert TOKEN not in done.stdout + done.stderr
        stored = [path for path in home.rglob("*") if path.is_file()]
        assert not any(TOKEN.encode() in path.read_bytes() for path in stored)
        return done

    return command


def test_xet_is_used_where_the_hub_has_it(command, hub, weights, tmp_path):
    hub.xet_store = tmp_path / "xet"
    hub.xet_store.mkdir()
    done = command()
    assert (done.returncode, done.stdout.split()[0]) == (0, f"{hub.url}/{REPO}"), done.stderr
    assert hub.asked("xet-write-token") and not hub.asked("objects/batch")
    data = (weights / f"recognizer/{SHARD}").read_bytes()
    files = hub.repositories["model", REPO].files
    assert files[f"recognizer/{SHARD}"].decode() == hashlib.sha256(data).hexdigest()
    assert command().stdout.rstrip().endswith("unchanged")
    assert len(hub.repositories["model", REPO].commits) == 2


def test_a_hub_without_xet_is_explained(command, hub):
    done = command()
    assert (done.returncode, done.stdout) == (2, "")
    assert "push: pushing to ann/formulas: " in done.stderr
    assert "HF_HUB_DISABLE_XET=1" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(hub.repositories["model", REPO].commits) == 1
