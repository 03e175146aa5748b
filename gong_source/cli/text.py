"""What people read on stdout: results as text."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gong_source.dates import in_words
from gong_source.resources import RESOURCES
from gong_source.windows import iso, whole_second

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.runs.backfill import Plan
    from gong_source.runs.check import CheckResult
    from gong_source.runs.demo import DemoResult
    from gong_source.runs.erase import EraseResult
    from gong_source.runs.results import LoadResult, ResourceResult
    from gong_source.runs.status import ResourceStatus, StatusResult
    from gong_source.runs.verification import Difference, Verification, VerifyResult
    from gong_source.warehouse.arrivals import Delays
    from gong_source.warehouse.history import Verified
    from gong_source.windows import Window

_MOST_LINES = 50
_MOST_WINDOWS_SHOWN = 5


def plural(number: int, one: str, many: str | None = None) -> str:
    """The number with its noun: `1 window`, `1,234 windows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def check_text(result: CheckResult) -> str:
    """What a check found, for people."""
    width = max(len(part.name) for part in result.resources)
    lines = [f"{result.base_url}: {result.message}"]
    for part in result.resources:
        chosen = "" if part.chosen else " (not chosen)"
        lines.append(f"  {part.name:<{width}}  {part.message}{chosen}")
    return "\n".join(lines)


def erase_text(result: EraseResult) -> str:
    """What was erased and what remains, for people."""
    lines = [result.message, *(f"  {name}: {plural(rows, 'row')}" for name, rows in result.tables.items() if rows)]
    if result.users:
        has = "has" if result.users == 1 else "have"
        rows = plural(result.users, "row")
        lines.append(f"{rows} of users {has} this address or number and {_stay(result.users)}: your own staff")
    lines += result.notes
    if result.remains:
        lines += ["What remains:", *(f"  {text}" for text in result.remains)]
    return "\n".join(lines)


def _stay(number: int) -> str:
    return "stays" if number == 1 else "stay"


def load_text(result: LoadResult) -> str:
    """What a run that loads did, for people."""
    lines = [
        f"{result.command} {result.status}: {plural(result.requests, 'request')}, {in_words(result.seconds)}",
        *(line for part in result.resources.values() for line in _resource_lines(part, result)),
    ]
    if result.verification is not None:
        lines.append(verify_text(result.verification))
    return "\n".join(lines)


def _resource_lines(part: ResourceResult, result: LoadResult) -> list[str]:
    resource = RESOURCES[part.resource]
    if part.status == "failed" and not (part.received or part.asked or part.failures):
        return [f"{part.resource}: nothing loaded; the error message says why"]
    if part.not_due_until is not None:
        return [f"{part.resource}: the last snapshot is recent enough; the next one is due {_time(part.not_due_until)}"]
    if resource.by_id:
        return _asked_lines(part, resource, result)
    windows = f" in {plural(part.windows, 'window')}" if resource.windowed else ""
    covered = f"; covered up to {iso(part.watermark)}" if part.watermark else ""
    lines = [f"{resource.count(part.received)} received{windows}, {part.changed:,} new or changed{covered}"]
    if part.marked_deleted:
        lines.append(f"{resource.count(part.marked_deleted)} no longer listed by Gong: deleted_at is set")
    lines += _unmapped_lines(part, resource)
    if part.unsettled:
        lines.append(
            f"Gong is still processing {resource.plural} in {plural(len(part.unsettled), 'window')};"
            " the next syncs fetch them again"
        )
    if part.status == "done" and part.received == 0 and part.ranges and result.requests:
        lines.append(
            f"Gong listed no {resource.singular}. There may be none in this range, the key may not see"
            f" {resource.plural}, or workspace_id may be wrong: Gong's answer is the same"
        )
    return lines + part.failures


def _unmapped_lines(part: ResourceResult, resource: Resource) -> list[str]:
    if not part.unmapped:
        return []
    has = "has" if part.unmapped == 1 else "have"
    return [f"{resource.count(part.unmapped)} {has} fields or values without a column; they are kept in extra"]


def _asked_lines(part: ResourceResult, resource: Resource, result: LoadResult) -> list[str]:
    """What a run did with a resource that is requested by call id."""
    if not part.asked and part.status == "done":
        listed = all(other.status == "done" for name, other in result.resources.items() if RESOURCES[name].windowed)
        return [f"{part.resource}: no call is due" if listed else f"{part.resource}: no stored call is due"]
    if not part.asked:
        return part.failures
    lines = [
        f"{resource.count(part.received)} received for {plural(part.asked, 'call')} that {_were(part.asked)} due,"
        f" {part.changed:,} new or changed"
    ]
    return lines + _unmapped_lines(part, resource) + part.failures


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def verify_text(result: VerifyResult) -> str:
    """What a verification found and did, for people."""
    lines = [_verdict(part) for part in result.resources.values()]
    lines.append(f"{plural(result.requests, 'request')}, {in_words(result.seconds)}")
    if result.windows:
        lines += ["", *_differences(result.windows), ""]
    for part in result.resources.values():
        resource = RESOURCES[part.resource]
        if part.marked_deleted:
            lines.append(f"{resource.count(part.marked_deleted)} no longer listed by Gong: deleted_at is set")
        if unsettled := part.total("unsettled"):
            lines.append(f"Gong counts {resource.count(unsettled)} that it does not list yet; it still processes them")
    return "\n".join([*lines, *result.failures])


def _verdict(part: Verification) -> str:
    resource = RESOURCES[part.resource]
    if part.listed is None or part.stored is None:
        return f"{part.resource}: {part.outcome}"
    if resource.by_id:
        return _asked_verdict(part, resource)
    if part.outcome == "clean" and part.listed == part.stored == 0:
        return f"{part.resource}: clean. Gong lists none, and the warehouse has none"
    if part.outcome == "clean" and part.listed == part.stored:
        has = "has it" if part.listed == 1 else "has all of them"
        return f"{part.resource}: clean. Gong lists {resource.count(part.listed)} and the warehouse {has}"
    where = f"; {plural(len(part.differing), 'window differs', 'windows differ')}" if resource.windowed else ""
    counts = f"Gong counts {resource.count(part.listed)}"
    return f"{part.resource}: {part.outcome}. {counts}, the warehouse has {part.stored:,}{where}"


def _asked_verdict(part: Verification, resource: Resource) -> str:
    asked = f"Gong was asked for {part.stored:,} of {plural(part.listed or 0, 'call')}"
    proven = "and every call was compared" if part.deep else "and all their rows are there"
    if part.outcome == "clean":
        return f"{part.resource}: clean. {asked}, {proven}"
    differ = part.total("missing") + part.total("changed")
    return f"{part.resource}: {part.outcome}. {asked}; {resource.count(differ)} missing or different"


def _differences(windows: list[Difference]) -> list[str]:
    names = ("listed", "stored", "missing", "changed", "surplus", "unsettled", "outcome")
    cells = [["resource", "from (UTC)", "to (UTC)", *names]]
    for found in windows[:_MOST_LINES]:
        bounds = [iso(found.window.start), iso(found.window.end)] if found.window else ["whole list", ""]
        cells.append([found.resource, *bounds, *(str(getattr(found, name)) for name in names)])
    return table(cells) + ([f"and {len(windows) - _MOST_LINES:,} more"] if len(windows) > _MOST_LINES else [])


def table(cells: Sequence[Sequence[str]]) -> list[str]:
    """The cells as lines with columns, aligned to the right."""
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def plan_text(plan: Plan) -> str:
    """What a backfill would take, for people."""
    if not plan.requests:
        return "nothing to do: the range is loaded already; --refresh loads it again"
    lines = [f"{name}, to fetch: {_windows(ranges)}" for name, ranges in plan.ranges.items() if ranges]
    asked = [name for name in plan.records if plan.ranges.get(name) or plan.records[name]]
    records = ", ".join(RESOURCES[name].count(plan.records[name]) for name in asked)
    windows = f" in about {plural(plan.windows, 'window')}" if plan.windows else ""
    return "\n".join(
        [
            *lines,
            f"{records}{windows}: {plural(plan.requests, 'request')},"
            f" {in_words(plan.seconds)} at the permitted rate, {plan.days:.2f} days of the request budget,"
            f" about {plan.bytes / 1e6:,.0f} MB",
            f"(this plan took {plural(plan.requests_used, 'request')})",
        ]
    )


def status_text(result: StatusResult) -> str:
    """The state of a dataset, for people."""
    if not result.exists:
        return f"there is no dataset {result.dataset} in {result.place} yet; gong-source sync creates it"
    facts = [
        ("dataset", f"{result.dataset} in {result.place}"),
        ("requests today", f"{result.requests_today:,}"),
    ]
    if (last := result.last_command) is not None:
        why = f": {last.message}" if last.message else ""
        facts.append(("last command", f"{last.command} {last.status} at {_time(last.at)}{why}"))
    facts += [
        ("mixed tenants", f"{', '.join(tenant.hosts)}: {tenant.rows:,} rows; to remove them: {tenant.delete}")
        for tenant in result.tenants
    ]
    facts += [(part.name, _freshness(part)) for part in result.resources.values()]
    for part in result.resources.values():
        facts += [("", ""), *_resource_facts(part)]
    return "\n".join(f"{name:<15}{value}".rstrip() for name, value in facts)


def _freshness(part: ResourceStatus) -> str:
    """How current a resource is, in one line."""
    if part.current_to is None or part.age_seconds is None:
        return f"{part.rows:,} rows, but no sync has finished yet" if part.rows else "nothing loaded yet"
    return f"{part.rows:,} rows, current to {_time(part.current_to)}, {in_words(part.age_seconds)} ago"


def _resource_facts(part: ResourceStatus) -> list[tuple[str, str]]:
    resource = RESOURCES[part.name]
    deleted = f" ({part.deleted:,} no longer listed by Gong)" if part.deleted else ""
    facts = [(part.name, f"{part.rows:,}{deleted}")]
    if resource.windowed:
        facts += [
            (f"first {resource.singular}", _time(part.first_record)),
            (f"last {resource.singular}", _time(part.last_record)),
            ("covered up to", _time(part.watermark)),
            ("covered", _windows(part.covered)),
            ("gaps", _windows(part.gaps)),
            ("unsettled", _windows(part.unsettled)),
            ("next lookback", str(part.lookback) if part.lookback else "-"),
        ]
    if part.lacks:
        lacking = "; ".join(f"{lack.calls:,} of {plural(lack.of, 'call')} {lack.age} old" for lack in part.lacks)
        facts.append(("still without", lacking))
    if part.found_later is not None:
        later = part.found_later
        facts.append(
            (
                "came later",
                f"{later.records:,} in 90 days, {_days(later.median)} (median), {_days(later.p99)} (99 %),"
                f" {_days(later.longest)} (longest) after the call",
            )
        )
    facts.append(("last run", f"{_time(part.last_run)} ({part.last_run_mode})" if part.last_run else "never"))
    facts.append(("last verified", _verified(part.verified)))
    if resource.windowed:
        facts.append(("arrivals", _arrivals(part.arrivals, resource.singular, resource.plural)))
    return facts


def _verified(verified: Verified | None) -> str:
    if verified is None:
        return "never"
    deep = ", every record" if verified.deep else ""
    where = f"{verified.window} " if verified.window else ""
    return f"{_time(verified.at)}: {where}{verified.outcome}{deep}"


def _arrivals(delays: Delays | None, one: str, many: str) -> str:
    if delays is None:
        return f"no {one} arrived late in the last 90 days"
    found = f"syncs found no late {one} in 90 days"
    if delays.records:
        found = (
            f"{plural(delays.records, f'late {one}', f'late {many}')} in 90 days,"
            f" after {_days(delays.median)} (median), {_days(delays.p99)} (99 %), {_days(delays.longest)} (longest)"
        )
    if delays.beyond:
        found += f"; {delays.beyond:,} appeared after the lookback had passed"
    return f"{found}; " + ("the lookback is long enough" if delays.enough else "set lookback_days to more days")


def _days(days: float) -> str:
    return in_words(days * 86400)


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else iso(whole_second(moment))


def _windows(windows: Sequence[Window]) -> str:
    shown = ", ".join(map(str, windows[:_MOST_WINDOWS_SHOWN]))
    more = len(windows) - _MOST_WINDOWS_SHOWN
    return (shown or "none") + (f" and {more} more" if more > 0 else "")


def _program(name: str) -> str:
    """How to call a program that lies beside this Python: by its name alone where the shell finds it."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not beside.exists() or (found and Path(found).samefile(beside)):
        return name
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def demo_text(result: DemoResult, page: Path | None) -> str:
    """What the demo loaded, for people; `page` is its report, if it could be made."""
    first, second, verified = result.first, result.second, result.verification
    loaded = [RESOURCES[name].count(part.received) for name, part in first.resources.items()]
    lines = [
        f"A simulated Gong tenant was loaded into {result.file}:",
        f"  first sync:   {', '.join(loaded[:-1])} and {loaded[-1]}; {plural(first.requests, 'request')},"
        f" {in_words(first.seconds)}",
        f"  second sync:  {plural(second.requests, 'request')} for the last 7 days;"
        f" {plural(second.calls_changed, 'call')} had a new title in Gong, and only those rows changed",
        f"  verify:       {plural(verified.requests, 'request')}; {_verdict(verified.resources['calls'])}",
    ]
    for answer in result.answers:
        cells = [[str(cell) for cell in row] for row in [answer.names, *answer.rows]]
        lines += ["", f"{answer.question}:", *(f"  {line}" for line in table(cells))]
    file = result.file.rpartition("/")[2]
    look = f"import duckdb; print(duckdb.connect('{file}').sql('from gong.calls limit 5'))"
    return "\n".join(
        [
            *lines,
            "",
            f"The report:   python3 -m webbrowser {page.as_uri()}"
            if page
            else "The report:   needs the extra report (in the folder of gong-source: pip install '.[report]')",
            f'Look around:  {_program("python")} -c "{look}"',
            "Your own Gong: set SOURCES__GONG__CREDENTIALS__ACCESS_KEY, SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET"
            f" and SOURCES__GONG__CREDENTIALS__BASE_URL, then run: {_program('gong-source')} check",
        ]
    )
