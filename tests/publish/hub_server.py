"""A hub of one's own: the few addresses that an upload speaks to, on this machine.

The one place where a stand-in is right, as the real thing is a network. It answers as the hub
does and keeps what arrives. It takes large files by LFS: the storage behind Xet is no place to
imitate, so clients are told to leave it (`HF_HUB_DISABLE_XET`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LARGE = (".onnx", ".safetensors")
OWNERS = {"secret": "me", "guest": "guest"}
"""Token to the user that it is of."""


@dataclass
class Repository:
    private: bool
    commits: list[dict[str, Any]] = field(default_factory=list)
    branches: set[str] = field(default_factory=lambda: {"main"})


@dataclass
class Hub:
    """What has arrived.

    Attributes:
        url: of the server.
        repositories: by `OWNER/NAME`.
        large: contents of large files by their SHA-256.
        requests: method and path of each.
        broken: a part of a path that is answered with an internal error.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    broken: str | None = None

    def files(self, repository: str) -> dict[str, bytes]:
        """What the last commit brought, by path."""
        found = {}
        for item in self.repositories[repository].commits[-1]["items"]:
            value = item["value"]
            if item["key"] == "file":
                found[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                found[value["path"]] = self.large[value["oid"]]
        return found


@contextmanager
def running() -> Iterator[Hub]:
    """A hub while the block lasts."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        self.state.requests.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {}
        try:
            if self.state.broken and self.state.broken in path:
                raise _RefusedError(500, "the hub has a bad day")
            status, content = 200, self._answer(path, body)
        except _RefusedError as refusal:
            status, content = refusal.status, {"error": str(refusal)}
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": str(refusal)}
        text = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def _answer(self, path: str, body: bytes) -> Any:
        if found := re.fullmatch(r"/lfs/(\w+)", path):
            assert hashlib.sha256(body).hexdigest() == found[1]
            self.state.large[found[1]] = body
            return {}
        user = self._user()
        if path == "/api/whoami-v2":
            return {"type": "user", "name": user}
        if path == "/api/validate-yaml":
            assert json.loads(body)["content"].startswith("---\n")
            return {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            return self._create(user, json.loads(body))
        found = re.fullmatch(r"/api/models/(\w+/[\w.-]+)(?:/(\w+)/(.+))?", path)
        if found:
            return self._of_repository(user, found[1], found[2], found[3], body)
        found = re.fullmatch(r"/(\w+/[\w.-]+)\.git/info/lfs/objects/batch", path)
        assert found, path
        return self._batch(json.loads(body))

    def _user(self) -> str:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in OWNERS:
            raise _RefusedError(401, "Invalid credentials in Authorization header")
        return OWNERS[token]

    def _create(self, user: str, wish: dict[str, Any]) -> Any:
        owner = wish.get("organization") or user
        self._require_owner(user, owner)
        name = f"{owner}/{wish['name']}"
        # Clients of version 1 say `private`, those of version 2 a visibility.
        private = wish.get("private", wish.get("visibility") == "private")
        self.state.repositories[name] = Repository(private=private)
        return {"url": f"{self.state.url}/{name}"}

    def _require_owner(self, user: str, owner: str) -> None:
        if user != owner:
            raise _RefusedError(403, f"you don't have the rights to write in {owner}")

    def _of_repository(
        self, user: str, name: str, verb: str | None, revision: str | None, body: bytes
    ) -> Any:
        repository = self.state.repositories.get(name)
        if repository is None:
            raise _RefusedError(404, "Repository not found", code="RepoNotFound")
        if verb is None:
            return {"id": name, "private": repository.private, "sha": "0" * 40}
        self._require_owner(user, name.partition("/")[0])
        assert revision is not None
        if verb == "branch":
            repository.branches.add(revision)
            return {}
        assert revision in repository.branches
        if verb == "preupload":
            return {"files": [_mode(file["path"]) for file in json.loads(body)["files"]]}
        assert verb == "commit"
        items = [json.loads(line) for line in body.splitlines()]
        header = items.pop(0)["value"]
        repository.commits.append({"header": header, "items": items, "revision": revision})
        number = f"{len(repository.commits):040x}"
        return {"commitUrl": f"{self.state.url}/{name}/commit/{number}", "commitOid": number}

    def _batch(self, wish: dict[str, Any]) -> Any:
        assert "basic" in wish["transfers"]
        return {
            "transfer": "basic",
            "objects": [
                {**one, "actions": {"upload": {"href": f"{self.state.url}/lfs/{one['oid']}"}}}
                for one in wish["objects"]
            ],
        }


def _mode(path: str) -> dict[str, Any]:
    mode = "lfs" if path.endswith(LARGE) else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False}
