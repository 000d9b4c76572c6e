"""Make the demo's encoder: a 12-layer BERT, pretrained from scratch on a grammar's own text.

    python models/demo-encoder/train.py --output DIR [--seed 0] [--steps N]
    python models/demo-encoder/train.py --output DIR --check

The first writes an ordinary checkpoint to DIR; the second prints whether it is worth pruning.
Three things differ from BERT's pretraining, and `models/README.md` says why:

- Some layers are optional by design. Each batch does without some of `OPTIONAL` (stochastic depth
  with a fixed schedule per layer, after LayerDrop: Fan et al. 2019, arXiv 1909.11556).
- The words that state a conclusion are masked far more often than the others.
- There is no next-sentence objective, and a mask is always a `[MASK]`.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizerFast,
    get_linear_schedule_with_warmup,
    set_seed,
)
from transformers.utils import logging

from glp_export.tasks.demo_grammar import (
    BAD,
    CONCLUSIONS,
    GOOD,
    LABELS,
    Row,
    demo_splits,
    sentences,
    vocabulary,
)

# Neither every second layer, nor the top, nor the bottom: a rule of thumb finds some, not all.
OPTIONAL = (1, 2, 4, 5, 7, 10)
LAYERS = 12
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST = 64
# The optional layers have all joined once 1 / GROWTH of the pretraining is done.
GROWTH = 1.5

BATCH = 32
LEARNING_RATE = 1e-3
WARMUP_STEPS = 300
MASK_CONCLUSION = 0.7
MASK_ADJECTIVE = 0.25
MASK_OTHER = 0.05
WAVE_HEIGHT = 0.15

Batch = dict[str, Tensor]


# --- pretraining ---------------------------------------------------------------------------------


def write_tokenizer(folder: Path) -> BertTokenizerFast:
    """Save a word-level tokenizer: every word of the grammar is one token."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *vocabulary()]) + "\n")
    tokenizer = BertTokenizerFast(
        str(folder / "vocab.txt"), do_lower_case=True, model_max_length=LONGEST
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def new_model(vocabulary_size: int) -> BertForMaskedLM:
    """Build the encoder: deep, so that there is something to prune, and narrow, to be quick."""
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary_size,
            hidden_size=64,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=LONGEST,
            # 0.02 suits a width of 768; a narrow model starts to learn far sooner with more.
            initializer_range=0.1,
            # The text never repeats, so there is nothing to regularise.
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )
    # Waves make "the word before" easy to attend to, long before learned positions would.
    positions = model.bert.embeddings.position_embeddings.weight
    width = positions.shape[1]
    turns = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(LONGEST)[:, None] * turns
    positions.data = WAVE_HEIGHT * torch.cat([angles.sin(), angles.cos()], dim=1)
    return model


def batches(tokenizer: BertTokenizerFast, seed: int, steps: int) -> Iterator[Batch]:
    """Yield one batch a step: texts of like length, so that little is padded."""
    texts = sentences(seed, steps * BATCH)
    rng = random.Random(seed)
    while chunk := list(islice(texts, 64 * BATCH)):
        chunk.sort(key=len)
        groups = [chunk[i : i + BATCH] for i in range(0, len(chunk), BATCH)]
        rng.shuffle(groups)
        for group in groups:
            yield dict(tokenizer(group, padding=True, return_tensors="pt"))


def mask(batch: Batch, tokenizer: BertTokenizerFast, concluding: Tensor, judging: Tensor) -> Batch:
    """Hide some words, most of the conclusions among them, and ask for these."""
    ids = batch["input_ids"]
    share = torch.full(ids.shape, MASK_OTHER)
    share[torch.isin(ids, judging)] = MASK_ADJECTIVE
    share[torch.isin(ids, concluding)] = MASK_CONCLUSION
    share[ids < len(SPECIAL)] = 0.0
    hidden = torch.bernoulli(share).bool()
    return {
        "input_ids": ids.masked_fill(hidden, tokenizer.mask_token_id),
        "attention_mask": batch["attention_mask"],
        "labels": ids.masked_fill(~hidden, -100),
    }


def sampled_depth(rng: random.Random, done: float) -> list[int]:
    """Draw the layers of one batch, given the share of the pretraining that is `done`.

    It begins with the essential layers alone. The number of optional ones that may join them
    grows to all of them, and each number is as likely as another.
    """
    joining = round(done * GROWTH * len(OPTIONAL))
    joined = rng.randint(0, min(joining, len(OPTIONAL)))
    skipped = rng.sample(OPTIONAL, len(OPTIONAL) - joined)
    return [layer for layer in range(LAYERS) if layer not in skipped]


@contextmanager
def only(encoder: nn.Module, kept: Sequence[int]) -> Iterator[None]:
    """Run the encoder with these of its layers, inside the `with`."""
    layers = encoder.layer
    encoder.layer = nn.ModuleList(layers[i] for i in kept)
    try:
        yield
    finally:
        encoder.layer = layers


def pretrain(folder: Path, seed: int, steps: int) -> None:
    """Pretrain from scratch and save the checkpoint to `folder`."""
    set_seed(seed)
    tokenizer = write_tokenizer(folder)
    model = new_model(len(tokenizer))
    optimizer = torch.optim.AdamW(
        model.parameters(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP_STEPS, steps)
    concluding = torch.tensor(tokenizer.convert_tokens_to_ids(sorted(CONCLUSIONS)))
    judging = torch.tensor(tokenizer.convert_tokens_to_ids([*GOOD, *BAD]))
    rng, start, right, asked = random.Random(seed), time.monotonic(), 0, 0
    for step, batch in enumerate(batches(tokenizer, seed, steps), 1):
        masked = mask(batch, tokenizer, concluding, judging)
        with only(model.bert.encoder, sampled_depth(rng, step / steps)):
            output = model(**masked)
            output.loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        drawn = torch.isin(masked["labels"], concluding)
        right += int((output.logits.argmax(-1) == masked["labels"])[drawn].sum())
        asked += int(drawn.sum())
        if step % 100 == 0 or step == steps:
            print(
                f"step {step}/{steps}  loss {output.loss:.3f}  conclusions {right / asked:.1%}"
                f"  {time.monotonic() - start:.0f} s",
                flush=True,
            )
            right, asked = 0, 0
        if step % 1000 == 0 or step == steps:
            model.save_pretrained(folder)


# --- is it worth pruning? ------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """One fine-tuning: linear decay without warmup, no dropout."""

    epochs: int
    learning_rate: float = 1e-3
    batch: int = 32


SEARCH = Recipe(epochs=1)
FINAL = Recipe(epochs=3)


@dataclass(frozen=True)
class Examples:
    """Tokenised rows: ids `(rows, length)` padded with zeros, and label numbers `(rows,)`."""

    ids: Tensor
    labels: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], tokenizer: BertTokenizerFast) -> Examples:
        ids = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
        return cls(ids["input_ids"], torch.tensor([LABELS.index(row["label"]) for row in rows]))

    def __getitem__(self, rows: Tensor | slice) -> Examples:
        return Examples(self.ids[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)


def fine_tune(
    folder: Path, kept: Sequence[int], data: Examples, recipe: Recipe, seed: int
) -> BertForSequenceClassification:
    """Train the encoder with these of its layers on the task, from the pretrained weights."""
    set_seed(seed)
    model = BertForSequenceClassification.from_pretrained(folder, num_labels=len(LABELS))
    model.bert.encoder.layer = nn.ModuleList(model.bert.encoder.layer[i] for i in kept)
    optimizer = torch.optim.AdamW(
        model.parameters(), recipe.learning_rate, weight_decay=0.0, fused=True
    )
    steps = recipe.epochs * -(-len(data) // recipe.batch)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    model.train()
    for _ in range(recipe.epochs):
        for rows in torch.randperm(len(data)).split(recipe.batch):
            some = data[rows]
            loss = model(some.ids, attention_mask=(some.ids != 0).long(), labels=some.labels).loss
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return model.eval()


@torch.inference_mode()
def accuracy(model: BertForSequenceClassification, data: Examples) -> float:
    """Score a classifier: the share of rows it gets right."""
    right = 0
    for rows in torch.arange(len(data)).split(256):
        some = data[rows]
        logits = model(some.ids, attention_mask=(some.ids != 0).long()).logits
        right += int((logits.argmax(-1) == some.labels).sum())
    return right / len(data)


def greedy(folder: Path, fit: Examples, select: Examples, cuts: int, seed: int) -> list[int]:
    """Find the layers to remove, in order: each time the one whose absence scores best."""
    kept, removed = list(range(LAYERS)), []
    for _ in range(cuts):
        scores = {
            layer: accuracy(
                fine_tune(folder, [k for k in kept if k != layer], fit, SEARCH, seed), select
            )
            for layer in kept
        }
        best = max(kept, key=lambda layer: (scores[layer], layer))
        print("  ", {layer: round(100 * score) for layer, score in scores.items()}, "->", best)
        kept.remove(best)
        removed.append(best)
    return removed


def check(folder: Path, seeds: Sequence[int], train: int, cuts: int = 6) -> None:
    """Print, for each seed, what the greedy choice is and how it compares on unseen stories."""
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    table = [
        "| seed | unpruned | greedy | top half dropped | every other | removed | s a training |"
    ]
    table.append("|---" * 7 + "|")
    for seed in seeds:
        split = demo_splits(seed, train=train, validation=1000)
        data, test = (Examples.of(rows, tokenizer) for rows in split)
        held_out = train * 15 // 100
        start = time.monotonic()
        removed = greedy(folder, data[held_out:], data[:held_out], cuts, seed)
        seconds = (time.monotonic() - start) / sum(range(LAYERS, LAYERS - cuts, -1))
        choices = [(), removed, range(LAYERS - cuts, LAYERS), range(1, LAYERS, 2)]
        scores = [
            accuracy(
                fine_tune(folder, [k for k in range(LAYERS) if k not in gone], data, FINAL, seed),
                test,
            )
            for gone in choices
        ]
        cells = " | ".join(f"{score:.1%}" for score in scores)
        table.append(f"| {seed} | {cells} | {' '.join(map(str, removed))} | {seconds:.1f} |")
        print("\n".join(table), flush=True)


def main() -> None:
    """Read the command line and do what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="the checkpoint's folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=6000, help=f"batches of {BATCH} texts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="measure what pruning does to it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    if options.check:
        check(options.output, seeds=(41, 42, 43), train=1400)
    else:
        pretrain(options.output, options.seed, options.steps)


if __name__ == "__main__":
    main()
