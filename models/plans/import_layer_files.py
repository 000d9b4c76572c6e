"""Make the plans beside this script from the layer files that the paper's authors publish.

    python models/plans/import_layer_files.py DIR

DIR holds the authors' files by commit, `DIR/COMMIT/layer_files/…`. From a clone of
https://github.com/deepopinion/greedy-layer-pruning, for each commit named below:

    mkdir DIR/COMMIT && git archive COMMIT | tar -x -C DIR/COMMIT

A plan gets its candidates' scores only where the paper's rule, applied to the log, picks the
layers of the layer file; the script stops where it does not.
"""

from __future__ import annotations

import sys
from math import ceil
from pathlib import Path

from glp_export.compress.compressors.layers.layer_file import read_layer_file, read_log
from glp_export.compress.compressors.layers.strategies import best
from glp_export.compress.plan import Candidate, Cost, Plan, Step

REPOSITORY = "https://github.com/deepopinion/greedy-layer-pruning"
PAPER = (
    "Peer, Stabinger, Engl, Rodríguez-Sánchez: Greedy-layer Pruning: Speeding up Transformer "
    "Models for Natural Language Processing, Pattern Recognition Letters 157 (2022), "
    "arXiv 2105.14839"
)
BASE_MODELS = {
    "bert-base-uncased": "google-bert/bert-base-uncased",
    "roberta-base": "FacebookAI/roberta-base",
}
NUM_LAYERS = 12
TRAIN_SHARE = "15 % of the train set"
FINAL = "94f27e72ee7006f9083b94b377d1c0ac61240138"
FIRST = "3c2fecbd80b38e61d47c584379119ecdd066a8bc"

# Examples in GLUE's train sets, and the metric that the authors choose by.
TASKS: dict[str, tuple[int, str]] = {
    "cola": (8551, "matthews_correlation"),
    "mnli": (392702, "accuracy"),
    "mrpc": (3668, "f1"),
    "qnli": (104743, "accuracy"),
    "qqp": (363846, "f1"),
    "rte": (2490, "accuracy"),
    "sst2": (67349, "accuracy"),
    "stsb": (5749, "spearman"),
}
# WNLI was searched in the authors' first experiment only, which chose on the validation set.
WNLI_VALIDATION = 71


def main(directory: Path, plans: Path) -> None:
    """Write one plan a model and task below `plans`."""
    for model in BASE_MODELS:
        for task in (*TASKS, "wnli"):
            plan_of(directory, model, task).save(plans / model / f"{task}.json")


def plan_of(directory: Path, model: str, task: str) -> Plan:
    """The plan of one layer file and its log."""
    size, metric = TASKS.get(task, (0, "accuracy"))
    on_train = task in TASKS
    name = f"{model}_{task}_greedy"
    order_file = Path(FINAL if on_train else FIRST, "layer_files", f"{name}.txt")
    folder = "layer_files" if on_train else "layer_files_dev_set"
    log_file = Path(FINAL, folder, f"{name}_log.txt")
    order = read_layer_file(directory / order_file)
    # Some logs hold the same search twice: the authors' script appends.
    log = read_log(directory / log_file)[-len(order) :]
    samples = ceil(0.15 * size) if on_train else WNLI_VALIDATION
    steps = steps_of(order, log, samples, directory / log_file)
    return Plan.of_layers(
        order,
        base_model=BASE_MODELS[model],
        num_layers=NUM_LAYERS,
        task=task,
        metric=metric,
        strategy="greedy",
        seed=41,
        steps=steps,
        cost=Cost(trainings=sum(len(step.candidates) for step in steps)),
        settings={
            "selected_on": TRAIN_SHARE if on_train else "the validation set",
            "max_length": 128,
            "batch_size": 32,
            "learning_rate": 2e-5,
            "epochs": 3,
        },
        source=f"{REPOSITORY} {_place(order_file)}; scores {_place(log_file)}; {PAPER}",
    )


def steps_of(
    order: tuple[int, ...], log: list[dict[int, float]], samples: int, log_file: Path
) -> tuple[Step, ...]:
    """The steps of a log, each checked to pick the layer that the order has."""
    steps: list[Step] = []
    for number, (layer, scores) in enumerate(zip(order, log, strict=True)):
        gone = order[:number]
        if set(scores) != set(range(NUM_LAYERS)) - set(gone):
            raise SystemExit(f"{log_file}: step {number} scores other layers than those left")
        if best({(left,): score for left, score in scores.items()}) != (layer,):
            raise SystemExit(f"{log_file}: step {number} does not pick layer {layer}")
        candidates = tuple(
            Candidate(removed=tuple(sorted((*gone, left))), score=score)
            for left, score in scores.items()
        )
        steps.append(
            Step(removed=(layer,), score=scores[layer], sample_size=samples, candidates=candidates)
        )
    return tuple(steps)


def _place(file: Path) -> str:
    commit, *path = file.parts
    return f"{'/'.join(path)} at {commit}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(__file__).parent)
