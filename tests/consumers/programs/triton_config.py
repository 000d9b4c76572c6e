"""Parse a config.pbtxt into the published message: an unknown field or value is an error."""

from __future__ import annotations

import sys
from pathlib import Path

from answers import answer
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

text = Path(sys.argv[1]).read_text()
parsed = text_format.Parse(text, model_config_pb2.ModelConfig())
answer(
    "tritonclient",
    "protobuf",
    config=json_format.MessageToDict(parsed, preserving_proto_field_name=True),
)
