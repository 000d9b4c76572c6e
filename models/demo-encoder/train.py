"""Make the demo's encoder: a 12-layer BERT, pretrained from scratch on a grammar's own text.

    python models/demo-encoder/train.py --output DIR [--seed 0] [--steps N]

It writes an ordinary checkpoint to DIR. Whether that is worth pruning is what
`benchmarks/search_cost.py --model DIR --data demo --depth 6` tells. Three things differ from
BERT's pretraining, and `models/README.md` says why:

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
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    get_linear_schedule_with_warmup,
    set_seed,
)
from transformers.utils import logging

from glp_export.tasks.demo_grammar import CONCLUSIONS, sentences, vocabulary

# Neither every second layer, nor the top, nor the bottom: a rule of thumb finds some, not all.
OPTIONAL = (1, 2, 4, 5, 7, 10)
LAYERS = 12
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST = 64
# The optional layers join between these shares of the pretraining.
GROW_FROM, GROW_UNTIL = 0.35, 0.6

BATCH = 32
LEARNING_RATE = 1e-3
WARMUP_STEPS = 100
MASK_CONCLUSION = 0.97
MASK_OTHER = 0.005
WAVE_HEIGHT = 0.15
ATTENTION_STD = 0.2
OUTPUT_SCALE = 0.1

Batch = dict[str, Tensor]


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
    for layer in model.bert.encoder.layer:
        # A layer that adds little at first leaves the gradient its way through the stack.
        layer.attention.output.dense.weight.data *= OUTPUT_SCALE
        layer.output.dense.weight.data *= OUTPUT_SCALE
        # Queries like keys let a word attend to itself and its like before it has learned to.
        attention = layer.attention.self
        nn.init.normal_(attention.query.weight, std=ATTENTION_STD)
        attention.key.weight.data.copy_(attention.query.weight)
    return model


def batches(tokenizer: BertTokenizerFast, seed: int, steps: int) -> Iterator[Batch]:
    """Yield one batch a step, in random order.

    Batches of like length would waste less on padding, but texts of one length share their form,
    and a batch of them nearly its answer: learning starts much later.
    """
    texts = sentences(seed, steps * BATCH)
    rng = random.Random(seed)
    while chunk := list(islice(texts, 64 * BATCH)):
        rng.shuffle(chunk)
        groups = [chunk[i : i + BATCH] for i in range(0, len(chunk), BATCH)]
        rng.shuffle(groups)
        for group in groups:
            yield dict(tokenizer(group, padding=True, return_tensors="pt"))


def mask(batch: Batch, tokenizer: BertTokenizerFast, concluding: Tensor) -> Batch:
    """Hide some words, most of the conclusions among them, and ask for these."""
    ids = batch["input_ids"]
    share = torch.full(ids.shape, MASK_OTHER)
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
    grown = (done - GROW_FROM) / (GROW_UNTIL - GROW_FROM)
    joining = round(min(max(grown, 0.0), 1.0) * len(OPTIONAL))
    joined = rng.randint(0, joining)
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
    rng, start, right, asked = random.Random(seed), time.monotonic(), 0, 0
    for step, batch in enumerate(batches(tokenizer, seed, steps), 1):
        masked = mask(batch, tokenizer, concluding)
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


def main() -> None:
    """Read the command line and do what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="the checkpoint's folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=9000, help=f"batches of {BATCH} texts")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.set_verbosity_error()
    pretrain(options.output, options.seed, options.steps)


if __name__ == "__main__":
    main()
