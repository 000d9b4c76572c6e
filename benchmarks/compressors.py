"""The compressors beside one another: what each leaves of the accuracy, at what speed and size.

    python benchmarks/compressors.py --model MODEL --data DATA [DATA …] --work DIR

Every compressor and every criterion of structure makes a model that is 2 times as fast in ONNX
Runtime, by the latency table; those that make a model smaller and not faster (`kronecker`,
`vocabulary`) stand below them with the speed that they have. All are recovered in the same way, as
in frontier.py, whose options these are.
"""

from __future__ import annotations

from frontier import parse, run
from frontier_rows import COMPRESSORS_ROWS
from frontier_table import Layout

EXPLANATION = """\
Test metric in percent by the ONNX files that are timed, fp32, in the form that ships; all chosen on
dev (15 % of the training rows), nothing on test. At most {rows} training rows a task, dev included.
The unpruned model is trained until dev stops improving, and all others are recovered from it:
distilled (answers, labels, hidden states) on the same rows, {recovery}.
A criterion that trains (movement, group-lasso, pdp) has had its own training before that; "search
s" has the seconds of choosing, with the final round against whole layers.
Speedups are over the unpruned file in one interleaved run a task and seed, at {shape}, {threads}
thread(s), with 95 % bootstrap intervals. "Less layers" is the difference from `{layers}` on the
same test examples (95 % paired bootstrap)."""


def main() -> None:
    """Measure the rows."""
    title = "Compressors beside one another"
    run(parse(__doc__, COMPRESSORS_ROWS, [2.0]), Layout(title, COMPRESSORS_ROWS, EXPLANATION))


if __name__ == "__main__":
    main()
