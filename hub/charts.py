"""Charts as SVG, drawn by the server: no script, no inline style, colours from the style sheet.

A chart is a picture for the eye; the table beside it says the same, so a screen reader gets the
title and the description only. Classes: `chart`, and `series-1` and so on for what is drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH = 960
LEFT, RIGHT, TOP, BOTTOM = 170, 70, 34, 24
BAR, GAP = 18, 10
PLOT = WIDTH - LEFT - RIGHT
TICKS = 4
NAME = 24  # characters of a row's name

_ids = count(1)


@dataclass(frozen=True)
class Row:
    """One bar: its name, where it leads, and a value for each series."""

    name: str
    values: Sequence[int]
    url: str = ""


@dataclass(frozen=True)
class Bars:
    """A chart of stacked horizontal bars; `series` names the values of each row, in their order."""

    title: str
    description: str
    series: Sequence[str]
    rows: Sequence[Row]

    @property
    def highest(self) -> int:
        """Return the end of the scale: a round number that no bar exceeds."""
        return rounded_up(max((sum(row.values) for row in self.rows), default=0))


def bars(chart: Bars) -> SafeString:
    """Draw stacked bars, one below the other, with a legend and a scale."""
    height = TOP + len(chart.rows) * (BAR + GAP) + BOTTOM
    name = f"chart-{next(_ids)}"
    return format_html(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{n}-t {n}-d">'
        '<title id="{n}-t">{title}</title><desc id="{n}-d">{desc}</desc>{parts}</svg>',
        w=WIDTH,
        h=height,
        n=name,
        title=chart.title,
        desc=chart.description,
        parts=format_html_join("", "{}", ((part,) for part in _parts(chart, height - BOTTOM))),
    )


def rounded_up(value: int) -> int:
    """Return the next of 4, 8, 12, 20, 40, 80, 120 ...: each divides into four ticks."""
    step = 1
    while True:
        for leading in (4, 8, 12, 20):
            if value <= leading * step:
                return leading * step
        step *= 10


def _parts(chart: Bars, bottom: int) -> Iterator[SafeString]:
    yield from _legend(chart.series)
    yield from _scale(chart.highest, bottom)
    for place, row in enumerate(chart.rows):
        yield from _bar(row, TOP + place * (BAR + GAP) + GAP // 2, chart.highest)


def _legend(series: Sequence[str]) -> Iterator[SafeString]:
    left = LEFT
    for number, name in enumerate(series, 1):
        yield _rectangle(left, 4, 12, 12, f"series-{number}")
        yield _text(left + 18, 14, name)
        left += 44 + 7 * len(name)


def _scale(highest: int, bottom: int) -> Iterator[SafeString]:
    for tick in range(TICKS + 1):
        x = LEFT + PLOT * tick // TICKS
        yield format_html('<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>', x, TOP, x, bottom)
        yield _text(x, bottom + 16, f"{highest * tick // TICKS:,}", "middle")


def _bar(row: Row, top: int, highest: int) -> Iterator[SafeString]:
    short = row.name if len(row.name) <= NAME else f"{row.name[: NAME - 1]}…"
    label = _text(LEFT - 10, top + 13, short, "end")
    yield format_html('<a href="{}">{}</a>', row.url, label) if row.url else label
    left = float(LEFT)
    for number, value in enumerate(row.values, 1):
        if value:
            width = max(2.0, PLOT * value / highest)
            yield _rectangle(round(left, 1), top, round(width, 1), BAR, f"series-{number}")
            left += width
    yield _text(round(left) + 6, top + 13, f"{sum(row.values):,}")


def _rectangle(x: float, y: int, width: float, height: int, kind: str) -> SafeString:
    return format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', kind, x, y, width, height
    )


def _text(x: int, y: int, text: str, anchor: str = "start") -> SafeString:
    return format_html('<text x="{}" y="{}" text-anchor="{}">{}</text>', x, y, anchor, text)
