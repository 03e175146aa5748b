"""The two limits as the server sees them: requests in a rolling second, and requests in a day."""

import math
import time
from collections import deque

from gong_source.simulator.behaviour import Settings


class Limits:
    """Counts requests and says which ones come too soon or too often."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._day: deque[float] = deque()
        self._day_used = 0
        self._day_start: float | None = None

    def refuse(self, settings: Settings) -> int | None:
        """Count one request; return the seconds of Retry-After if it is over a limit, else None."""
        now = settings.clock() if settings.clock else time.time()
        wait = self._quota_wait(now, settings)
        if wait is not None:
            return wait
        ticks = now if settings.clock else time.monotonic()
        admitted = self._rate_admits(ticks, settings)
        if admitted or settings.refused_count_against_quota:
            self._use_quota(now, settings)
        return None if admitted else settings.rate_retry_after_seconds

    def quota_used(self, settings: Settings) -> int:
        """Return how many requests count in the quota window that is open now."""
        self._roll(settings.clock() if settings.clock else time.time(), settings)
        return len(self._day) if settings.quota_reset == "sliding" else self._day_used

    def _rate_admits(self, now: float, settings: Settings) -> bool:
        rate = settings.requests_per_second
        if rate is None:
            return True
        allowed = max(1, math.floor(rate))
        width = allowed / rate
        recent = self._recent
        # A clock that was set back would otherwise keep requests of the future in the window.
        while recent and (now - recent[0] >= width or recent[0] > now):
            recent.popleft()
        admitted = len(recent) < allowed
        if admitted or settings.refused_count_against_rate:
            recent.append(now)
        return admitted

    def _quota_wait(self, now: float, settings: Settings) -> int | None:
        quota = settings.daily_quota
        if quota is None:
            return None
        self._roll(now, settings)
        if settings.quota_reset == "sliding":
            if len(self._day) < quota:
                return None
            start = self._day[-quota] if quota else now
        else:
            if self._day_used < quota:
                return None
            start = now if self._day_start is None else self._day_start
        return max(1, math.ceil(start + settings.quota_window_seconds - now))

    def _use_quota(self, now: float, settings: Settings) -> None:
        if settings.quota_reset == "sliding":
            self._day.append(now)
        elif settings.daily_quota is not None:
            self._roll(now, settings)
            self._day_start = now if self._day_start is None else self._day_start
        self._day_used += 1

    def _roll(self, now: float, settings: Settings) -> None:
        length = settings.quota_window_seconds
        if settings.quota_reset == "sliding":
            while self._day and now - self._day[0] >= length:
                self._day.popleft()
            return
        if self._day_start is not None and now - self._day_start >= length:
            self._day_start, self._day_used = None, 0
        if settings.quota_reset == "aligned" and self._day_start is None:
            self._day_start = math.floor(now / length) * length
