"""What the endpoints give back before it becomes bytes: a page of a list, an object, or an error."""

import json
from dataclasses import dataclass
from typing import Any, Final

# One encoder for all: json.dumps with options builds a new one each time.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Page:
    """One page of a list; `total` and `number` (from 0) are None where the list has no paging."""

    list_key: str
    rows: list[bytes]
    total: int | None = None
    number: int = 0
    cursor: str | None = None

    def body(self, request_id: str, *, with_list: bool = True) -> bytes:
        """Return the JSON body."""
        head = f'{{"requestId":"{request_id}"'
        if self.total is not None:
            cursor = "" if self.cursor is None else f',"cursor":"{self.cursor}"'
            head += (
                f',"records":{{"totalRecords":{self.total},"currentPageSize":{len(self.rows)},'
                f'"currentPageNumber":{self.number}{cursor}}}'
            )
        if not with_list:
            return f"{head}}}".encode()
        return b"".join((f'{head},"{self.list_key}":['.encode(), b",".join(self.rows), b"]}"))


@dataclass(slots=True)
class Single:
    """One object under a key."""

    key: str
    row: bytes

    def body(self, request_id: str) -> bytes:
        """Return the JSON body."""
        return b"".join((f'{{"requestId":"{request_id}","{self.key}":'.encode(), self.row, b"}"))


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, *texts: str, retry_after: int | None = None) -> None:
        super().__init__(status, *texts)
        self.status = status
        self.texts = texts
        self.retry_after = retry_after

    def body(self, request_id: str) -> bytes:
        """Return the JSON body."""
        return dump({"requestId": request_id, "errors": list(self.texts)})


def dump(value: Any) -> bytes:
    """Return compact JSON as UTF-8."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only hold escaped
        return json.dumps(value, separators=(",", ":")).encode()
