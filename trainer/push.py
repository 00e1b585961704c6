"""Upload weights to the Hugging Face Hub, and the app as a Space.

The embedded weights:  python -m trainer.push --repo user/name
Those of a run:        python -m trainer.push --repo user/name --model runs/NAME/final
With the app:          python -m trainer.push --repo user/name --space user/name

The token is that of `hf auth login` or of HF_TOKEN, and needs the right to write. Whatever changed
is one commit, made when all large files have arrived: a push that breaks off leaves the repository
as it was, and the same command goes on where it stopped. Then LatexOCR("user/name") loads it.
"""

import argparse
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import huggingface_hub
from httpx2 import HTTPError
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id

from latexocr.errors import LatexOCRError
from latexocr.hub import EMBEDDED, QUICK
from trainer.model_card import make_card, make_foreign_card, read_record
from trainer.push_files import (
    FIGURES,
    Files,
    find_parts,
    foreign_files,
    foreign_kind,
    license_text,
    part_files,
    space_files,
)

logger = logging.getLogger(__name__)

HOW_TO_LOG_IN = (
    "make one with the right to write at https://huggingface.co/settings/tokens and give it with "
    "`hf auth login` or in HF_TOKEN"
)


class PushError(LatexOCRError):
    """The Hub refuses, or cannot be reached."""


@dataclass(frozen=True)
class Upload:
    """Contents of a repository on the Hub, to be."""

    repo_id: str
    repo_type: Literal["model", "space"]
    files: Files
    # Beginnings of paths: what lies there and is not in files is deleted. A shard of older weights
    # beside newer ones would be loaded with them.
    owned: tuple[str, ...]


@dataclass(frozen=True)
class Pushed:
    """Where it is now; changed is False if all of it was there already, and no commit was made."""

    url: str
    commit: str
    changed: bool


def push_folder(
    folder: str | Path, repo_id: str, *, private: bool = False, message: str | None = None
) -> Pushed:
    """Upload weights with a model card made for them. A repository that is not there is made.

    Args: folder, as push_files.find_parts takes it: what a run left, or recognizer/ and detector/.
        A part that is not in it stays in the repository as it is. A TrOCR or BLIP checkpoint, which
        has no parts, lies at the top of its repository. repo_id, like user/name. private, for a new
        repository. message of the commit.
    Raises: ModelError or DataError if something is wrong in the folder, before anything is sent;
        PushError if the Hub refuses or cannot be reached."""
    return send(model_upload(Path(folder), repo_id), private=private, message=message)


def push_final(run_dir: Path, repo_id: str) -> None:
    """Push what a training has left. If that fails, the same training command only does this.

    Raises: PushError, ModelError or DataError as push_folder."""
    pushed = push_folder(run_dir / "final", repo_id)
    logger.info("%s: %s", "pushed to" if pushed.changed else "unchanged", pushed.url)


def model_upload(folder: Path, repo_id: str) -> Upload:
    """The repository of a model. Raises: ModelError, DataError or PushError; sends nothing."""
    _check_repo_id(repo_id)
    if foreign_kind(folder):
        return _foreign_upload(folder, repo_id)
    parts = find_parts(folder)
    files: Files = {}
    for part, place in parts.items():
        files |= part_files(part, place)
    licence = license_text(folder, parts)
    files["LICENSE"] = licence.encode()
    files["README.md"] = make_card(repo_id, list(parts), read_record(folder), licence).encode()
    if (folder / FIGURES).is_file():
        files[FIGURES] = folder / FIGURES
    return Upload(repo_id, "model", files, (*(f"{part}/" for part in (*parts, QUICK)), FIGURES))


def _foreign_upload(folder: Path, repo_id: str) -> Upload:
    """A checkpoint as transformers reads it, and as --model_from takes it back."""
    files = foreign_files(folder)
    licence = license_text(folder, {})
    files["LICENSE"] = licence.encode()
    card = make_foreign_card(repo_id, foreign_kind(folder) or "", read_record(folder), licence)
    files["README.md"] = card.encode()
    return Upload(repo_id, "model", files, ("model",))  # of older weights a shard might stay


def space_upload(folder: Path, space_id: str, repo_id: str) -> Upload:
    """A Space with the app and these weights, which also lie in the model repository repo_id.

    Raises: ModelError or PushError; sends nothing."""
    _check_repo_id(space_id)
    files = space_files(find_parts(folder), repo_id)
    return Upload(space_id, "space", files, ("latexocr/", "app.", "app_"))


def check_access(repo_id: str | None = None) -> None:
    """Find out whether there is a valid token that may write, before a long training needs it.

    Args: repo_id that is to be pushed to; whether it is a possible one is found out too.
    Raises: PushError if not, or if the Hub cannot be reached."""
    if repo_id is not None:
        _check_repo_id(repo_id)
    _log_in()


def send(upload: Upload, *, private: bool = False, message: str | None = None) -> Pushed:
    """Bring a repository to the wanted contents, in one commit, or in none if it has them.

    Raises: PushError if the Hub refuses or cannot be reached, or if the repository is to be private
        and is public."""
    repo_id, repo_type = upload.repo_id, upload.repo_type
    token = _log_in()
    api = HfApi(token=token)
    with _explained(f"pushing to {repo_id}", token):
        url = api.create_repo(
            repo_id,
            repo_type=repo_type,
            private=private or None,  # None: as the user or organisation has set for new ones
            space_sdk="gradio" if repo_type == "space" else None,
            exist_ok=True,
        )
        before = api.repo_info(repo_id, repo_type=repo_type)
        if private and not before.private:
            raise PushError(
                f"expected {repo_id} to be private, but it is there and public: make it private in "
                "its settings on the Hub, or push without --private"
            )
        there = [file.rfilename for file in before.siblings or []]
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(path, content) for path, content in upload.files.items()),
                *(CommitOperationDelete(path) for path in _outdated(there, upload)),
            ],
            commit_message=message or "Upload with trainer.push",
            repo_type=repo_type,
        )
    return Pushed(str(url), commit.oid, commit.oid != before.sha)


def _outdated(there: list[str], upload: Upload) -> list[str]:
    return [path for path in there if path.startswith(upload.owned) and path not in upload.files]


def _check_repo_id(repo_id: str) -> None:
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise PushError(f"expected a repository like user/name, got {error}") from error
    if "/" not in repo_id:
        raise PushError(f"expected a repository like user/name, got {repo_id!r}")


# --- The token, and what the Hub says -----------------------------------------------------------


def _log_in() -> str:
    """The token, after the Hub has accepted it. It must not get into any message."""
    token = huggingface_hub.get_token()
    if token is None:
        raise PushError(f"expected a Hugging Face token, got none; {HOW_TO_LOG_IN}")
    if not re.fullmatch(r"[!-~]+", token):  # the client would quote it in its error
        raise PushError(f"expected a token of ASCII letters, got other characters; {HOW_TO_LOG_IN}")
    with _explained("logging in", token):
        account = HfApi(token=token).whoami()
    if account.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise PushError(f"expected a token that may write, got one that may read; {HOW_TO_LOG_IN}")
    return token


@contextmanager
def _explained(doing: str, token: str) -> Iterator[None]:
    """Turn the client's errors into ours.

    Without their cause: a traceback of the client's errors may quote the request."""
    try:
        yield
    except LatexOCRError:
        raise
    except (OSError, RuntimeError, ValueError, HTTPError) as error:
        raise PushError(_explanation(error, doing).replace(token, "***")) from None


def _explanation(error: BaseException, doing: str) -> str:
    causes = [error]  # uploads of large files wrap what went wrong
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    for cause in causes:
        if isinstance(cause, HfHubHTTPError):
            return _refusal(cause, doing)
        if isinstance(cause, OfflineModeIsEnabled):
            return f"{doing}: expected a connection, but HF_HUB_OFFLINE is set"
        if isinstance(cause, HTTPError | ConnectionError | TimeoutError):
            if "/xet-write-token/" in str(cause):  # the client does not fall back by itself
                return f"{doing}: no Xet storage there, perhaps? Try HF_HUB_DISABLE_XET=1 ({cause})"
            return (
                f"{doing}: the connection to {huggingface_hub.constants.ENDPOINT} failed: {cause}. "
                "Files that have arrived are kept; the same command goes on from there"
            )
    return f"{doing}: {error}"


def _refusal(error: HfHubHTTPError, doing: str) -> str:
    status = error.response.status_code
    said = error.server_message or str(error).strip().splitlines()[0]
    answer = f"the Hub answered {status}: {said}"
    if status == 401:
        return f"{doing}: expected a valid token, but {answer}; {HOW_TO_LOG_IN}"
    if status == 403:
        return f"{doing}: expected a token that may write there, but {answer}; {HOW_TO_LOG_IN}"
    return f"{doing}: {answer}"


# --- The command line ---------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--repo", required=True, metavar="USER/NAME", help="repository for the weights")
    add("--space", metavar="USER/NAME", help="Space for the app, with the same weights")
    add("--model", type=Path, default=EMBEDDED, help="folder; default: the embedded weights")
    add("--private", action="store_true", help="new repositories are private")
    add("--message", help="of the commits")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Push, and print where it is now. Returns: exit status, 2 if something was refused."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    arguments = parse_arguments(argv)
    try:
        uploads = [model_upload(arguments.model, arguments.repo)]
        if arguments.space:
            uploads.append(space_upload(arguments.model, arguments.space, arguments.repo))
        for upload in uploads:
            pushed = send(upload, private=arguments.private, message=arguments.message)
            print(f"{pushed.url}  {pushed.commit[:8]}{'' if pushed.changed else '  unchanged'}")
    except LatexOCRError as error:
        print(f"push: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
