"""What a model is asked, as rows: one text or several, alone or in pairs, in any container."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Mapping, Sequence
from typing import Any

from glp_export.core.errors import DataError

Row = str | tuple[str, str]


def as_rows(texts: str | Iterable[Any], text_pairs: str | Iterable[Any] | None) -> list[Row]:
    """One text or several, alone or in pairs, as a list of rows.

    Args:
        texts: a text; or texts; or pairs of them, each a tuple or list of two.
        text_pairs: the second text of each row, if `texts` are the first ones.

    Raises:
        DataError: what is given does not iterate over its rows; a row is no text and no pair of
            texts; or the numbers of texts differ.
    """
    rows = listed(texts)
    if text_pairs is not None:
        partners = listed(text_pairs, "text_pairs")
        if len(partners) != len(rows):
            raise DataError(
                f"{len(rows)} texts have {len(partners)} partners",
                where="text_pairs",
                fix="give one second text for each first one: model([first, …], [second, …])",
            )
        rows = list(zip(rows, partners, strict=True))
    return [_row(row, number) for number, row in enumerate(rows)]


def listed(texts: Any, name: str = "texts") -> list[Any]:
    """The rows of what a model is asked: one text, or an iterable of them.

    A mapping or a frame iterates over the names of its columns, and a set in no order: their
    answers would belong to other rows than the caller thinks.

    Args:
        texts: what was given.
        name: of the argument, for errors.

    Raises:
        DataError: it does not iterate over its rows.
    """
    if isinstance(texts, str):
        return [texts]
    kind = type(texts).__name__
    if isinstance(texts, bytes | bytearray | memoryview):
        raise DataError(
            f"this is no text and no pair of texts: {texts!r:.80}",
            where=f"row 0, counted from 0, of {name}",
            fix='decode it: model(texts.decode("utf-8"))',
        )
    columns = _columns(texts)
    if columns is not None:
        raise DataError(
            f"{name} are a {kind}, which iterates over the names of its columns and not its rows",
            where=name,
            fix=_fix_of_columns(columns),
        )
    if isinstance(texts, set | frozenset):
        raise DataError(
            f"{name} are a {kind}, which has no order, so nobody knows which answer is whose",
            where=name,
            fix="model(sorted(texts)), or a list in the order that you want",
        )
    try:
        return list(texts)
    except TypeError as error:
        raise DataError(
            f"{name} are neither a text nor several: {texts!r:.80} ({kind})",
            where=name,
            fix='model("one text"), or model(["one text", "another"])',
        ) from error


def _columns(texts: Any) -> list[Any] | None:
    """The names of the columns of a mapping, a frame or a table; None for anything else."""
    if isinstance(texts, ItemsView):  # names beside columns, and no pairs of texts
        return [name for name, _ in texts]
    if isinstance(texts, Mapping) or (_called(texts, "keys") and _called(texts, "values")):
        return list(texts.keys())
    for attribute in ("columns", "column_names"):
        found = getattr(texts, attribute, None)
        if found is not None and not callable(found):
            return list(getattr(texts, "column_names", found))
    return None


def _called(texts: Any, name: str) -> bool:
    """Whether an object has such a method; a Series has `keys`, and `values` that is none."""
    return callable(getattr(texts, name, None))


def _fix_of_columns(columns: Sequence[Any]) -> str:
    names = [f"data[{name!r:.40}]" for name in columns if isinstance(name, str)][:2]
    first = names[0] if names else "data['text']"
    pair = f"; of a model that reads pairs, model({', '.join(names)})" if len(names) == 2 else ""
    return f"give the column: model({first}){pair}"


def _fix_of(row: Any) -> str:
    """The call that works, where a row is none."""
    if isinstance(row, bytes | bytearray):
        return 'decode it: row.decode("utf-8")'
    if isinstance(row, Mapping):
        names = [name for name in row if isinstance(name, str)][:1]
        named = f"{names[0]!r:.40}" if names else "'text'"
        return f"give the texts alone: model([row[{named}] for row in rows])"
    if callable(getattr(row, "tolist", None)):  # a row of an array
        return "give lists of strings: model(texts.tolist())"
    if callable(getattr(row, "as_py", None)):
        return "give a list of strings: model(texts.to_pylist())"
    return "give a string, or a tuple of two"


def _row(row: Any, number: int) -> Row:
    if isinstance(row, str):
        return row
    if isinstance(row, tuple | list) and len(row) == 2:
        first, second = row
        if isinstance(first, str) and isinstance(second, str):
            return first, second
    raise DataError(
        f"this is no text and no pair of texts: {row!r:.80}",
        where=f"row {number}, counted from 0",
        fix=_fix_of(row),
    )
