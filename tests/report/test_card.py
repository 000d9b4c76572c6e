from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from glp_export.artifact import EXPORTERS, ArtifactLayout, export_onnx
from glp_export.bench.target_outcome import TargetOutcome
from glp_export.report.card import card_text
from tests.report.helpers import DIFFERENCES, make_benchmark, make_facts, make_parity, make_plan


def card(**changes: object) -> str:
    given = {
        "plan": make_plan(),
        "benchmark": make_benchmark(differences=DIFFERENCES),
        "parity": make_parity(),
        "facts": make_facts(),
    }
    return card_text(**{**given, **changes})  # type: ignore[arg-type]


def front_matter(text: str) -> dict[str, object]:
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert match is not None
    metadata = yaml.safe_load(match.group(1))
    assert isinstance(metadata, dict)
    return metadata


def tables(text: str) -> list[list[str]]:
    """The Markdown tables, each a list of lines."""
    return [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory, classifier: Path) -> Path:
    """A tiny artifact with its card: checkpoint, tokenizer, both ONNX files."""
    root = tmp_path_factory.mktemp("card") / "artifact"
    shutil.copytree(classifier, root)
    layout = ArtifactLayout(root)
    config = json.loads(layout.config.read_text())
    names = {"id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}
    layout.config.write_text(json.dumps({**config, **names}))
    export_onnx(classifier, layout.onnx_model, export_task="text-classification", opset=None)
    shutil.copyfile(layout.onnx_model, layout.variant("fp32-optimized"))
    layout.card.write_text(card(benchmark=make_benchmark()), encoding="utf-8")
    layout.write_checksums()
    return root


def snippets(text: str) -> dict[str, str]:
    """The card's Python by the library that it shows."""
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = ("import glp_export", "import onnxruntime", "from optimum.onnxruntime", "import torch")
    return {name: code for name in names for code in found if name in code}


def run(codes: dict[str, str], directory: Path, after: str = "") -> dict[str, str]:
    """Run snippets as a reader would, from within the artifact; what each of them printed.

    One process for all, since importing the libraries is what takes time; each has its own names.
    """
    script = "".join(f"exec({code + after!r}, {{}})\nprint('=====')\n" for code in codes.values())
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(codes, map(str.strip, done.stdout.split("=====")), strict=False))


def test_every_snippet_runs_and_all_agree(artifact: Path) -> None:
    text = (artifact / "README.md").read_text()
    codes = snippets(text)
    assert len(codes) == 4
    assert sorted(codes, key=text.index)[0] == "import glp_export"
    if not EXPORTERS["optimum"].available():  # nor is optimum.onnxruntime
        del codes["from optimum.onnxruntime"]
    codes["import glp_export"] += "logits = answers.logits\n"
    show = "\nprint([[round(float(one), 4) for one in row] for row in logits])"
    answers = run(codes, artifact, show)
    assert len(set(answers.values())) == 1, answers
    assert re.match(r"\['(good|bad)', '(good|bad)'\]", answers["import torch"])


@pytest.mark.parametrize("name", ["import glp_export", "import onnxruntime"])
def test_serving_needs_neither_torch_nor_transformers(artifact: Path, name: str) -> None:
    code = snippets((artifact / "README.md").read_text())[name]
    run(
        {name: code},
        artifact,
        '\nimport sys\nassert not {"torch", "transformers"} & {*sys.modules}',
    )


def test_snippets_for_pairs_and_for_regression_run(artifact: Path, tmp_path: Path) -> None:
    layout = ArtifactLayout(shutil.copytree(artifact, tmp_path / "regression"))
    config = json.loads(layout.config.read_text())
    layout.config.write_text(json.dumps({**config, "problem_type": "regression"}))
    layout.write_checksums()
    text = card(facts=make_facts(text_pair=True, labels=(), kind="regression"))
    codes = snippets(text)
    firsts = '["One text.", "Another text."], ["Its partner.", "A partner that is longer."]'
    assert firsts in codes["import torch"]
    names = ("import glp_export", "import onnxruntime", "import torch")
    printed = run({name: codes[name] for name in names}, layout.root)
    served, *scores = [json.loads(numbers) for numbers in printed.values()]
    scores.append([first for first, _ in served])  # this model has two outputs, and gives both
    for other in scores[1:]:
        assert scores[0] == pytest.approx(other, abs=1e-5)  # fp32 logits of order 0.1
    assert len(scores[0]) == 2


def test_the_card_says_what_was_removed_what_it_cost_and_what_it_gained() -> None:
    text = card()
    assert "3 of 6 layers of `nreimers/MiniLM-L6-H384-uncased` were removed" in text
    assert "Order of removal: 5, 3, 1." in text
    assert "input 0 · 2 · 4 · head" in text
    assert "accuracy 0.888, unpruned 0.924" in text
    assert "−0.036 (−0.058 to −0.014)" in text
    assert "4.2 % (2.7–6.4) in fp32" in text
    assert "4.44× (4.31–4.58) as fast as unpruned PyTorch" in text
    assert "2.22× (2.16–2.29) as fast as unpruned ONNX Runtime" in text
    assert "Test CPU" in text
    assert "2000 labelled examples, 3 passes" in text
    assert "its weights saw the examples in both trainings" in text
    assert "glp-export prune-and-export -m minilm" in text


def test_the_card_says_whether_each_target_was_kept() -> None:
    kept = TargetOutcome(
        target="1.5× at 1×32", kept=True, unit="x", value=2.73, low=2.66, high=2.85, file="m.onnx"
    )
    text = card(benchmark=make_benchmark(targets=(kept,)))
    first = next(line for line in text.splitlines() if line.startswith("- target"))
    assert first == "- target: 1.5× at 1×32: kept, 2.73× (2.66–2.85), m.onnx"
    title = next(line for line in text.splitlines() if line.startswith("# "))
    assert text[text.index(title) + len(title) :].lstrip().startswith(first)


def test_warnings_come_before_the_numbers() -> None:
    text = card()
    assert text.index("small test set: 500 examples") < text.index("## What it cost")
    assert "the pruned model is significantly worse" in text
    quiet = make_benchmark(
        metrics=tuple(row.model_copy(update={"samples": 9000}) for row in make_benchmark().metrics)
    )
    assert "Before you rely" not in card(benchmark=quiet)


def test_the_front_matter_is_what_the_hub_reads() -> None:
    metadata = front_matter(card())
    assert {name: value for name, value in metadata.items() if name != "model-index"} == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["onnx", "onnxruntime", "layer-pruning", "glp-export"],
        "metrics": ["accuracy"],
        "base_model": "nreimers/MiniLM-L6-H384-uncased",
        "base_model_relation": "finetune",
    }


@pytest.mark.parametrize("base", ["/models/my-bert", "../shared/minilm", "demo", "a/b/c", "./x"])
def test_a_local_base_model_is_named_but_not_linked(base: str) -> None:
    text = card(plan=make_plan(base_model=base))
    assert "base_model" not in front_matter(text)
    assert f"`{Path(base).name}`" in text
    assert not base.startswith("/") or base not in text


def test_licence_and_the_hubs_own_names_of_metrics() -> None:
    benchmark = make_benchmark(metric="spearman")
    metadata = front_matter(card(benchmark=benchmark, facts=make_facts(license="apache-2.0")))
    assert metadata["license"] == "apache-2.0"
    assert metadata["metrics"] == ["spearmanr"]


def test_tables_are_whole_whatever_stands_in_them() -> None:
    origins = {"unpruned": "a|b\nc", "pruned": "a|b", "distilled": "d"}
    facts = make_facts(origins=origins, data="data/`odd`")
    text = card(facts=facts)
    assert len(tables(text)) == 5
    for table in tables(text):
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        assert len(bars) == 1, table
    assert "`data/'odd'`" in text


def test_the_plain_file_is_shown_where_it_is_the_fastest_or_the_only_one() -> None:
    benchmark = make_benchmark()
    plain = tuple(row for row in benchmark.rows if "optimized" not in row.variant)
    parity = replace(make_parity(), files=make_parity().files[:1])
    text = card(benchmark=make_benchmark(rows=plain), parity=parity)
    assert 'InferenceSession("onnx/model.onnx"' in text
    assert "model_optimized" not in text
    assert "operators of ONNX Runtime" not in text


def test_the_tolerance_of_numbers_is_that_from_their_mean() -> None:
    text = card(parity=make_parity(atol=0.0701234, centre=2001.5))
    assert "| 0.0701 + 0.001 · abs(logit - 2001.5) |" in text
    assert "| 0.0001 + 0.001 · abs(logit) |" in text


def test_the_card_says_what_every_model_was_trained_on() -> None:
    plain = card()
    assert "2000 labelled examples" in plain
    assert "texts without labels" not in plain
    alone = card(facts=make_facts(labelled=False))
    assert "2000 texts" in alone
    assert "labelled examples" not in alone
    assert "500 texts without labels" in card(facts=make_facts(unlabeled=500))


def test_a_plan_from_elsewhere_says_so() -> None:
    text = card(plan=make_plan(source="the authors' files"))
    assert "Source: the authors' files" in text
    assert "These scores are the source's" in text
    assert "they may have been chosen on it" in text


def test_a_rule_without_scores_and_a_run_without_rival() -> None:
    benchmark = make_benchmark()
    alone = make_benchmark(
        rows=tuple(row for row in benchmark.rows if row.contender != "distilled"),
        metrics=tuple(row for row in benchmark.metrics if row.contender != "distilled"),
    )
    plan = make_plan(steps=(), strategy="top", seed=None)
    text = card(benchmark=alone, plan=plan, facts=make_facts(recover="finetune"))
    assert "Chosen by `top`" in text
    assert "| step |" not in text
    assert "| distilled |" not in text
    assert "fine-tuned from the pretrained weights" in text


@pytest.mark.parametrize(
    ("compressors", "papers"),
    [(("layers",), ["2105.14839"]), (("structure",), ["2302.04089"]), (("one-of-my-own",), [])],
)
def test_papers_are_those_of_the_compressors(compressors, papers):
    plan = make_plan().model_copy(update={"compressors": compressors})
    text = card(plan=plan)
    assert [one for one in ("2105.14839", "2302.04089") if f"arxiv.org/abs/{one}" in text] == papers
