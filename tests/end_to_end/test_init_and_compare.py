"""A file that a run starts from, two artifacts side by side, completion of the shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from glp_export.artifact import ArtifactLayout
from glp_export.cli.app import run
from glp_export.cli.init import of_target
from glp_export.config.files import read_file, resolve
from tests.tiny import rows, write_jsonl

ROOT = Path(__file__).resolve().parents[2]
GIVEN = ("init", "-m", "bert", "--dataset", "trec", "--target", "2x@1x32", "-o", "out/trec")
BRIEF = (
    *("--bench-seconds", "0.1", "--bench-rounds", "3", "--batch-sizes", "1", "--seq-lens", "16"),
    *("--threads", "1", "--device", "cpu", "-q"),
)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("2x", {"target_speedup": "2"}),
        ("2.5×@8x128", {"target_speedup": "2.5@8x128"}),
        ("2", {"target_speedup": "2"}),
        ("10ms@1x128", {"latency_budget": "10ms@1x128"}),
        ("p95 10 ms@1x128", {"latency_budget": "p95 10 ms@1x128"}),
        ("8.5MB", {"size_budget": "8.5MB"}),
        ("800 kB", {"size_budget": "800 kB"}),
        ("drop 0.01", {"max_drop": 0.01}),
        ("6 layers", {"depth": 6}),
    ],
)
def test_a_target_is_a_setting(text, settings):
    assert of_target(text) == settings
    resolve({**settings, "model": "m"})


def test_flags_make_the_file_without_a_question(tmp_path, capsys):
    file = tmp_path / "new" / "run.yaml"
    assert run([*GIVEN, "--file", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert yaml.safe_load(file.read_text()) == told["settings"]
    config = resolve({}, Path(told["file"]))
    assert (config.model.model, config.data.dataset) == ("bert", "trec")
    assert config.targets.speedups[0].value == 2
    assert read_file(file)["output"] == "out/trec"


def test_a_file_is_not_replaced_unasked(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("mine")
    assert run([*GIVEN, "--file", str(file)]) == 8
    assert file.read_text() == "mine"
    assert run([*GIVEN, "--file", str(file), "--overwrite"]) == 0


@pytest.mark.parametrize("target", ["fast", "0.5x", "drop much", "p97 1ms"])
def test_a_target_that_cannot_be_read_writes_nothing(target, tmp_path, capsys):
    file = tmp_path / "run.yaml"
    arguments = ["init", "-m", "b", "--dataset", "d", "--target", target, "-o", "o"]
    assert run([*arguments, "--file", str(file)]) == 2
    assert not file.exists()
    assert "do:" in capsys.readouterr().err


def test_without_a_terminal_the_missing_flag_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    assert run(["init", "-m", "bert", "--file", str(tmp_path / "run.yaml")]) == 2
    assert "--dataset" in capsys.readouterr().err


def test_an_artifact_beside_itself(artifact, data, capsys):
    """Answers and file are the same, so every difference is 0 and no label differs."""
    arguments = ["compare", str(artifact), str(artifact), *BRIEF, "--dataset", str(data)]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["a"] == found["b"]
    scores = found["scores"]
    assert (scores["difference"], scores["low"], scores["high"], scores["changed"]) == (0, 0, 0, 0)
    assert scores["examples"] == 40
    (latency,) = found["latencies"]
    assert latency["speedup"]["low"] <= latency["speedup"]["value"] <= latency["speedup"]["high"]


def test_labels_in_another_order_are_the_same_labels(artifact, served, data, tmp_path, capsys):
    out = tmp_path / "served"
    assert run(["export", str(served), "-o", str(out), *BRIEF, "--max-length", "32"]) == 0
    capsys.readouterr()
    assert run(["compare", str(artifact), str(out), *BRIEF, "--dataset", str(data)]) == 0
    told = capsys.readouterr().out
    assert "B less A" in told
    assert "as fast as A" in told
    assert "size: A" in told


def test_other_labels_are_named_where_there_are_as_many(artifact, data, tmp_path, capsys):
    other = shutil.copytree(artifact, tmp_path / "other")
    edit_labels(other, ("no", "yes"))
    ArtifactLayout(other).write_checksums()
    capsys.readouterr()
    assert run(["compare", str(artifact), str(other), *BRIEF, "--dataset", str(data)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "(bad, good)" in told
    assert "(no, yes)" in told


@pytest.mark.parametrize("names", [("Good", "Bad"), ("LABEL_1", "LABEL_0")])
def test_rows_are_paired_whatever_each_run_recorded(artifact, data, tmp_path, capsys, names):
    """A copy with its labels the other way round, and another draw of test rows, differs in all."""
    numbered = names[0].startswith("LABEL")
    sides = [shutil.copytree(artifact, tmp_path / name) for name in "ab"]
    for place, side in enumerate(sides):
        own = names if place else (("0", "1") if numbered else ("bad", "good"))
        edit_labels(side, own)
        run_file = side / "glp" / "run.yaml"
        recorded = yaml.safe_load(run_file.read_text())
        other = {"max_test_samples": 20 + 10 * place, "seed": place}
        run_file.write_text(yaml.safe_dump({**recorded, **other}))
        ArtifactLayout(side).write_checksums()
    asked = data
    if numbered:
        asked = tmp_path / "numbers"
        for part in ("train", "validation"):
            lines = [json.loads(line) for line in (data / f"{part}.jsonl").read_text().splitlines()]
            write_jsonl(
                asked / f"{part}.jsonl",
                [{**row, "label": int(row["label"] == "good")} for row in lines],
            )
    arguments = ["compare", *map(str, sides), *BRIEF, "--dataset", str(asked), "--json"]
    assert run(arguments) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["examples"] == 20
    assert scores["changed"] == 1
    assert scores["a"] + scores["b"] == pytest.approx(1)


def edit_labels(artifact: Path, names: tuple[str, ...]) -> None:
    """Rename the labels of an artifact, in the order of their ids."""
    config = artifact / "config.json"
    content = json.loads(config.read_text())
    content["id2label"] = {str(index): name for index, name in enumerate(names)}
    content["label2id"] = {name: index for index, name in enumerate(names)}
    config.write_text(json.dumps(content))
    serving = artifact / "ort_config.json"
    content = json.loads(serving.read_text())
    content["serving"]["labels"] = list(names)
    serving.write_text(json.dumps(content))


def test_lengths_that_neither_reads_are_left_out_unless_they_are_asked_for(artifact, capsys):
    place = BRIEF.index("--seq-lens")
    customary = (*BRIEF[:place], *BRIEF[place + 2 :])
    asked = ["compare", str(artifact), str(artifact), *customary, "--json"]
    assert run(asked) == 0
    shapes = [one["shape"] for one in json.loads(capsys.readouterr().out)["latencies"]]
    assert shapes
    assert "1x128" not in shapes
    assert run([*asked, "--seq-lens", "128"]) == 2


def test_artifacts_of_other_labels_are_not_scored(artifact, tmp_path, capsys):
    for part in ("train", "validation"):
        other = [{**row, "label": f"x{row['label']}"} for row in rows(20)]
        write_jsonl(tmp_path / "data" / f"{part}.jsonl", other)
    arguments = ["compare", str(artifact), str(artifact), *BRIEF]
    assert run([*arguments, "--dataset", str(tmp_path / "data")]) in (2, 7)
    assert run(["compare", str(artifact), str(tmp_path), *BRIEF]) == 7
    assert run([*arguments, "--precision", "int8"]) == 2


def test_the_shell_completes_commands_and_flags(tmp_path):
    program = tmp_path / "glp-export"
    program.write_text(f"#!{sys.executable}\nfrom glp_export.cli import main\nmain()\n")
    program.chmod(0o755)

    def completed(words: str) -> list[str]:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "_GLP_EXPORT_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        done = subprocess.run([program], env=environment, capture_output=True, text=True)
        return done.stdout.split()

    assert completed("glp-export comp") == ["compare"]
    assert "--max-seconds" in completed("glp-export gate --max")
