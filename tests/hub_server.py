"""A Hugging Face Hub of one's own: as much of its HTTP API as uploading and downloading need.

with HubServer() as hub:
    hub.tokens["hf_ann"] = Account("ann")
    ...                                     # the client, pointed at hub.url by HF_ENDPOINT
    hub.repositories["model", "ann/name"].files["README.md"]

What it answers was taken from the client's source, and errors from the Hub's own wording. Large
files go the way of git LFS, basic transfer. Where the client has Xet it does not ask for LFS at
all, but for a token for Xet; it is refused, unless `xet_store` names a folder for the files.
"""

import base64
import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

LARGE_FILE = re.compile(r"\.(safetensors|bin|pt|pth|pkl|ckpt|onnx|npz|png|ttf)$")
REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass(frozen=True)
class Account:
    """Whose token it is, and what it may do: write or read."""

    user: str
    role: str = "write"


@dataclass(frozen=True)
class Commit:
    oid: str
    message: str
    files: dict[str, bytes]  # all of the repository, by path


@dataclass
class Repository:
    """A repository with its history; a new one holds what the Hub puts there."""

    private: bool = False
    sdk: str | None = None  # of a Space
    commits: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commit("initial commit", {".gitattributes": b"*.safetensors filter=lfs\n"})

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1].files

    def commit(self, message: str, files: dict[str, bytes]) -> Commit:
        text = repr((len(self.commits), message, sorted(files)))
        made = Commit(hashlib.sha1(text.encode()).hexdigest(), message, files)
        self.commits.append(made)
        return made

    def at(self, revision: str) -> Commit | None:
        found = [c for c in self.commits if c.oid == revision]
        return self.commits[-1] if revision == "main" else (found or [None])[0]


class InXet(bytes):
    """Stands for a file that only the Xet store has: its SHA-256, hexadecimal."""


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, code: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message} | more


class HubServer:
    """The Hub's state, and the thread that serves it at `url`."""

    def __init__(self) -> None:
        self.tokens: dict[str, Account] = {}
        self.repositories: dict[tuple[str, str], Repository] = {}  # by type and id
        self.large: dict[str, bytes] = {}  # contents of large files by their SHA-256
        self.requests: list[str] = []  # method and path of each
        self.sent: list[bytes] = []  # bodies of all requests
        self.xet_store: Path | None = None
        # From that many uploads of large files on, connections break half-way through the file.
        self.uploads_until_break: int | None = None
        self.downloads_break = False
        self.commit_error = ""  # with which it fails to make any commit
        self.read_only: set[str] = set()  # ids of repositories that nobody may write to
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.hub = self
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "HubServer":
        # The default of half a second would be added to every test.
        serve = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        serve.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def asked(self, pattern: str) -> list[str]:
        """Requests whose method and path match."""
        return [request for request in self.requests if re.search(pattern, request)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as the client expects

    # --- HTTP ---------------------------------------------------------------------------------

    def _answer(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        try:
            for method, pattern, respond in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method == self.command:
                    return respond(self, **match.groupdict())
            raise Refusal(404, f"no such route: {path}")
        except Refusal as refusal:
            headers = {"X-Error-Message": refusal.body["error"]}
            headers |= {"X-Error-Code": refusal.code} if refusal.code else {}
            self._body()  # unread, it would be taken for the next request
            self._send(refusal.body, refusal.status, headers)

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(body, bytes) and self.server.hub.downloads_break:
            self.wfile.write(data[: len(data) // 2])
            return self._break()
        self.wfile.write(data)

    def _body(self) -> bytes:
        """The request's body; once read it is remembered."""
        if getattr(self, "read_for", None) is not self.headers:
            self.read_for, self.read = self.headers, b"".join(self._chunks())
            self.server.hub.sent.append(self.read)
        return self.read

    def _chunks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self) -> Any:
        return json.loads(self._body())

    def _break(self) -> None:
        """End the connection as a pulled plug does: reset, not closed."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        with suppress(OSError):
            self.connection.close()

    # --- Who may do what ----------------------------------------------------------------------

    def _account(self) -> Account | None:
        """Whose request it is, None for anybody's."""
        header = self.headers.get("Authorization")
        if header is None:
            return None
        account = self.server.hub.tokens.get(header.removeprefix("Bearer "))
        if account is None:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return account

    def _readable(self, kind: str, repo: str) -> Repository:
        account = self._account()
        found = self.server.hub.repositories.get((kind, repo))
        own = account is not None and repo.startswith(f"{account.user}/")
        if found is None or (found.private and not own):
            status = 404 if account else 401  # the Hub does not say which names are taken
            raise Refusal(status, "Repository not found", "RepoNotFound")
        return found

    def _writable(self, kind: str, repo: str) -> Repository:
        found = self._readable(kind, repo)
        account = self._account()
        if account is None:
            raise Refusal(401, "Invalid username or password.")
        own = repo.startswith(f"{account.user}/") and repo not in self.server.hub.read_only
        if account.role != "write" or not own:
            raise Refusal(403, "Forbidden: you must use a write token to upload to a repository.")
        return found

    # --- The API ------------------------------------------------------------------------------

    def whoami(self) -> None:
        account = self._account()
        if account is None:
            raise Refusal(401, "Invalid username or password.")
        token = {"displayName": "test", "role": account.role}
        self._send({"type": "user", "name": account.user, "orgs": [],
                    "auth": {"type": "access_token", "accessToken": token}})  # fmt: skip

    def create(self) -> None:
        wanted, account = self._json(), self._account()
        kind, owner = wanted.get("type", "model"), wanted["organization"]
        if account is None or account.role != "write" or account.user != owner:
            raise Refusal(403, f'You don\'t have the rights to create a {kind} under "{owner}"')
        repo = f"{owner}/{wanted['name']}"
        url = f"{self.server.hub.url}/{'' if kind == 'model' else f'{kind}s/'}{repo}"
        if (kind, repo) in self.server.hub.repositories:
            raise Refusal(409, f"You already created this {kind} repo", url=url)
        private = wanted.get("visibility") == "private"
        self.server.hub.repositories[kind, repo] = Repository(private, wanted.get("sdk"))
        self._send({"url": url, "name": repo, "id": repo})

    def info(self, kind: str, repo: str, revision: str | None = None) -> None:
        found = self._readable(kind, repo)
        commit = self._commit_of(found, revision or "main")
        self._send({"id": repo, "sha": commit.oid, "private": found.private, "tags": [],
                    "siblings": [{"rfilename": path} for path in commit.files]})  # fmt: skip

    def tree(self, kind: str, repo: str, revision: str) -> None:
        files = self._commit_of(self._readable(kind, repo), revision).files
        self._send([_entry(path, data) for path, data in files.items()])

    def _commit_of(self, repository: Repository, revision: str) -> Commit:
        commit = repository.at(revision)
        if commit is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def validate_yaml(self) -> None:
        front_matter = self._json()["content"].split("---\n")[1]
        if not isinstance(yaml.safe_load(front_matter), dict):
            raise Refusal(400, "Invalid metadata", errors=[{"message": "not a mapping"}])
        self._send({"errors": [], "warnings": []})

    def preupload(self, kind: str, repo: str, revision: str) -> None:
        files = self._commit_of(self._writable(kind, repo), revision).files
        self._send({"files": [
            {
                "path": path,
                "uploadMode": "lfs" if LARGE_FILE.search(path) else "regular",
                "shouldIgnore": False,
                "oid": _oid(path, files[path]) if path in files else None,
            }
            for path in (file["path"] for file in self._json()["files"])
        ]})  # fmt: skip

    def lfs_batch(self, repo: str, kinds: str | None = None) -> None:
        self._writable(_kind(kinds), repo)
        hub = self.server.hub
        self._send({"transfer": "basic", "objects": [
            wanted if wanted["oid"] in hub.large
            else wanted | {"actions": {"upload": {"href": f"{hub.url}/lfs/{wanted['oid']}"}}}
            for wanted in self._json()["objects"]
        ]})  # fmt: skip

    def lfs_upload(self, oid: str) -> None:
        hub = self.server.hub
        with hub.lock:
            breaks = hub.uploads_until_break == 0
            if hub.uploads_until_break:
                hub.uploads_until_break -= 1
        if breaks:
            self.rfile.read(1000)
            return self._break()
        data = self._body()
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refusal(400, "the content is not what its name says")
        hub.large[oid] = data
        self._send({})

    def commit(self, kind: str, repo: str, revision: str) -> None:
        found = self._writable(kind, repo)
        if self.server.hub.commit_error:
            raise Refusal(500, self.server.hub.commit_error)
        header, *changes = [json.loads(line) for line in self._body().splitlines()]
        files = dict(found.files)
        for change in changes:
            self._apply(change["key"], change["value"], files)
        made = found.commit(header["value"]["summary"], files)
        url = f"{self.server.hub.url}/{repo}/commit/{made.oid}"
        self._send({"success": True, "commitOid": made.oid, "commitUrl": url})

    def _apply(self, key: str, value: dict[str, Any], files: dict[str, bytes]) -> None:
        path = value["path"]
        if key == "file":
            files[path] = base64.b64decode(value["content"])
        elif key == "lfsFile" and value["oid"] in self.server.hub.large:
            files[path] = self.server.hub.large[value["oid"]]
        elif key == "deletedFile" and path in files:
            del files[path]
        elif key == "lfsFile" and self.server.hub.xet_store:
            files[path] = InXet(value["oid"].encode())
        else:
            raise Refusal(400, f"{key} {path}: nothing was uploaded, or is there, by this name")

    def resolve(self, repo: str, revision: str, path: str, kinds: str | None = None) -> None:
        found = self._readable(_kind(kinds), repo)
        commit = self._commit_of(found, revision)
        if path not in commit.files:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        etag = f'"{_oid(path, commit.files[path])}"'
        self._send(commit.files[path], headers={"ETag": etag, "X-Repo-Commit": commit.oid})

    def xet_token(self, kind: str, repo: str, revision: str) -> None:
        self._writable(kind, repo)
        if not self.server.hub.xet_store:
            raise Refusal(404, "Xet is not enabled for this repository")
        store, expires = f"local://{self.server.hub.xet_store}", int(time.time()) + 3600
        self._send({"casUrl": store, "exp": expires, "accessToken": "xet"})


def _oid(path: str, data: bytes) -> str:
    """SHA-256 of large files; of others git's name for their content."""
    if isinstance(data, InXet):
        return data.decode()
    if LARGE_FILE.search(path):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(data), "oid": _oid(path, data)[:40]}
    if LARGE_FILE.search(path):
        entry["lfs"] = {"oid": _oid(path, data), "size": len(data), "pointerSize": 130}
    return entry


def _kind(kinds: str | None) -> str:
    """What a path's prefix stands for: models have none."""
    return kinds.removesuffix("s") if kinds else "model"


API = rf"/api/(?P<kind>model|space|dataset)s/{REPO}"
FILES = rf"/(?:(?P<kinds>spaces|datasets)/)?{REPO}"
ROUTES = [
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate_yaml),
    ("GET", API + r"(?:/revision/(?P<revision>[^/]+))?", _Handler.info),
    ("GET", API + r"/tree/(?P<revision>[^/]+)", _Handler.tree),
    ("POST", API + r"/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    ("POST", API + r"/commit/(?P<revision>[^/]+)", _Handler.commit),
    ("GET", API + r"/xet-write-token/(?P<revision>[^/]+)", _Handler.xet_token),
    ("POST", FILES + r"\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_upload),
    *[
        (method, FILES + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)", respond)
        for method, respond in [("HEAD", _Handler.resolve), ("GET", _Handler.resolve)]
    ],
]
