"""`check`: one cheap request that tells whether key, host and scope are right, and what the key can see."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gong_source.api.client import CALLS
from gong_source.settings import DEFAULT_DAYS, connect, resolve_settings
from gong_source.windows import Window, days_before, now

if TYPE_CHECKING:
    from gong_source.settings import GongSettings


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What Gong answered; `calls` is its count for the last 30 days."""

    base_url: str
    calls: int
    message: str
    requests: int

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types."""
        return {"command": "check", "status": "done", **asdict(self)}


def check(*, settings: GongSettings | None = None) -> CheckResult:
    """Asks Gong for one page of the last 30 days; writes nothing.

    Raises the `GongError` that says what is wrong: `ConfigurationError`, `AuthenticationFailed`, `AccessDenied`, ...
    """
    settings = settings or resolve_settings()
    client = connect(settings, max_attempts=2)  # somebody is waiting for the answer
    try:
        moment = now()
        page = client.page(CALLS, Window(days_before(moment, DEFAULT_DAYS), moment))
    finally:
        client.transport.close()
    calls = page.total if page.total is not None else len(page.records)
    where = f"in workspace {settings.workspace_id} " if settings.workspace_id else ""
    if calls:
        message = f"key, host and scope are right: Gong lists {calls:,} calls {where}in the last {DEFAULT_DAYS} days"
    else:
        message = (
            f"key and host are right, but Gong lists no call {where}in the last {DEFAULT_DAYS} days: either there is"
            " none, or the key may not see calls (Gong answers both alike); check the key's owner and scope"
            " api:calls:read:basic"
        )
    return CheckResult(client.transport.base_url, calls, message, client.transport.usage.requests)
