"""HTTP/1.1 on one asyncio connection: just enough of it, and fast."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

_MOST_HEADER_BYTES: Final = 65_536
_LINGER_OFF: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Incoming:
    """One request as it came; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Outgoing:
    """What goes back, and how: whole, cut off in mid-body, or not at all."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    ending: Literal["whole", "truncate", "reset"] = "whole"

    def bytes(self, *, keep_alive: bool) -> bytes:
        """Return the answer as it goes over the wire."""
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
            "\r\n",
        ]
        return "\r\n".join(lines).encode("latin-1") + self.body


_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}

Respond = Callable[[Incoming], Outgoing]


class Connection(asyncio.Protocol):
    """Answers the requests of one connection in their order, one at a time."""

    def __init__(self, respond: Respond, connections: set["Connection"]) -> None:
        self._respond = respond
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._busy = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """End."""
        self._transport = None
        self._connections.discard(self)

    def pause_writing(self) -> None:
        """Answer nothing more while the client does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on answering."""
        self._paused = False
        self._work()

    def data_received(self, data: bytes) -> None:
        """Take bytes and answer the requests that are complete."""
        self._received += data
        self._work()

    def abort(self) -> None:
        """Close at once; the client gets a reset."""
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
            self._transport.abort()

    def _work(self) -> None:
        while self._received and not self._busy and not self._paused and self._transport is not None:
            try:
                incoming = take_request(self._received)
            except ValueError as error:
                self._transport.write(Outgoing(400, str(error).encode(), "text/plain").bytes(keep_alive=False))
                self._transport.close()
                return
            if incoming is None:
                return
            keep_alive = incoming.headers.get("connection", "").lower() != "close"
            outgoing = self._respond(incoming)
            if outgoing.delay > 0:
                self._busy = True
                self._loop.call_later(outgoing.delay, self._send_late, outgoing, keep_alive)
            else:
                self._send(outgoing, keep_alive=keep_alive)

    def _send_late(self, outgoing: Outgoing, keep_alive: bool) -> None:
        self._busy = False
        self._send(outgoing, keep_alive=keep_alive)
        self._work()

    def _send(self, outgoing: Outgoing, *, keep_alive: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        if outgoing.ending == "reset":
            self.abort()
            return
        data = outgoing.bytes(keep_alive=keep_alive)
        if outgoing.ending == "truncate":
            data = data[: len(data) - (len(outgoing.body) + 1) // 2]
        transport.write(data)
        if outgoing.ending == "truncate" or not keep_alive:
            # Nothing after this answer may be read as a request.
            self._received.clear()
            self._busy = True
            transport.close()


def take_request(received: bytearray) -> Incoming | None:
    """Cut the first complete request off the bytes and return it; None if there is none yet.

    Raise ValueError for what is not HTTP/1.1 with a Content-Length body.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > _MOST_HEADER_BYTES:
            raise ValueError("header too long")
        return None
    first, *lines = received[:end].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ValueError(f"not a request line: {first[:100]}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise ValueError("a body needs a Content-Length")
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise ValueError(f"bad Content-Length: {length[:100]}")
    past = end + 4 + int(length)
    if len(received) < past:
        return None
    body = bytes(received[end + 4 : past])
    del received[:past]
    return Incoming(parts[0], parts[1], headers, body)
