"""Uploading through the command, against a small hub on this machine: what arrives there counts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.report.card import card_text
from tests.cli.screen import glp_export, on_terminal
from tests.publish.hub_server import Hub, Repository, running
from tests.report.helpers import make_benchmark, make_facts, make_parity, make_plan

BUDGET = "glp/budget.toml"


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A directory as a run leaves it, its models small."""
    layout = ArtifactLayout(tmp_path / "out" / "trec")
    card = card_text(make_plan(), make_benchmark(), make_parity(), make_facts())
    contents = {
        layout.card: card,
        layout.config: "{}",
        layout.weights: "weights",
        layout.onnx_model: "graph",
        layout.run_config: f"model: {tmp_path}/encoder\ndepth: 3\n",
        layout.budget: "[cpu.fp32]\nkeep = []\n",
    }
    for path, text in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    layout.write_checksums()
    return layout.root


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as hub:
        yield hub


def settings(hub: Hub, token: str = "secret") -> dict[str, str]:
    nobody = "/nonexistent/token"  # the one of who runs the tests is none of their business
    own = {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HF_TOKEN_PATH": nobody}
    network = {"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "", "HF_HUB_DISABLE_XET": "1"}
    return {**own, **network}


def push(hub: Hub, *arguments: object, token: str = "secret") -> subprocess.CompletedProcess[str]:
    """Push without a terminal."""
    environment = {**os.environ, **settings(hub, token)}
    return subprocess.run(
        glp_export("push", *arguments),
        env={name: value for name, value in environment.items() if value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_the_files_that_were_verified_arrive_and_no_others(hub: Hub, artifact: Path):
    (artifact / "work").mkdir()
    (artifact / "work" / "journal.jsonl").write_text("{}")
    (artifact / "notes.txt").write_text("mine")
    done = push(hub, artifact, "me/trec-3", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["pushed"]
    files = hub.files("me/trec-3")
    assert set(files) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "onnx/model.onnx",
        "glp/run.yaml",
        "glp/SHA256SUMS",
        BUDGET,
    }
    assert all((artifact / name).read_bytes() == content for name, content in files.items())
    assert told == {
        "repo_id": "me/trec-3",
        "url": f"{hub.url}/me/trec-3",
        "revision": "main",
        "commit": f"{1:040x}",
        "private": False,
        "files": 7,
        "bytes": sum(map(len, files.values())),
    }
    repository = hub.repositories["me/trec-3"]
    assert not repository.private
    assert repository.commits[0]["header"]["summary"] == "Upload trec"
    assert "they stay: notes.txt" in done.stderr
    assert "name paths of this machine: --model" in done.stderr


def test_private_with_a_branch_and_a_message_under_ones_own_name(hub: Hub, artifact: Path):
    given = ("--private", "--revision", "v2", "--commit-message", "Half of it", "--yes", "-q")
    done = push(hub, artifact, "trec-3", *given)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "uploaded:" in done.stdout
    assert "me/trec-3 (private, v2, commit 000000000000)" in done.stdout
    repository = hub.repositories["me/trec-3"]
    assert repository.private
    assert repository.commits[0]["revision"] == "v2"
    assert repository.commits[0]["header"]["summary"] == "Half of it"


def test_a_person_is_shown_what_goes_where_and_asked(hub: Hub, artifact: Path):
    command = glp_export("push", artifact, "me/trec-3", "--private")
    refused = on_terminal(command, environment=settings(hub), answer="n\n")
    assert refused.code == 0, refused.raw
    assert refused.out == "nothing was uploaded\n"
    assert not hub.repositories
    said = " ".join(refused.ever.split())
    assert f"{hub.url}/me/trec-3: a new private repository" in said
    assert "7 files, " in said
    assert "onnx/model.onnx" in said
    agreed = on_terminal(command, environment=settings(hub), answer="y\n")
    assert agreed.code == 0, agreed.raw
    assert agreed.out.startswith("uploaded: ")
    assert "onnx/model.onnx" in hub.files("me/trec-3")


def test_an_edited_file_is_not_uploaded(hub: Hub, artifact: Path):
    with (artifact / "onnx" / "model.onnx").open("a") as stream:
        stream.write("!")
    done = push(hub, artifact, "me/trec-3", "--yes")
    assert done.returncode == 3
    assert "onnx/model.onnx is not the file that was exported" in done.stderr
    assert "nothing was uploaded" in done.stderr
    assert not hub.requests


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["me/trec-3"], 2, "add --yes"),
        (["me/trec-3", "--yes", "--offline"], 2, "--offline forbids"),
        (["me//trec", "--yes"], 2, "cannot be a repository's name"),
    ],
)
def test_what_is_refused_before_the_hub_is_asked(arguments, code, message, hub, artifact):
    done = push(hub, artifact, *arguments)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert not hub.requests


def test_without_a_token_or_with_a_wrong_one(hub: Hub, artifact: Path):
    done = push(hub, artifact, "me/trec-3", "--yes", token="")
    assert done.returncode == 7
    assert "hf auth login" in done.stderr
    assert not hub.requests
    done = push(hub, artifact, "me/trec-3", "--yes", token="wrong")
    assert done.returncode == 7
    assert "does not know the token" in done.stderr


def test_where_the_token_has_no_right_to_write(hub: Hub, artifact: Path):
    done = push(hub, artifact, "me/trec-3", "--yes", token="guest")
    assert done.returncode == 7
    assert "you don't have the rights to write in me" in done.stderr
    assert "--token with the right to write" in done.stderr


def test_a_public_repository_is_not_made_private_in_silence(hub: Hub, artifact: Path):
    hub.repositories["me/trec-3"] = Repository(private=False)
    done = push(hub, artifact, "me/trec-3", "--yes", "--private")
    assert done.returncode == 2
    assert "everyone can read it" in done.stderr
    assert not hub.repositories["me/trec-3"].commits


def test_a_hub_that_fails_and_one_that_is_not_there(hub: Hub, artifact: Path):
    hub.broken = "/commit/"
    done = push(hub, artifact, "me/trec-3", "--yes")
    assert done.returncode == 7
    assert "500" in done.stderr
    assert "Traceback" not in done.stderr
    gone = Hub(url="http://127.0.0.1:9")  # the discard port: nobody listens
    done = push(gone, artifact, "me/trec-3", "--yes")
    assert done.returncode == 7
    assert "look at the network and HF_ENDPOINT" in done.stderr


def test_what_is_no_artifact_is_not_uploaded(hub: Hub, tmp_path: Path):
    done = push(hub, tmp_path, "me/trec-3", "--yes")
    assert done.returncode == 7
    assert "no artifact of glp-export" in done.stderr
    assert not hub.requests
