"""Charts as static SVG: Vega-Lite draws them, and the page's own variables colour them, so that they follow its theme.

A chart is a specification of Vega-Lite 5, as its documentation describes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import vl_convert

from gong_source.report.days import STATES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from gong_source.report.days import Day, State
    from gong_source.report.gather import Week

# So wide is the inner part of a chart, which fits a telephone; on wider screens, several stand side by side.
_PLOT = 262
# Each stands for a variable of the page. Vega-Lite only takes colours, so these are ones that no chart has otherwise.
_COLOURS = {
    "ink": "#010203",
    "faint": "#010204",
    "main": "#010206",
    "good": "#010208",
    "fine": "#010209",
    "open": "#01020a",
    "warn": "#01020b",
    "bad": "#01020c",
    "paper": "#01020d",
    "heat1": "#010301",
    "heat2": "#010302",
    "heat3": "#010303",
    "heat4": "#010304",
    "heat5": "#010305",
}
_HEAT = [_COLOURS[f"heat{step}"] for step in range(1, 6)]
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_OF_STATE: dict[State, str] = {
    "verified": "good",
    "loaded": "fine",
    "still processed by Gong": "open",
    "partly loaded": "warn",
    "not loaded": "bad",
}
_AXIS = {"domain": False, "ticks": False, "grid": False}
_COUNTS = {"tickMinStep": 1, "tickCount": 4, "format": ",d"}
_BARS = {"type": "bar", "color": _COLOURS["main"]}
_SQUARES = {"type": "rect", "stroke": _COLOURS["paper"], "strokeWidth": 1}
_TEXT = {
    "labelColor": _COLOURS["faint"],
    "titleColor": _COLOURS["faint"],
    "labelFontSize": 10,
    "titleFontSize": 10,
    "titleFontWeight": "normal",
}
_CONFIGURATION = {
    "font": "sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": _TEXT,
    "legend": {**_TEXT, "padding": 0},
}
# A calendar of more months would be too long to read; the gaps are listed beside it.
MONTHS_SHOWN = 36


Specification = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its title, what it shows in words, and its SVG."""

    title: str
    alt: str
    svg: str


def calendar(plural: str, days: Sequence[Day]) -> Chart:
    """The days of a resource: a row for each month, the last one first."""
    months = sorted({f"{day.day:%Y-%m}" for day in days}, reverse=True)[:MONTHS_SHOWN]
    cells = [
        {"month": f"{day.day:%Y-%m}", "day": day.day.day, "state": day.state}
        for day in days
        if f"{day.day:%Y-%m}" >= months[-1]
    ]
    states = [state for state in STATES if any(cell["state"] == state for cell in cells)]
    colours = {"domain": states, "range": [_COLOURS[_OF_STATE[state]] for state in states]}
    drawn = _drawn(
        cells,
        _SQUARES,
        x=_along("day", "ordinal", axis={"labelAngle": 0, "values": [1, 5, 10, 15, 20, 25, 30]}),
        y=_along("month", "ordinal", sort="descending"),
        color={
            **_field("state", "nominal", scale=colours),
            "legend": {"title": None, "orient": "top", "columns": 2, "symbolType": "square"},
        },
    )
    counted = {state: sum(day.state == state for day in days) for state in STATES}
    said = ", ".join(f"{number:,} {state}" for state, number in counted.items() if number)
    return _chart(f"Days of {plural}", f"UTC days by what is known about them: {said}.", drawn, height={"step": 13})


def requests(days: Mapping[date, int], budget: int, since: date, until: date) -> Chart:
    """The requests of each UTC day against the budget of a day."""
    scale = {"type": "utc", "domain": [str(since), str(until)]}
    cells = [{"day": str(day), "requests": sent} for day, sent in days.items()]
    bars = _drawn(
        cells,
        {"type": "bar", "color": _COLOURS["main"], "size": 6},
        x=_along("day", "temporal", scale=scale, axis={"format": "%d %b", "tickCount": 5, "labelAngle": 0}),
        y=_along("requests", "quantitative", axis=_COUNTS),
    )
    line = _drawn(
        [{"budget": budget}],
        {"type": "rule", "color": _COLOURS["bad"], "strokeDash": [4, 3]},
        y=_along("budget", "quantitative"),
    )
    most = max(days.values(), default=0)
    near = most * 20 >= budget  # otherwise the line of the budget would press the bars flat
    said = f"At most {most:,} of {budget:,} in a day; {sum(days.values()):,} in all."
    return _chart("Requests per UTC day", said, {"layer": [bars, line] if near else [bars]}, height=120)


def late(plural: str, days: Mapping[int, int], lookback: float) -> Chart:
    """After how many days late records appeared."""
    drawn = _drawn(
        [{"days": day, "records": number} for day, number in sorted(days.items())],
        _BARS,
        x=_along("days", "ordinal", title="days after the call", axis={"labelAngle": 0, "labelOverlap": True}),
        y=_along("records", "quantitative", axis=_COUNTS),
    )
    said = (
        f"{sum(days.values()):,} {plural} of the last 90 days were not there when their time was first fetched; the"
        f" latest appeared {max(days)} to {max(days) + 1} days after it. Each sync looks back {lookback:g} days."
    )
    return _chart(f"Late {plural}", said, drawn, height=100)


def weekly(title: str, unit: str, numbers: Mapping[date, float]) -> Chart:
    """A number for each week."""
    weeks = (max(numbers) - min(numbers)).days / 7 + 1
    drawn = _drawn(
        [{"week": str(week), "number": number} for week, number in sorted(numbers.items())],
        {**_BARS, "size": max(1.5, min(12, 220 / weeks))},
        x=_along(
            "week",
            "temporal",
            scale={"type": "utc"},
            axis={"format": "%d %b" if weeks < 26 else "%b %Y", "tickCount": 4, "labelAngle": 0, "labelOverlap": True},
        ),
        y=_along("number", "quantitative", axis=_COUNTS if unit == "calls" else {"tickCount": 4, "format": ",.2~f"}),
    )
    best = max(numbers, key=lambda week: numbers[week])
    said = (
        f"{_shown(sum(numbers.values()))} {unit} in {len(numbers)} weeks with calls; most in the week of {best}:"
        f" {_shown(numbers[best])}."
    )
    return _chart(title, said, drawn, height=120)


def week_hours(hours: Mapping[tuple[int, int], int], zone: str) -> Chart:
    """Calls by weekday and hour."""
    drawn = _drawn(
        [{"day": _WEEKDAYS[day], "hour": hour, "calls": number} for (day, hour), number in hours.items()],
        _SQUARES,
        x=_along("hour", "ordinal", scale={"domain": [*range(24)]}, axis={"labelAngle": 0, "values": [0, 6, 12, 18]}),
        y=_along("day", "ordinal", sort=_WEEKDAYS, scale={"domain": _WEEKDAYS}),
        color={
            **_field("calls", "quantitative", scale={"type": "quantize", "range": _HEAT}),
            "legend": {"title": "calls", "orient": "top", "direction": "horizontal", "format": ",.0f"},
        },
    )
    (day, hour), most = max(hours.items(), key=lambda item: item[1])
    said = f"Most calls begin on {_WEEKDAYS[day]} from {hour}:00 to {hour + 1}:00 ({most:,}), times in {zone}."
    return _chart("Calls by weekday and hour", said, drawn, height=110)


def shares(title: str, numbers: Mapping[str, int]) -> Chart:
    """The calls under each of a few names, the largest number first."""
    return named(title, sorted(numbers.items(), key=lambda item: (-item[1], item[0])))


def named(title: str, numbers: Sequence[tuple[str, int]]) -> Chart:
    """The calls under each name, in the given order."""
    cells = [{"name": name, "number": number} for name, number in numbers]
    room = {"domain": [0, max(number for _, number in numbers) * 1.25]}  # for the number behind a bar
    y = _along("name", "nominal", sort=None, axis={"labelLimit": 110})
    x = _field("number", "quantitative", scale=room, axis=None)
    bars = _drawn(cells, _BARS, x=x, y=y)
    labels = _drawn(
        cells,
        {"type": "text", "align": "left", "dx": 4, "color": _COLOURS["ink"], "fontSize": 10},
        x=x,
        y=y,
        text={"field": "number", "type": "quantitative", "format": ","},
    )
    said = ", ".join(f"{name}: {number:,}" for name, number in numbers)
    return _chart(title, f"{said} calls.", {"layer": [bars, labels]}, width=200, height={"step": 20})


def by_week(weeks: Sequence[Week], value: str) -> dict[date, float]:
    """The sum of `calls` or `hours` for each week."""
    ordered = sorted(weeks, key=lambda week: week.week)
    return {
        monday: sum(getattr(week, value) for week in alike)
        for monday, alike in groupby(ordered, key=lambda week: week.week)
    }


def _shown(number: float) -> str:
    return f"{number:,.1f}" if number < 10 and number != int(number) else f"{number:,.0f}"


def _field(name: str, kind: str, **more: Any) -> Specification:
    return {"field": name, "type": kind, "title": None, **more}


def _along(name: str, kind: str, *, axis: Specification | None = None, **more: Any) -> Specification:
    """A field along an axis."""
    return _field(name, kind, axis={**_AXIS, **(axis or {})}, **more)


def _drawn(cells: Sequence[Specification], mark: Specification, **encoding: Specification) -> Specification:
    return {"data": {"values": [*cells]}, "mark": mark, "encoding": encoding}


def _chart(title: str, said: str, drawn: Specification, *, height: Any, width: int = _PLOT) -> Chart:
    specification = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "transparent",
        "padding": 2,
        "width": width,
        "height": height,
        "config": _CONFIGURATION,
        **drawn,
    }
    return Chart(title, said, _for_page(vl_convert.vegalite_to_svg(specification), f"{title}. {said}"))


def _for_page(svg: str, described: str) -> str:
    """The SVG with the page's colours, of flexible width, and described for those who cannot see it."""
    for name, colour in _COLOURS.items():
        svg = re.sub(rf'"{colour}"', f'"var(--{name})"', svg, flags=re.IGNORECASE)
    found = re.match(r'<svg [^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None, "a chart is an SVG with a viewBox"
    width, height = found.groups()
    inner = svg[svg.index(">") + 1 :]
    opening = f'<svg role="img" aria-label={quoteattr(described)} viewBox="0 0 {width} {height}" width="{width}">'
    return f"{opening}<title>{escape(described)}</title>{inner}"
