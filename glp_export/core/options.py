"""What options are declared with: a base for their models, and a field with its help text.

A stage or a compressor declares its options as one model; flags, keys of a configuration and
tables of the docs are made from its fields.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

LARGEST = 2**31 - 1
"""Of a number in the options."""


class Options(BaseModel):
    """The options of one stage or of one compressor.

    Attributes:
        panel: the heading of its flags in `--help` and of its table in the docs.
    """

    # Built at the first use: `--help` needs the fields alone.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=False,
        allow_inf_nan=False,
        defer_build=True,
    )

    panel: ClassVar[str] = ""

    @field_validator("*", mode="before")
    @classmethod
    def _is_filled(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse nothing where something is meant, as a variable of a shell that is not set.

        A token is left: who has none gives an empty one, and reads what is public.
        """
        values = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(one, str) and not one.strip() for one in values):
            if field.field_name == "token":
                return None
            raise ValueError("is empty; leave it out, or give a value")
        kind = cls.model_fields[str(field.field_name)].annotation
        if any(isinstance(one, bool) for one in values) and bool not in (kind, *get_args(kind)):
            raise ValueError("is true or false; give a number or a text")  # else they count as 1, 0
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _can_be_counted(cls, value: Any) -> Any:
        """Refuse what no library below takes for a number."""
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, int) and number > LARGEST for number in numbers):
            raise ValueError(f"should be {LARGEST} at most")
        return value


def option(
    default: Any,
    text: str,
    short: str | None = None,
    former: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
    **limits: Any,
) -> Any:
    """A field with its help text.

    Args:
        default: its value where nothing is given.
        text: one sentence for `--help` and the docs.
        short: a flag of one letter.
        former: names that are accepted too, as flag, key and keyword.
        words: that are accepted beside numbers; the first is what the default is called.
        limits: what pydantic's `Field` takes: gt, ge, lt, le.
    """
    extra: Any = {"short": short, "former": list(former), "words": list(words)}
    return Field(default, description=text, json_schema_extra=extra, **limits)


def panel_of(section: type[BaseModel]) -> str:
    """The heading of a section's flags; nothing where it has none of its own."""
    return str(getattr(section, "panel", ""))


def short_flag(field: FieldInfo) -> str | None:
    """The flag of one letter that a field has besides its name."""
    return _extra(field).get("short")


def former_names(field: FieldInfo) -> list[str]:
    """Other names that a field is accepted under."""
    return list(_extra(field).get("former", ()))


def words_beside_numbers(field: FieldInfo) -> list[str]:
    """Words that a field of numbers is accepted as; the first stands for its default."""
    return list(_extra(field).get("words", ()))


def takes_several(field: FieldInfo) -> bool:
    """Whether a field holds several values."""
    kinds = [field.annotation, *get_args(field.annotation)]
    kinds += [kind.__origin__ for kind in kinds if hasattr(kind, "__metadata__")]  # Annotated
    return any(kind is tuple or get_origin(kind) is tuple for kind in kinds)


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _split(value: Any) -> Any:
    """Accept `1,8`, `1 8`, [1, 8] and ["1,8"] alike."""
    parts = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(part, str | int | float) for part in parts):
        return value
    return [piece for part in parts for piece in str(part).replace(",", " ").split()]


def _listed(value: Any) -> Any:
    """Accept one path where several may stand; a path may have spaces."""
    return list(value) if isinstance(value, list | tuple) else [str(value)]


def _written(value: Any) -> Any:
    """Take the number 2.0, as YAML and Python have it, for the text."""
    return str(value) if isinstance(value, int | float) else value


NO_LIMIT = LARGEST
"""The number behind `auto` of a limit: only what others set holds."""


def _limit(value: Any) -> Any:
    return NO_LIMIT if value == "auto" else value


def _shown_limit(value: int) -> int | str:
    return "auto" if value == NO_LIMIT else value


Length = Annotated[int, BeforeValidator(_limit), PlainSerializer(_shown_limit)]
Written = Annotated[str, BeforeValidator(_written)]
Numbers = Annotated[tuple[Annotated[int, Field(gt=0)], ...], BeforeValidator(_split)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Paths = Annotated[tuple[str, ...], BeforeValidator(_listed)]
