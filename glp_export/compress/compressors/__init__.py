"""The compressors: one file or folder each, and one row in `COMPRESSORS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.compressors.block_sparse import BlockSparseOptions
from glp_export.compress.compressors.kronecker import KroneckerOptions
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.compressors.vocabulary import VocabularyOptions
from glp_export.core.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from glp_export.compress.compressors.base import Compressor
    from glp_export.compress.plan import Plan


@dataclass(frozen=True)
class Source:
    """The paper that a compressor follows, for cards and reports.

    Attributes:
        says: what is done as in the paper, with the method's name at the end.
        authors: initials and surnames.
        published: journal or year.
        arxiv: its number.
    """

    says: str
    authors: str
    published: str
    arxiv: str

    @property
    def address(self) -> str:
        """Where it is read."""
        return f"https://arxiv.org/abs/{self.arxiv}"


@dataclass(frozen=True)
class Row:
    """A compressor by its options; the rest is imported where it is used, not for `--help`.

    Attributes:
        options: flags, keys of run.yaml and docs are made from its fields.
        load: imports the compressor.
        source: the paper that it follows; None where there is none.
        follows: those that it can be used after; it is a `Follower` then.
        whole_depth: it leaves all layers there.
    """

    options: type[BaseModel]
    load: Callable[[], Compressor]
    source: Source | None = None
    follows: frozenset[str] = frozenset()
    whole_depth: bool = False


def _layers() -> Compressor:
    from glp_export.compress.compressors.layers.compressor import LAYERS

    return LAYERS


def _structure() -> Compressor:
    from glp_export.compress.compressors.structure.compressor import STRUCTURE

    return STRUCTURE


def _kronecker() -> Compressor:
    from glp_export.compress.compressors.kronecker import KRONECKER

    return KRONECKER


def _block_sparse() -> Compressor:
    from glp_export.compress.compressors.block_sparse import BLOCK_SPARSE

    return BLOCK_SPARSE


def _vocabulary() -> Compressor:
    from glp_export.compress.compressors.vocabulary import VOCABULARY

    return VOCABULARY


COMPRESSORS = {
    "layers": Row(
        LayerOptions,
        _layers,
        Source(
            "Whole layers are removed after Greedy-layer Pruning",
            "D. Peer, S. Stabinger, S. Engl, A. Rodríguez-Sánchez",
            "Pattern Recognition Letters 157 (2022)",
            "2105.14839",
        ),
    ),
    "structure": Row(
        StructureOptions,
        _structure,
        Source(
            "Heads, neurons and layers are chosen by a measured latency table, as in ZipLM",
            "E. Kurtic, E. Frantar, D. Alistarh",
            "2023",
            "2302.04089",
        ),
    ),
    "kronecker": Row(
        KroneckerOptions,
        _kronecker,
        Source(
            "Matrices are sums of Kronecker products, fitted and distilled as in KroneckerBERT",
            "M. S. Tahaei, E. Charlaix, V. P. Nia, A. Ghodsi, M. Rezagholizadeh",
            "2021",
            "2109.06243",
        ),
        follows=frozenset(("layers",)),
        whole_depth=True,
    ),
    "block-sparse": Row(
        BlockSparseOptions,
        _block_sparse,
        Source(
            "Rows and columns inside blocks of matrices are shrunk by a reweighted group lasso",
            "B. Li, Z. Kong, T. Zhang, J. Li, Z. Li, H. Liu, C. Ding",
            "Findings of EMNLP 2020",
            "2009.08065",
        ),
        follows=frozenset(("layers",)),
        whole_depth=True,
    ),
    "vocabulary": Row(
        VocabularyOptions,
        _vocabulary,
        follows=frozenset(("layers", "structure", "kronecker", "block-sparse")),
        whole_depth=True,
    ),
}
"""By name, as given to `--compress`."""


def keep_all_layers(names: Iterable[str]) -> bool:
    """Whether no compressor of these names takes a layer out."""
    return all(name in COMPRESSORS and COMPRESSORS[name].whole_depth for name in names)


def sources_of(plans: Iterable[Plan]) -> list[Source]:
    """The papers that the compressors of some plans follow, each once, in their order."""
    rows = (COMPRESSORS.get(name) for plan in plans for name in plan.compressors)
    return list(dict.fromkeys(row.source for row in rows if row and row.source))


AUTO = "auto"


def names_of(asked: str) -> tuple[str, ...]:
    """The compressors in `--compress layers,vocabulary`, in order.

    Raises:
        UsageError: there is no such one, one is named twice, or one cannot follow another.
    """
    names = tuple(name.strip() for name in asked.split(","))
    for place, name in enumerate(names):
        if name not in COMPRESSORS and not (name == AUTO and len(names) == 1):
            choices = [name for name in (AUTO, *COMPRESSORS) if name != AUTO or len(names) == 1]
            fix = f"choose from {', '.join(choices)}"
            if len(names) == 1:
                from glp_export.compress.criteria import CRITERIA

                fix += f"; or a criterion, for structure by it: {', '.join(CRITERIA)}"
            raise UsageError(f"there is no --compress {name}", fix=fix)
        for earlier in names[:place]:
            _require_order(earlier, name, asked)
    return names


def _require_order(earlier: str, later: str, asked: str) -> None:
    if earlier in COMPRESSORS[later].follows:
        return
    if earlier == later:
        what, fix = f"{later} is named twice", "name it once"
    elif later in COMPRESSORS[earlier].follows:
        what = f"{earlier} goes on with what {later} leaves, so {later} comes first"
        fix = f"say --compress {later},{earlier}"
    elif "block-sparse" in (earlier, later):
        other = later if earlier == "block-sparse" else earlier
        what = f"sparse blocks are of whole dense matrices, and {other} leaves others"
        fix = "name one of them; layers,block-sparse,vocabulary go together"
    elif {earlier, later} == {"structure", "kronecker"}:
        what = "what lost heads and neurons has no matrices that Kronecker factors divide"
        fix = "name one of them; layers,kronecker takes whole layers out first"
    else:
        what = f"{earlier} and {later} both choose what goes of the layers, each alone"
        fix = "name one of them; structure takes whole layers out as well"
    raise UsageError(what, where=f"--compress {asked}", fix=fix)
