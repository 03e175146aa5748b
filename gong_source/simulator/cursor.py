"""Page cursors: signed tokens (JWT, HS256) that carry the position of a listing, as the real API's do."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gong_source.simulator.call import from_micros, show_time, to_micros

_HEADER: Final = "eyJhbGciOiJIUzI1NiJ9"


class CursorError(ValueError):
    """A cursor that this server did not issue, or that was damaged on the way."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a listing stands: after which row, on which page, and until when (unix seconds) it may continue.

    `micros` is the last row's time in microseconds since 1970; None in a list that is ordered by id alone.
    """

    row_id: int
    micros: int | None
    total: int
    page_number: int
    expires: int


def issue(position: Position, *, page_size: int, secret: str, id_name: str = "callId") -> str:
    """Return the token for a position."""
    if position.micros is None:
        claims = (
            f'{{"pageSize":{page_size},"total":{position.total},"pageNumber":{position.page_number},'
            f'"exp":{position.expires},"{id_name}":{position.row_id}}}'
        )
    else:
        shown = show_time(from_micros(position.micros), None)
        claims = (
            f'{{"{id_name}":{position.row_id},"total":{position.total},"pageNumber":{position.page_number},'
            f'"pageSize":{page_size},"time":"{shown}","exp":{position.expires}}}'
        )
    signed = f"{_HEADER}.{_encode(claims.encode())}"
    return f"{signed}.{_sign(signed, secret)}"


def read(token: str, *, secret: str, id_name: str = "callId") -> Position:
    """Return the position in a token; raise CursorError if it is damaged, foreign or of another list."""
    signed, _, signature = token.rpartition(".")
    # Compared as bytes: compare_digest refuses text that is not ASCII.
    if not hmac.compare_digest(_sign(signed, secret).encode(), signature.encode()):
        raise CursorError(token)
    payload = signed.partition(".")[2]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if id_name not in claims:
        raise CursorError(token)
    shown = claims.get("time")
    return Position(
        row_id=claims[id_name],
        micros=None if shown is None else to_micros(datetime.fromisoformat(shown)),
        total=claims["total"],
        page_number=claims["pageNumber"],
        expires=claims["exp"],
    )


def _sign(signed: str, secret: str) -> str:
    return _encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
