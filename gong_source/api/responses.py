"""What Gong's answers mean: turns a response into its payload, or into the error for its status."""

from __future__ import annotations

import email.utils
import gzip
import json
import math
import re
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import orjson

from gong_source.errors import (
    AccessDenied,
    AuthenticationFailed,
    BadRequest,
    MissingScope,
    NoRowsFound,
    NotFound,
    PageCursorExpired,
    RequestFailed,
    UnexpectedAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3 import BaseHTTPResponse

    # Reads a body that holds nothing unexpected; None for any other body.
    QuickReader = Callable[[bytes], "QuickAnswer | None"]

RETRYABLE_STATUS = frozenset({500, 502, 503, 504})
# Gong answers an empty result of a valid filter with 404 and this text; any other 404 is a wrong address.
_NO_ROWS = re.compile(r"^No .*found.*provided filters\.?$", re.IGNORECASE)
_CURSOR_EXPIRED = re.compile(r"cursor has expired|failed to verify cursor", re.IGNORECASE)
# As recorded from live tenants: You don't have permission to use 'api:coaching:read' in your app.
_SAYS_SCOPE_IS_MISSING = re.compile(r"'api:|permission to use|\bscope", re.IGNORECASE)
_SCOPE_NAME = re.compile(r"'(api:[\w:-]+)'")
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Response:
    """A response as it arrived, with its body decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class QuickAnswer:
    """A body that was read without Python's objects: its JSON object without the list of records, and the records."""

    payload: dict[str, Any]
    columns: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200 and its JSON object; `request_id` is Gong's own id for the request, for Gong's support.

    `columns` are the records of an answer that was read quickly; the object is then without them.
    """

    payload: dict[str, Any]
    request_id: str
    body: bytes
    columns: Any = None


def decompress(response: BaseHTTPResponse) -> Response:
    """The response with its body decompressed; raises `ValueError` for a 200 whose body is cut or cannot be read.

    urllib3 would return the readable part of a cut body without an error. Of other statuses, the status is enough.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    body, problem = response.data, ""
    if encoding in {"gzip", "x-gzip", "deflate"} and body:
        try:
            body = gzip.decompress(body) if "gzip" in encoding else _inflate(body)
        except (EOFError, OSError, zlib.error) as error:
            problem = str(error)
    elif encoding not in {"identity", ""} and body:
        problem = "the encoding is unknown"
    if problem and response.status == 200:
        raise ValueError(f"the answer's body could not be decompressed ({encoding[:20]}: {problem})")
    body = b"" if problem else body
    return Response(response.status, response.headers, body)


def _inflate(body: bytes) -> bytes:
    """The content of a body with the encoding deflate, which some servers send without zlib's header."""
    try:
        return zlib.decompress(body)
    except zlib.error:
        return zlib.decompress(body, wbits=-zlib.MAX_WBITS)


def read_answer(request: str, base_url: str, response: Response, quick: QuickReader | None = None) -> Answer:
    """The payload of a 200; raises the error for any other status, and for a body that is not a JSON object.

    `request` names method and path for messages. What `quick` cannot read is parsed as usual.
    """
    request_id = request_id_of(response)
    if response.status != 200:
        raise error_for_status(request, base_url, response, request_id)
    found = quick(response.body) if quick is not None else None
    if found is not None:
        return Answer(found.payload, found.payload.get("requestId") or request_id or "", response.body, found.columns)
    try:
        payload = loads(response.body)
    except (ValueError, RecursionError):
        raise UnexpectedAnswer(
            f"{request} answered 200 with a body that is not JSON ({response.headers.get('Content-Type', 'no type')},"
            f" {len(response.body)} bytes). Is base_url really Gong's, or is a proxy in between?",
            request_id=request_id,
        ) from None
    if not isinstance(payload, dict):
        raise UnexpectedAnswer(
            f"{request} answered 200 with JSON that is not an object. Is base_url really Gong's?", request_id=request_id
        )
    return Answer(payload, str(payload.get("requestId") or request_id or ""), response.body)


def request_id_of(response: Response | None) -> str | None:
    """Gong's id of the request, from the header; Gong's body repeats it."""
    return response.headers.get("x-traceid") if response is not None else None


def retry_after(response: Response, refusals: int) -> float:
    """Seconds to wait after a 429: what the header says, else growing with the number of refusals."""
    value = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            seconds = 0.0
    # One second at least, because Gong's limit counts the requests of a second.
    return seconds if 1.0 <= seconds < float("inf") else float(min(2 ** (refusals - 1), 60))


def loads(body: bytes) -> Any:
    """The value of a JSON text; raises `ValueError` or `RecursionError`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Only the standard parser reads half of a surrogate pair, as in a title that is cut inside an emoji.
        return exact_loads(body)


def exact_loads(body: bytes) -> Any:
    """The same with integers of any size, which the fast parser makes inexact over 64 bits; many times slower."""
    return json.loads(body, parse_constant=str, parse_float=_finite)


def _finite(text: str) -> float | str:
    """The number, or its text if no float can hold it: JSON has no infinity."""
    return value if math.isfinite(value := float(text)) else text


def error_for_status(request: str, base_url: str, response: Response, request_id: str | None) -> RequestFailed:
    """What a status other than 200 means, in words that say what to try."""
    status, texts = response.status, _error_texts(response)
    host = urlsplit(base_url).hostname
    text = f": {'; '.join(texts).rstrip('. ')}" if texts else ""
    message = f"{request} answered {status}{text}"
    if status == 404 and any(_NO_ROWS.match(text) for text in texts):
        return NoRowsFound(message, request_id=request_id)
    if 300 <= status < 400:
        target = _redirect_target(base_url, response)
        hint = f"Check base_url ({host}): wrong host or path"
        return NotFound(f"{request} answered {status}{target}. {hint}", request_id=request_id)
    if status in {401, 403} and any(_SAYS_SCOPE_IS_MISSING.search(text) for text in texts):
        scope = next((found[1] for found in map(_SCOPE_NAME.search, texts) if found), None)
        name = f"the scope {scope}" if scope else "the missing scope"
        hint = f"Ask your Gong administrator to add {name} to the key, on Gong's API page"
        return MissingScope(f"{message}. {hint}", request_id=request_id, scope=scope)
    if status in {404, 405}:
        return NotFound(f"{message}. Check base_url ({host}): wrong host or path", request_id=request_id)
    kind, hint = _error_and_hint(status, texts, host)
    return kind(f"{message}. {hint}", request_id=request_id)


def _error_and_hint(status: int, texts: list[str], host: str | None) -> tuple[type[RequestFailed], str]:
    """The error for a status, and what to try."""
    if status == 401:
        return AuthenticationFailed, (
            f"Check access_key, access_key_secret and base_url ({host}): a key may work only on its own tenant's host,"
            " which Gong shows on its API page"
        )
    if status == 403:
        return AccessDenied, "Is this machine's address on the key's list of trusted addresses?"
    if status == 400 and any(_CURSOR_EXPIRED.search(text) for text in texts):
        return PageCursorExpired, "The pages have to be fetched again from the first one: run the same command again"
    if status == 400:
        return BadRequest, "Check workspace_id and the dates. Gong's support can find the request by its id"
    if status < 300:
        return (
            BadRequest,
            "Expected status 200. Is a proxy in between? Gong's support can find the request by its id",
        )
    return BadRequest, "Gong's support can find the request by its id"


def _redirect_target(base_url: str, response: Response) -> str:
    """Where a redirect points to: scheme, host and path, without login and query, which may hold secrets."""
    location = response.headers.get("Location", "").strip()
    if not location:
        return ", without a target"
    try:
        parts = urlsplit(urljoin(f"{base_url}/", location))
        port = f":{parts.port}" if parts.port else ""
        return f", which points to {parts.scheme}://{parts.hostname}{port}{parts.path}"
    except ValueError:
        return ", with a target that is not an address"


def _error_texts(response: Response) -> list[str]:
    """The texts of Gong's error envelope; of any other body, its first words."""
    try:
        errors = loads(response.body)["errors"]
        texts = errors if isinstance(errors, list) else [errors]
        return [" ".join(str(text).split())[:_MOST_SHOWN] for text in texts]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = " ".join(response.body.decode(errors="replace").split())
        return [text[:_MOST_SHOWN]] if text else []
