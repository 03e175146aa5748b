"""Makes the page of the facts: charts, tables, and what to do where something is missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from gong_source.dates import in_words
from gong_source.report import charts
from gong_source.report.gather import ACTIVITY_WEEKS, REQUEST_DAYS
from gong_source.report.verdict import warnings
from gong_source.resources import RESOURCES
from gong_source.version import __version__
from gong_source.windows import days_before

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gong_source.report.charts import Chart
    from gong_source.report.gather import Activity, Facts, Trust

_TEMPLATE = Path(__file__).with_name("page.html")
_GAPS_SHOWN = 20


def render(facts: Facts, *, names: bool, lookback_days: float) -> str:
    """The page as HTML: one file that needs no script and asks for nothing; names of people only with `names`."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"time": _time, "number": "{:,}".format, "words": in_words}
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        facts=facts,
        names=names,
        version=__version__,
        warnings=warnings(facts),
        resources=[_resource(trust, lookback_days) for trust in facts.trust],
        request_chart=_requests(facts),
        request_days=REQUEST_DAYS,
        weeks=ACTIVITY_WEEKS,
        with_calls="calls" in facts.status.resources,
        activity=_activity(facts.activity, facts.time_zone, names) if facts.activity else [],
    )


def _resource(trust: Trust, lookback_days: float) -> dict[str, Any]:
    """What the page shows of one resource."""
    resource, status = RESOURCES[trust.status.name], trust.status
    drawn = [charts.calendar(resource.plural, trust.days)] if trust.days else []
    if trust.late:
        drawn.append(charts.late(resource.plural, trust.late, lookback_days))
    return {
        "status": status,
        "windowed": resource.windowed,
        "current": "last snapshot" if resource.selection == "whole" else "covered up to",
        "plural": resource.plural,
        "charts": drawn,
        "hidden_months": max(0, len({day.day.strftime("%Y-%m") for day in trust.days}) - charts.MONTHS_SHOWN),
        "gaps": status.gaps[:_GAPS_SHOWN],
        "more_gaps": max(0, len(status.gaps) - _GAPS_SHOWN),
        "unsettled": status.unsettled[:_GAPS_SHOWN],
        "more_unsettled": max(0, len(status.unsettled) - _GAPS_SHOWN),
    }


def _requests(facts: Facts) -> Chart | None:
    if not facts.requests:
        return None
    until = facts.made_at.date()
    return charts.requests(facts.requests, facts.budget, days_before(facts.made_at, REQUEST_DAYS - 1).date(), until)


def _activity(activity: Activity, zone: str, names: bool) -> Sequence[Chart]:
    weeks = activity.weeks
    drawn = [
        charts.weekly("Calls per week", "calls", charts.by_week(weeks, "calls")),
        charts.weekly("Hours per week", "hours", charts.by_week(weeks, "hours")),
        charts.week_hours(activity.hours, zone),
    ]
    for title, name in (("scope", "scope"), ("direction", "direction"), ("media", "media")):
        counted: Counter[str] = Counter()
        for week in weeks:
            counted[getattr(week, name)] += week.calls
        drawn.append(charts.shares(f"Calls by {title}", counted))
    if activity.reps:
        shown = [rep.name if names and rep.name else f"host {place}" for place, rep in enumerate(activity.reps, 1)]
        calls = [rep.calls for rep in activity.reps]
        drawn.append(charts.named("Busiest hosts", list(zip(_distinct(shown), calls, strict=True))))
    return drawn


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that occur several times."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct


def _time(moment: datetime | None) -> str:
    """The time to the minute, UTC."""
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
