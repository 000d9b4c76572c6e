"""Writes `keywords.py` after a setting has changed: `python -m glp_export.config.make_keywords`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from glp_export.config.run_config import compressor_sections, fields, sections
from glp_export.core.options import takes_several, words_beside_numbers

FILE = Path(__file__).with_name("keywords.py")

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "RunKeywords": (tuple(sections()), ()),
    "ExportKeywords": (
        ("export", "precision", "machine", "benchmark", "output"),
        ("kind", "max_length"),
    ),
    "VerifyKeywords": (("data", "export", "precision", "machine", "benchmark"), ()),
    "BenchmarkKeywords": (
        ("data", "machine", "benchmark"),
        ("precision", "target_speedup", "latency_budget"),
    ),
    "DataKeywords": (("data",), ()),
    "CompareKeywords": (
        ("data",),
        ("batch_sizes", "seq_lens", "bench_seconds", "bench_rounds", "threads", "device"),
    ),
    "CompressKeywords": (
        ("data", "compress", "training", "precision", "machine", *compressor_sections()),
        ("trust_remote_code", "exporter"),
    ),
}
"""By class: the sections whose settings a function takes, and single settings besides."""

PATHS = ("model", "dataset", "plan", "cache", "cache_dir", "latency_table", "distilled")
"""Settings that may name a place, beside what their text says."""

_HEAD = '''"""The settings as keyword arguments, for editors and type checkers.

Made by `python -m glp_export.config.make_keywords` from the sections of the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict
'''


def keywords_text() -> str:
    """The file as it stands in the package."""
    used = dict.fromkeys(section for wanted, _ in GROUPS.values() for section in wanted)
    parts = [_section(name) for name in used]
    parts += [_group(name, *wanted) for name, wanted in GROUPS.items()]
    return "\n".join([_HEAD, *parts])


def _section(name: str) -> str:
    """One class of a section, with a field a setting."""
    owner = sections()[name]
    own = [(setting, field) for setting, field, section in fields() if section is owner]
    return _class(_class_name(name), ("TypedDict", "total=False"), own)


def _group(name: str, wanted: tuple[str, ...], also: tuple[str, ...]) -> str:
    """One class of several sections and single settings."""
    single = [(setting, field) for setting, field, _ in fields() if setting in also]
    return _class(name, (*map(_class_name, wanted), "total=False"), single)


def _class_name(section: str) -> str:
    return f"{section.title().replace('_', '').replace('-', '')}Settings"


def _class(name: str, bases: tuple[str, ...], own: Sequence[tuple[str, FieldInfo]]) -> str:
    head = f"class {name}({', '.join(bases)}):"
    if len(head) > 100:
        head = "\n".join([f"class {name}(", *(f"    {base}," for base in bases), "):"])
    lines = [f"\n{head}", '    """Settings; None is not given."""']
    lines += [""] if own else []
    for setting, field in own:
        kind = "str | Path" if setting in PATHS else _type(field)
        lines += [f"    {setting}: {kind} | None", *_described(field)]
    return "\n".join(lines) + "\n"


def _described(field: FieldInfo) -> Iterator[str]:
    text = f'"""{field.description}"""'
    if len(text) <= 96:
        yield f"    {text}"
        return
    words, line = text.split(), ""
    for word in words:
        if line and len(line) + 1 + len(word) > 95:
            yield f"    {line}"
            line = word
        else:
            line = f"{line} {word}".strip()
    yield f"    {line}"


def _type(field: FieldInfo) -> str:
    """How a caller may write a value of the field."""
    annotation: Any = field.annotation
    several = takes_several(field)
    if several:
        return f"Sequence[{'int' if _holds(annotation, int) else 'str'}] | str"
    literals = [one for one in (annotation, *get_args(annotation)) if get_origin(one) is Literal]
    if words_beside_numbers(field) or (literals and _holds(annotation, float)):
        return "float | str"
    if literals:
        return f"Literal[{', '.join(repr(value) for value in get_args(literals[0]))}]".replace(
            "'", '"'
        )
    for kind, words in ((bool, "bool"), (int, "int"), (float, "float"), (Path, "str | Path")):
        if kind is annotation or kind in get_args(annotation):
            return words
    return "str | float" if _is_written(field) else "str"


def _holds(annotation: Any, kind: type) -> bool:
    """Whether a type is found anywhere in an annotation."""
    return annotation is kind or any(_holds(one, kind) for one in get_args(annotation))


def _is_written(field: FieldInfo) -> bool:
    """Whether a number may stand for the text."""
    return any("written" in repr(one) for one in (*field.metadata, *get_args(field.annotation)))


if __name__ == "__main__":
    FILE.write_text(keywords_text(), encoding="utf-8")
