"""Every choice about how the simulated API behaves, with its default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gong_source.simulator.call import Rule

WhenEmpty = Literal["not_found", "empty_list"]
FilingRule = Literal["documented", "scheduled", "started", "same"]


def _says(text: str) -> dict[str, str]:
    """Return field metadata with the text that documents a setting, here and on the command line."""
    return {"help": text}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the simulated API behaves. Replace `Simulator.settings` to change it while it runs.

    The text beside each setting is also its help on the command line.
    """

    access_key: str = field(default="key", metadata=_says("access key that is accepted"))
    access_key_secret: str = field(default="secret", metadata=_says("secret of the access key"))
    accept_basic: bool = field(default=True, metadata=_says("accept access key and secret (HTTP Basic)"))
    bearer_tokens: Mapping[str, float | None] = field(
        default_factory=dict, metadata=_says("bearer tokens with expiry in unix seconds")
    )
    scopes: frozenset[str] | None = field(default=None, metadata=_says("scopes of the key; none = all"))
    missing_scope_status: int = field(default=401, metadata=_says("status of a request whose scope the key lacks"))
    refuse_generic_host: bool = field(
        default=False, metadata=_says("answer 401 to the right key when the Host header is a generic host")
    )
    generic_hosts: frozenset[str] = field(
        default=frozenset({"api.gong.io", "localhost"}), metadata=_says("host names taken for the generic host")
    )
    untrusted_address: bool = field(
        default=False, metadata=_says("answer 403, as for an address outside the trusted list")
    )

    rule: Rule = field(default="documented", metadata=_says("time by which GET /v2/calls files a call"))
    extensive_rule: FilingRule = field(
        default="started",
        metadata=_says("time by which POST /v2/calls/extensive files a call; same = as GET /v2/calls"),
    )
    transcript_rule: FilingRule = field(
        default="started",
        metadata=_says("time by which POST /v2/calls/transcript files a call; same = as GET /v2/calls"),
    )
    extensive_lag_seconds: float = field(
        default=0.0,
        metadata=_says("POST /v2/calls/extensive has a call so long after it became available in the other lists"),
    )
    most_call_ids: int = field(default=100, metadata=_says("callIds allowed in one request"))
    transcript_totals: Literal["calls", "transcripts"] = field(
        default="calls", metadata=_says("what totalRecords of POST /v2/calls/transcript counts")
    )
    order: Literal["ascending", "descending"] = field(
        default="ascending", metadata=_says("order of calls by time and id")
    )
    strict_dates: bool = field(default=False, metadata=_says("answer 400 when fromDateTime or toDateTime is missing"))
    page_size: int = field(default=100, metadata=_says("rows on a full page"))
    totals_run_ahead: bool = field(
        default=True, metadata=_says("count calls that are not available yet in totalRecords")
    )
    short_pages: bool = field(
        default=True, metadata=_says("calls that are not available yet leave holes; off = pages are filled up")
    )
    hidden_window: WhenEmpty = field(
        default="not_found", metadata=_says("answer when every call of a window is still unavailable")
    )
    emptied_listing: WhenEmpty = field(
        default="empty_list", metadata=_says("answer when the rest of a listing was deleted meanwhile")
    )
    see_no_calls: bool = field(
        default=False, metadata=_says("the key sees no call: every list of calls is the empty 404")
    )
    visible_share: float = field(default=1.0, metadata=_says("share of the calls that the key sees, from 0 to 1"))
    visible_users: int | None = field(default=None, metadata=_says("how many users the key sees; none = all"))
    visible_workspaces: int | None = field(default=None, metadata=_says("how many workspaces the key sees; none = all"))

    cursor_lifetime_seconds: float = field(
        default=3600.0, metadata=_says("life of a page cursor from the first request of its listing")
    )
    cursor_secret: str = field(
        default="simulator", metadata=_says("key that signs page cursors; a new one makes older ones foreign")
    )

    requests_per_second: float | None = field(
        default=3.0, metadata=_says("requests allowed in any rolling second; none = no limit")
    )
    rate_retry_after_seconds: int = field(default=1, metadata=_says("Retry-After of a request over that limit"))
    refused_count_against_rate: bool = field(
        default=False, metadata=_says("refused requests take a place in the rolling second")
    )
    daily_quota: int | None = field(
        default=10_000, metadata=_says("requests allowed in one quota window; none = no limit")
    )
    quota_window_seconds: float = field(default=86_400.0, metadata=_says("length of the quota window"))
    quota_reset: Literal["first_request", "aligned", "sliding"] = field(
        default="first_request",
        metadata=_says(
            "when the quota window starts: with the first request, at a multiple of its length"
            " (UTC midnight for a day), or always its length ago"
        ),
    )
    refused_count_against_quota: bool = field(
        default=True, metadata=_says("requests refused for their rate count against the quota")
    )
    limit_text: str = field(default="API request limit exceeded", metadata=_says("error text of a 429"))

    latency_seconds: float = field(default=0.0, metadata=_says("time from the arrival of a request to its answer"))
    clock: Callable[[], float] | None = field(
        default=None,
        metadata=_says("unix seconds for limits, cursor expiry and availability; none = the system's clocks"),
    )

    def __post_init__(self) -> None:
        if self.page_size < 1:
            raise ValueError("page_size must be at least 1")
        if self.most_call_ids < 1:
            raise ValueError("most_call_ids must be at least 1")
        if not 0 <= self.visible_share <= 1:
            raise ValueError("visible_share must be between 0 and 1")
        if self.requests_per_second is not None and self.requests_per_second <= 0:
            raise ValueError("requests_per_second must be positive, or None for no limit")
