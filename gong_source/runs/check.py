"""`check`: tests key, host and scopes with one request for each of Gong's lists, and says what the key can see."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from gong_source.connection import connect
from gong_source.errors import MissingScope
from gong_source.resources import RESOURCES
from gong_source.resources.people import WORKSPACES
from gong_source.runs.ending import Status  # noqa: TC001 - for readers of the dataclass
from gong_source.settings import DEFAULT_DAYS, resolve_settings
from gong_source.windows import Window, days_before, now

if TYPE_CHECKING:
    from gong_source.api.client import Client, Page
    from gong_source.resources.declare import Resource
    from gong_source.settings import GongSettings


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    """What Gong answered for one resource.

    `chosen`: whether runs load it. `granted`: whether the key has its scope. `records`: Gong's count, for a windowed
    resource of the last 30 days; None without the scope.
    """

    name: str
    scope: str
    chosen: bool
    granted: bool
    records: int | None
    message: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What Gong answered, for each resource; `calls` is its count of calls in the last 30 days."""

    base_url: str
    status: Status
    message: str
    calls: int | None
    requests: int
    resources: list[ResourceCheck] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types."""
        return {"command": "check", **asdict(self)}


def check(*, settings: GongSettings | None = None) -> CheckResult:
    """Asks Gong for one page of each list; writes nothing.

    Raises the `GongError` that says what is wrong: `ConfigurationError`, `AuthenticationFailed`, `AccessDenied`, ... A
    missing scope is an error only if no chosen resource has its scope.
    """
    settings = settings or resolve_settings()
    client = connect(settings, max_attempts=2)  # a person is waiting for the answer
    pages: dict[str, Page] = {}
    found: list[ResourceCheck] = []
    refused: list[MissingScope] = []
    try:
        for resource in sorted(RESOURCES.values(), key=lambda resource: resource.name not in settings.resources):
            part, error = _check_resource(client, resource, settings, pages)
            found.append(part)
            refused += [error] if error is not None and part.chosen else []
    finally:
        client.transport.close()
    if len(refused) == len(settings.chosen):
        raise refused[0]
    missing = [part.scope for part in found if part.chosen and not part.granted]
    calls = next((part.records for part in found if part.name == "calls"), None)
    message = f"the key lacks {', '.join(missing)}" if missing else "key and host are right"
    with_details = next((part.records for part in found if part.name == "call_details"), None)
    if with_details is not None and calls not in {None, with_details}:
        message += f". Gong counts {calls:,} calls in its list of calls, but {with_details:,} in its list with details"
    unknown = _unknown_workspace(settings.workspace_id, pages.get(str(WORKSPACES.endpoint)))
    if unknown is not None:
        message += f". {unknown}"
    status: Status = "incomplete" if missing or unknown else "done"
    return CheckResult(client.transport.base_url, status, message, calls, client.transport.usage.requests, found)


def _unknown_workspace(workspace_id: str | None, page: Page | None) -> str | None:
    """What to say if Gong does not list the workspace that is chosen; `page` is Gong's list, if the key may see it."""
    if workspace_id is None or page is None:
        return None
    listed = {str(record.get("id")): record.get("name") for record in page.own_fields()}
    if workspace_id in listed:
        return None
    names = ", ".join(f"{listed_id} ({name})" for listed_id, name in listed.items()) or "none"
    return f"Gong lists no workspace {workspace_id}; there is {names}"


def _check_resource(
    client: Client, resource: Resource, settings: GongSettings, pages: dict[str, Page]
) -> tuple[ResourceCheck, MissingScope | None]:
    """What the key sees of a resource, and the error if it lacks the scope."""
    chosen = resource.name in settings.resources
    try:
        return _checked(client, resource, settings, pages, chosen=chosen), None
    except MissingScope as error:
        for other in settings.chosen:  # a run may read it from another list
            if other.name == resource.name and other != resource:
                return _check_resource(client, other, settings, pages)
        return ResourceCheck(resource.name, resource.scope, chosen, False, None, _not_granted(resource)), error


def _checked(
    client: Client, resource: Resource, settings: GongSettings, pages: dict[str, Page], *, chosen: bool
) -> ResourceCheck:
    """What the key sees of a resource; `pages` are those that were answered before, one for each endpoint."""
    moment = now()
    by_time = resource.endpoint.time is not None
    period_asked = Window(days_before(moment, DEFAULT_DAYS), moment) if by_time else None
    page = pages.get(str(resource.endpoint)) or client.page(resource.endpoint, period_asked)
    pages[str(resource.endpoint)] = page
    count = page.total if page.total is not None else len(page.records)
    workspace_id = settings.workspace_id if resource.can_filter_by_workspace else None
    where = f" in workspace {workspace_id}" if workspace_id else ""
    period = f" in the last {DEFAULT_DAYS} days" if by_time else ""
    if count:
        message = f"Gong lists {resource.count(count)}{where}{period}"
    else:
        message = (
            f"Gong lists no {resource.singular}{where}{period}. Either there is none, or the key may not see"
            f" {resource.plural} (Gong's answer is the same); check the key's owner and the scope {resource.scope}"
        )
    return ResourceCheck(resource.name, resource.scope, chosen, True, count, message)


def _not_granted(resource: Resource) -> str:
    return f"the key lacks the scope {resource.scope}; an administrator adds it on Gong's API page"
