"""Where everything lies in an artifact's directory, and the checksums that keep it honest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glp_export.artifact.output_place import writing
from glp_export.artifact.variants import VARIANTS
from glp_export.core.checksums import CHECKSUMS, file_sha256, require_listed, verify_files
from glp_export.core.errors import UsageError


@dataclass(frozen=True)
class ArtifactLayout:
    """The paths of an artifact below its root; nothing is created or read by asking for one.

    Attributes:
        root: OUT itself, or the staging directory while a run is under way.
    """

    root: Path

    @property
    def card(self) -> Path:
        """The model card."""
        return self.root / "README.md"

    @property
    def config(self) -> Path:
        """The model's configuration, with label2id in the data's own labels."""
        return self.root / "config.json"

    @property
    def weights(self) -> Path:
        """The pruned PyTorch weights."""
        return self.root / "model.safetensors"

    @property
    def onnx_dir(self) -> Path:
        """The directory of the ONNX files."""
        return self.root / "onnx"

    @property
    def onnx_model(self) -> Path:
        """The fp32 file of standard operators that every consumer loads."""
        return self.variant("fp32")

    @property
    def serving(self) -> Path:
        """How the files are best run, for whoever serves them.

        optimum's `ORTConfig` has this name and is looked for at the root by default. Its optimiser
        and quantiser write one beside the files that they make, so a copy of ours below `onnx/`
        would be overwritten by whoever quantises a file there.
        """
        return self.root / "ort_config.json"

    @property
    def glp_dir(self) -> Path:
        """What this tool has to say about the artifact."""
        return self.root / "glp"

    @property
    def plan(self) -> Path:
        """Which layers went, in which order, and why."""
        return self.glp_dir / "plan.json"

    @property
    def latency_table(self) -> Path:
        """What the plan's heads, neurons and layers were chosen by, where they were."""
        return self.glp_dir / "latency_table.json"

    @property
    def parity(self) -> Path:
        """How far each ONNX file is from the PyTorch model."""
        return self.glp_dir / "parity.json"

    @property
    def precisions(self) -> Path:
        """How the files of lower precision were made, and what they cost."""
        return self.glp_dir / "precisions.json"

    @property
    def benchmark(self) -> Path:
        """Latency, throughput, size and metric of every contender."""
        return self.glp_dir / "benchmark.json"

    @property
    def frontier(self) -> Path:
        """Accuracy against latency of all models; only above the artifacts of a sweep."""
        return self.glp_dir / "frontier.json"

    @property
    def environment(self) -> Path:
        """The machine and the versions it was made with."""
        return self.glp_dir / "environment.json"

    @property
    def run_config(self) -> Path:
        """The resolved configuration, which makes the artifact again."""
        return self.glp_dir / "run.yaml"

    @property
    def report(self) -> Path:
        """The report for a browser."""
        return self.glp_dir / "report.html"

    @property
    def parity_inputs(self) -> Path:
        """A few batches with PyTorch's logits, for a check without PyTorch."""
        return self.glp_dir / "parity_inputs.npz"

    @property
    def budget(self) -> Path:
        """What the artifact has to keep; for people to edit, so no checksum covers it."""
        return self.glp_dir / "budget.toml"

    @property
    def checksums(self) -> Path:
        """SHA-256 of every file but the budget, as `sha256sum -c` reads it from the root."""
        return self.root / CHECKSUMS

    @property
    def triton(self) -> Path:
        """A model repository for Triton, where one was asked for."""
        return self.root / "triton"

    @property
    def work_dir(self) -> Path:
        """Journal, teacher and candidates of a run under way; gone from a finished artifact."""
        return self.root / "work"

    def sweep_variant(self, directory: str) -> ArtifactLayout:
        """One artifact of several below a root, by the name of its directory."""
        return ArtifactLayout(self.root / directory)

    def variant(self, name: str) -> Path:
        """The path of an ONNX file by the name of its variant.

        Raises:
            UsageError: there is no such variant.
        """
        if name not in VARIANTS:
            raise UsageError(f"There is no variant {name!r}.", fix=f"One of {', '.join(VARIANTS)}.")
        return self.onnx_dir / VARIANTS[name].file_name

    def shipped(self) -> dict[str, Path]:
        """The ONNX files that are there, by the name of their variant."""
        return {name: self.variant(name) for name in VARIANTS if self.variant(name).is_file()}

    def files(self) -> list[Path]:
        """Every file of the artifact, sorted; scratch and the checksums themselves left out."""
        return sorted(
            path
            for path in self.root.rglob("*")
            if path.is_file() and path != self.checksums and self.work_dir not in path.parents
        )

    def write_checksums(self) -> Path:
        """Write `glp/SHA256SUMS` over every file but the budget; the last thing to write.

        Raises:
            OutputError: it cannot be written.
        """
        with writing(self.root):
            self.glp_dir.mkdir(parents=True, exist_ok=True)
            lines = [
                f"{file_sha256(path)}  {path.relative_to(self.root).as_posix()}\n"
                for path in self.files()
                if path.parts[-2:] != self.budget.parts[-2:]  # a sweep holds several
            ]
            self.checksums.write_text("".join(lines), encoding="utf-8")
        return self.checksums

    def verify_checksums(self) -> None:
        """Check that every file listed is there and is what it was.

        Files that are not listed are let be: a deployment may put its own beside ours.

        Raises:
            ModelError: the list is missing or unreadable, or a file is; it is named. So is a file
                of the model that is there and not listed.
        """
        own = (self.config, self.weights, self.serving, *self.shipped().values())
        for path in (*own, *self.root.glob("tokenizer*.json"), *self.root.glob("*.safetensors")):
            if path.is_file():
                require_listed(self.root, path.relative_to(self.root).as_posix())
        verify_files(self.root)


def layers_directory(depth: int) -> str:
    """The directory of an artifact that lacks whole layers alone, one of several: `6-layers`."""
    return f"{depth}-layers"
