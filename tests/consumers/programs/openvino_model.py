"""Read the fp32 file with OpenVINO and run it on the CPU."""

from __future__ import annotations

import json

import numpy as np
import openvino
from answers import answer, given
from tokenizers import Tokenizer

artifact, cases, _ = given()
settings = json.loads((artifact / "tokenizer_config.json").read_text())
config = json.loads((artifact / "config.json").read_text())
tokenizer = Tokenizer.from_file(str(artifact / "tokenizer.json"))
tokenizer.enable_truncation(settings["model_max_length"])
tokenizer.enable_padding(pad_id=config["pad_token_id"])

core = openvino.Core()
graph = core.read_model(artifact / "onnx" / "model.onnx")
# On processors that have bf16 OpenVINO computes in it unless told otherwise.
compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def logits(rows: list[str | tuple[str, str]]) -> list[list[float]]:
    encoded = tokenizer.encode_batch(rows)
    inputs = {
        "input_ids": [row.ids for row in encoded],
        "attention_mask": [row.attention_mask for row in encoded],
        "token_type_ids": [row.type_ids for row in encoded],
    }
    wanted = {name for port in compiled.inputs for name in port.get_names()}
    feeds = {name: np.array(inputs[name], dtype=np.int64) for name in wanted}
    return compiled(feeds)["logits"].tolist()


answer(
    "openvino",
    "tokenizers",
    "numpy",
    logits=logits(cases["texts"]),
    pairs=logits([tuple(pair) for pair in cases["pairs"]]),
)
