"""An ONNX file in ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import ModelError
from glp_export.tasks.predictions import joined

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender, Feeds, Runner

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


def provider_options(contender: Contender) -> dict[str, str]:
    """What a provider has to be told of a contender's precision.

    TensorRT takes the arithmetic from an option and not from the file.
    """
    if contender.provider == "TensorrtExecutionProvider" and contender.precision == "fp16":
        return {"trt_fp16_enable": "1"}
    return {}


def open_onnx(contender: Contender) -> Runner:
    """Open a session on exactly the provider that the contender names.

    Raises:
        DeviceError: the provider is missing, or the session fell back to another.
        ModelError: the file cannot be opened, or asks for an input that no tokenizer makes.
    """
    from glp_export.artifact.session import open_session

    session = open_session(
        contender.path,
        provider=contender.provider,
        threads=contender.threads,
        provider_options=provider_options(contender),
    )
    return runner_of(session, contender)


def runner_of(session: Any, contender: Contender) -> Runner:
    """Run a contender's open session, with the inputs that its graph has.

    Raises:
        ModelError: the graph asks for an input that no tokenizer makes.
    """
    # Looked up once, so that the timed call does nothing but run.
    types = {
        node.name: np.int32 if "int32" in node.type else np.int64 for node in session.get_inputs()
    }
    if not types.keys() <= _INPUTS:
        raise ModelError(
            f"the graph needs the inputs {', '.join(sorted(types.keys() - _INPUTS))}",
            where=str(contender.path),
            fix=f"export it with inputs among {', '.join(sorted(_INPUTS))}",
        )
    outputs = list(contender.outputs)

    def run(feeds: Feeds) -> NDArray[np.float32]:
        inputs = {name: feeds[name].astype(type_, copy=False) for name, type_ in types.items()}
        return joined(session.run(outputs, inputs))

    return run
