"""Addresses of recordings: signed anew for every request, as those of a file store are."""

from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Final

from gong_source.simulator.call import from_micros

_LIFETIME_SECONDS: Final = 28_799
_signatures: Final = count(1)


def media_urls(number: int, *, has_video: bool, now: float) -> dict[str, str]:
    """Return the addresses of a call's audio, and of its video if it has one, for a request at `now`."""
    signed = from_micros(int(now * 1_000_000)) if now < 10**11 else datetime(9999, 1, 1, tzinfo=UTC)
    kinds = {"audioUrl": "audio.mp3"} | ({"videoUrl": "video.mp4"} if has_video else {})
    return {name: _sign(f"https://media.example.com/calls/{number}/{file}", signed) for name, file in kinds.items()}


def _sign(address: str, moment: datetime) -> str:
    signature = sha256(f"{address}{moment}{next(_signatures)}".encode()).hexdigest()
    return (
        f"{address}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={moment:%Y%m%dT%H%M%SZ}"
        f"&X-Amz-Expires={_LIFETIME_SECONDS}&X-Amz-Signature={signature}"
    )
