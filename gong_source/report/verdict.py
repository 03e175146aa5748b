"""What a person should look at before trusting the dataset, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.dates import in_words
from gong_source.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gong_source.report.gather import Facts, Trust

# Daily syncs are common; a resource that is older than two days has missed one.
_OLD_SECONDS = 2 * 86_400


def warnings(facts: Facts) -> Sequence[str]:
    """Each reason not to trust the dataset as it is; none: all is well."""
    unverified = [trust.status.name for trust in facts.trust if trust.status.verified is None]
    never = f"Never verified: {', '.join(unverified)}. gong-source verify compares with Gong."
    found = [warning for trust in facts.trust for warning in _of_resource(trust, facts.snapshot_hours)]
    return [*_of_runs(facts), *found, *([never] if unverified else [])]


def _of_runs(facts: Facts) -> Iterator[str]:
    if facts.runs and facts.runs[0].status != "done":
        last = facts.runs[0]
        yield f"The last run ({last.command}) ended as {last.status}: {last.message or 'without a message'}."
    for tenant in facts.status.tenants:
        yield f"Rows of several Gong tenants lie in one table: {', '.join(tenant.hosts)}. gong-source status says more."


def _of_resource(trust: Trust, snapshot_hours: float) -> Iterator[str]:
    status, resource = trust.status, RESOURCES[trust.status.name]
    allowed = _OLD_SECONDS + (snapshot_hours * 3600 if resource.selection == "whole" else 0)
    if status.age_seconds is not None and status.age_seconds > allowed:
        yield f"{status.name} is {in_words(status.age_seconds)} old: run gong-source sync."
    if status.gaps:
        gaps = f"{len(status.gaps):,} gaps" if len(status.gaps) > 1 else "a gap"
        yield f"{status.name} has {gaps} in the time that is loaded: gong-source backfill loads what is missing."
    if status.unsettled:
        yield f"Gong counts more {resource.plural} than it lists: it still processes some. The next syncs fetch them."
    verified = status.verified
    if verified is not None and verified.outcome not in {"clean", "repaired"}:
        yield f"The last verification of {status.name} ended with {verified.outcome}: run gong-source verify --repair."
    if status.arrivals is not None and not status.arrivals.enough:
        how = "later than" if status.arrivals.beyond else "near the end of what"
        yield f"Some {resource.plural} arrive {how} each sync looks back: set lookback_days to more days."
