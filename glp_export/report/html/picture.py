"""Drawing with matplotlib, and fitting the drawing into the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from glp_export.report.html.theme import in_page, placeholder
from glp_export.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 860, 350
"""Widths of the two drawings in CSS pixels: letters of a wide one would be too small on a phone."""

_DOTS = 72  # an SVG of matplotlib has 72 units an inch: one is one pixel here
_ROLE = "role-"


@dataclass(frozen=True)
class Mark:
    """One entry of a legend: a glyph, the name of its colour, and what it stands for."""

    glyph: str
    colour: str
    text: str


@dataclass(frozen=True)
class Canvas:
    """Where a plot is drawn; lengths in pixels.

    Attributes:
        figure: matplotlib's.
        width: of the drawing.
        height: of the drawing.
    """

    figure: Figure
    width: float
    height: float

    @property
    def narrow(self) -> bool:
        """Whether it is the drawing for a phone."""
        return self.width < WIDE

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Axes with these margins."""
        axes = self.figure.add_axes(
            (
                left / self.width,
                bottom / self.height,
                (self.width - left - right) / self.width,
                (self.height - top - bottom) / self.height,
            )
        )
        axes.patch.set_visible(False)
        return axes


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot: what stands around it, and what draws it, for a wide page and for a phone.

    Attributes:
        name: of its place in the page.
        title: above it.
        description: for who does not see it.
        caption: how to read it.
        table: the numbers.
        draw: draws on a canvas of either width.
        heights: of the wide and of the narrow drawing.
        legend: what its marks stand for.
    """

    name: str
    title: str
    description: str
    caption: str
    table: Table
    draw: Callable[[Canvas], None]
    heights: tuple[float, float]
    legend: tuple[Mark, ...] = ()

    @property
    def drawings(self) -> tuple[Markup, Markup]:
        """The wide and the narrow one as SVG."""
        wide, narrow = self.heights
        return _svg(self, "wide", WIDE, wide), _svg(self, "narrow", NARROW, narrow)


def x_label(axes: Axes, text: str) -> None:
    """Write an axis label below the axis, flush right."""
    note(
        axes,
        text,
        (1, 0),
        (0, -26),
        "right top",
        xycoords="axes fraction",
        gid=f"{_ROLE}axis-label",
    )


def y_label(axes: Axes, text: str) -> None:
    """Write an axis label above the axis, to be read without tilting the head."""
    note(
        axes,
        text,
        (0, 1),
        (0, 12),
        "left bottom",
        xycoords="axes fraction",
        gid=f"{_ROLE}axis-label",
    )


def note(
    axes: Axes,
    text: str,
    place: tuple[float, float],
    offset: tuple[float, float],
    side: str,
    colour: str = "muted",
    **options: Any,
) -> None:
    """Write a few words beside a place, even outside the axes.

    Args:
        axes: to write in.
        text: the words.
        place: in the units of the axes, or as `xycoords` says.
        offset: of the text from it, in pixels.
        side: of the text that lies there: `left bottom`.
        colour: its name.
        options: matplotlib's.
    """
    ha, va = side.split()
    axes.annotate(
        text, place, xytext=offset, textcoords="offset points", ha=ha, va=va, fontsize=12,
        color=placeholder(colour), annotation_clip=False, **options,
    )  # fmt: skip


def dot(
    axes: Axes,
    place: tuple[float, float],
    marker: str,
    colour: str,
    *,
    hollow: bool = False,
    size: float = 9,
    edge: float = 1.8,
    **options: Any,
) -> None:
    """Set one marker; a hollow one has the page behind it."""
    axes.plot(
        [place[0]], [place[1]], marker=marker, markersize=size, markeredgewidth=edge,
        markerfacecolor=placeholder("card" if hollow else colour),
        markeredgecolor=placeholder(colour), **options,
    )  # fmt: skip


def box(
    axes: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    face: str,
    edge: str,
    line: float,
    **options: Any,
) -> None:
    """Draw a rectangle from its lower corner on, in the units of the axes."""
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            corner, *size, facecolor=face, edgecolor=edge, linewidth=line, clip_on=False, **options
        )
    )


def _svg(plot: Plot, css_class: str, width: float, height: float) -> Markup:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        # A name in another script has no glyph in matplotlib's font; the browser has one.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        matplotlib.rcdefaults()  # whatever the user's own settings are
        matplotlib.rcParams.update(_style())
        figure = Figure(figsize=(width / _DOTS, height / _DOTS), dpi=_DOTS)
        figure.patch.set_visible(False)
        plot.draw(Canvas(figure, width, height))
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing)
    name = f"{plot.name}-{css_class}"
    opening = (
        f'<svg class="{css_class}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="{name}-title {name}-description" xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="{name}-title">{escape(plot.title)}</title>'
        f'<desc id="{name}-description">{escape(plot.description)}</desc>'
    )
    return Markup(opening + _inside(out.getvalue(), name))


def _style() -> Any:
    ink, muted, line = placeholder("ink"), placeholder("muted"), placeholder("line")
    return {
        "svg.hashsalt": "glp-export",  # the same input, the same file
        # Letters stay letters: they can be searched, read aloud, set in the page's own font and
        # coloured by it, and take a tenth of the room of outlines.
        "svg.fonttype": "none",
        "font.size": 12,
        "text.color": ink,
        "text.parse_math": False,
        "axes.edgecolor": line,
        "axes.labelcolor": muted,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 1,
        "axes.unicode_minus": True,
        "axes.axisbelow": True,
        "grid.color": line,
        "grid.linewidth": 1,
        **{f"{axis}tick.color": line for axis in "xy"},
        **{f"{axis}tick.labelcolor": muted for axis in "xy"},
        **{f"{axis}tick.{kind}.size": 0 for axis in "xy" for kind in ("major", "minor")},
        **{f"{axis}tick.major.pad": 6 for axis in "xy"},
        "lines.linewidth": 1.6,
        "lines.linestyle": "none",  # points stand alone where no line is asked for
        "hatch.linewidth": 1,
    }


def _inside(svg: str, name: str) -> str:
    """What stands between the tags of a drawing, short, and with ids that are its own."""
    svg = svg[svg.index(">", svg.index("<svg")) + 1 :]
    unread = r"(?s)<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->|<metadata>.*?</metadata>"
    svg = re.sub(unread, "", svg)
    svg = re.sub(r">\s+<", "><", svg.replace("\n", " ")).strip()
    used = list(dict.fromkeys(re.findall(r'(?:url\(|href=")#([^)"]+)', svg)))
    for number, old in enumerate(used):
        svg = re.sub(rf'(?<=[#"]){re.escape(old)}(?=[")])', f"{name}-{number}", svg)
    kept = {f"{name}-{number}" for number in range(len(used))}
    svg = re.sub(r' id="([^"]*)"', lambda found: _id(found[1], kept), svg)
    svg = re.sub(r"<[^>]+>", lambda tag: _short(tag[0]), svg)
    return in_page(svg)


def _id(name: str, kept: set[str]) -> str:
    """An id that something refers to, the class that stands in one, or nothing."""
    if name.startswith(_ROLE):
        return f' class="{name.removeprefix(_ROLE)}"'
    return f' id="{name}"' if name in kept else ""


def _short(tag: str) -> str:
    """A tag without the fonts that the page chooses, and hundredths of a pixel as the finest."""
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(
        r"(?<![#\w])-?\d+\.\d{3,}(?![\w.])",
        lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."),
        tag,
    )
    tag = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", tag)
    return re.sub(r" {2,}", " ", tag).replace(' "', '"')
