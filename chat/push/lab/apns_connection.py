"""A connection of the emulator of APNs: HTTP/2 by h2, and by hand where h2 would not do what goes wrong in life."""

import asyncio
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    PingReceived,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from chat.push.lab.apns_faults import Answer, Cut, Fault, Hold, Leave, NeverAnswer, Pieces, Reset
from chat.push.lab.apns_rules import Session, Verdict

_GOAWAY: Final = 7
_HEADERS: Final = 1
_DATA: Final = 0
_END_STREAM: Final = 1
_END_HEADERS: Final = 4
_BEFORE_TRUST: Final = 1


class Owner(Protocol):
    """The emulator, as its connections see it."""

    initial_window: int
    max_streams: int
    withholding: bool

    def opened(self, connection: "ServedConnection") -> None: ...
    def gone(self, connection: "ServedConnection") -> None: ...
    def fault(self) -> Fault | None: ...
    def judge(
        self, connection: "ServedConnection", headers: Sequence[tuple[str, str]], body: bytes, fault: Fault | None
    ) -> Verdict: ...
    def hold(self, release: Callable[[], None]) -> None: ...
    def pinged(self) -> None: ...
    def violated(self, what: str) -> None: ...


@dataclass(slots=True)
class _Request:
    headers: list[tuple[str, str]]
    fault: Fault | None
    body: bytearray = field(default_factory=bytearray)


class ServedConnection(asyncio.Protocol):
    """Until the first request with a good provider token it allows one stream, afterwards as many as its owner says."""

    def __init__(self, owner: Owner) -> None:
        self._owner: Final = owner
        self._loop: Final = asyncio.get_running_loop()
        self._h2: Final = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._transport: asyncio.Transport | None = None
        self._requests: Final[dict[int, _Request]] = {}
        """What is read, or not answered yet."""
        self._stalled: Final[list[tuple[int, bytes]]] = []
        self._withheld: Final[list[tuple[int, int]]] = []
        self._reset: Final[set[int]] = set()
        self._settings_sent = 0
        self._last: int | None = None
        self._highest = 0
        self.session: Final = Session()
        self.host = ""
        self.peak_streams = 0

    # Controls.

    @property
    def in_flight(self) -> int:
        return len(self._requests)

    @property
    def settled(self) -> bool:
        """The client knows the settings there are."""
        return self._settings_sent == 0

    def allow_streams(self, count: int) -> None:
        """SETTINGS with another limit, at once."""
        self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: count})
        self._settings_sent += 1
        self._flush()

    def give_windows(self) -> None:
        """Hand out all credit that was withheld."""
        withheld, self._withheld[:] = list(self._withheld), []
        for stream_id, length in withheld:
            self._h2.acknowledge_received_data(length, stream_id)
        self._flush()

    def go_away(self, last_stream_id: int | None = None, *, code: int = 0, debug: bytes = b"") -> None:
        """GOAWAY; by default everything that has come is covered. What is covered is answered, then it closes."""
        self._last = self._highest if last_stream_id is None else last_stream_id
        # h2 would send nothing after it.
        self._raw(_GOAWAY, 0, 0, struct.pack(">II", self._last, code) + debug)
        for stream_id in [one for one in self._requests if one > self._last]:
            del self._requests[stream_id]
        self._close_if_left()

    def deafen(self) -> None:
        """Read nothing any more, not even a PING."""
        if self._transport is not None:
            self._transport.pause_reading()

    def garble(self) -> None:
        """DATA on no stream, which nobody may send."""
        self._raw(_DATA, 0, 0, b"garbage")

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # The transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.host = str(transport.get_extra_info("peername")[0])
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: _BEFORE_TRUST,
                SettingCodes.INITIAL_WINDOW_SIZE: self._owner.initial_window,
                SettingCodes.MAX_HEADER_LIST_SIZE: 8000,
            },
        )
        self._h2.initiate_connection()
        self._settings_sent += 1
        self._flush()
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._requests.clear()
        self._owner.gone(self)

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
            for event in events:
                # By now the stream may be closed: the client has sent all of it, and taken it back.
                if isinstance(event, StreamReset):
                    self._reset.add(event.stream_id)
            for event in events:
                self._handle(event)
        except ProtocolError as error:
            self._owner.violated(f"{type(error).__name__}: {error}")
            self._flush()
            self.close()
            return
        self._flush()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream_id, headers=headers) if stream_id not in self._reset:
                self._begin(stream_id, [(str(name), str(value)) for name, value in headers])
            case DataReceived(stream_id=stream_id, data=data, flow_controlled_length=length):
                if self._owner.withholding:
                    self._withheld.append((stream_id, length))
                else:
                    self._h2.acknowledge_received_data(length, stream_id)
                if request := self._requests.get(stream_id):
                    request.body += data
            case StreamEnded(stream_id=stream_id) if stream_id not in self._reset:
                if request := self._requests.get(stream_id):
                    self._whole(stream_id, request)
            case StreamReset(stream_id=stream_id):
                self._reset.discard(stream_id)
                self._requests.pop(stream_id, None)
                self._close_if_left()
            case PingReceived():
                self._owner.pinged()
            case SettingsAcknowledged():
                self._settings_sent -= 1
            case WindowUpdated():
                stalled, self._stalled[:] = list(self._stalled), []
                for stream_id, body in stalled:
                    self._send_body(stream_id, body)
            case _:
                pass

    def _begin(self, stream_id: int, headers: list[tuple[str, str]]) -> None:
        self._highest = max(self._highest, stream_id)
        if self._last is not None and stream_id > self._last:
            return
        fault = self._owner.fault()
        if isinstance(fault, Cut) and fault.at == "headers":
            self.cut()
            return
        self._requests[stream_id] = _Request(headers, fault)
        self.peak_streams = max(self.peak_streams, len(self._requests))

    def _whole(self, stream_id: int, request: _Request) -> None:
        fault = request.fault
        match fault:
            case NeverAnswer():
                return
            case Reset(code, after_headers):
                if after_headers:
                    self._h2.send_headers(stream_id, [(":status", "500")])
                self._h2.reset_stream(stream_id, code)
                self._answered(stream_id)
                return
            case Cut(at):
                if at == "answer":
                    self._h2.send_headers(stream_id, [(":status", "200")])
                    self._flush()
                    self.close()
                else:
                    self.cut()
                return
            case Leave(covers, code, close):
                self.go_away(stream_id if covers else stream_id - 1, code=code)
                if close:
                    self.close()
                if close or not covers:
                    return
            case _:
                pass
        verdict = self._owner.judge(self, request.headers, bytes(request.body), fault)
        if self.session.trusted and self._h2.local_settings.max_concurrent_streams == _BEFORE_TRUST:
            self.allow_streams(self._owner.max_streams)
        known = dict(request.headers)
        if isinstance(fault, Hold):
            self._owner.hold(lambda: self._release(stream_id, verdict, known.get("apns-id", "")))
        else:
            self._answer(stream_id, verdict, known.get("apns-id", ""), fault)

    # Answers.

    def _answer(self, stream_id: int, verdict: Verdict, apns_id: str, fault: Fault | None = None) -> None:
        body = fault.body if isinstance(fault, Answer) and fault.body is not None else _body(verdict)
        pieces = fault.pieces if isinstance(fault, Answer | Pieces) else 1
        self._h2.send_headers(stream_id, _head(verdict, apns_id), end_stream=not body)
        if not body:
            self._answered(stream_id)
        elif pieces > 1:
            self._send_pieces(stream_id, _split(body, pieces))
        else:
            self._send_body(stream_id, body)

    def _send_pieces(self, stream_id: int, pieces: list[bytes]) -> None:
        """One in each turn of the loop, so in packets of their own."""
        if self._transport is None or stream_id not in self._requests:
            return
        first, *rest = pieces
        self._h2.send_data(stream_id, first, end_stream=not rest)
        self._flush()
        if rest:
            self._loop.call_later(0.002, self._send_pieces, stream_id, rest)
        else:
            self._answered(stream_id)

    def _send_body(self, stream_id: int, body: bytes) -> None:
        """When the client gives credit; one that never does gets no more answers."""
        if stream_id not in self._requests:
            return
        if self._h2.local_flow_control_window(stream_id) < len(body):
            self._stalled.append((stream_id, body))
            return
        self._h2.send_data(stream_id, body, end_stream=True)
        self._answered(stream_id)

    def _release(self, stream_id: int, verdict: Verdict, apns_id: str) -> None:
        """The answer that was held back. A client that has given up gets it all the same: it was on its way."""
        if self._transport is None:
            return
        if stream_id in self._requests:
            self._answer(stream_id, verdict, apns_id)
            self._flush()
            return
        body = _body(verdict)
        block = self._h2.encoder.encode(_head(verdict, apns_id))
        self._raw(_HEADERS, _END_HEADERS | (0 if body else _END_STREAM), stream_id, block)
        if body:
            self._raw(_DATA, _END_STREAM, stream_id, body)

    def _answered(self, stream_id: int) -> None:
        self._requests.pop(stream_id, None)
        self._close_if_left()

    def _close_if_left(self) -> None:
        if self._last is not None and not self._requests:
            self._flush()
            self.close()

    def _raw(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """A frame that h2 does not know of, after all that it has to say."""
        self._flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(
                len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream_id) + payload
            )

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _head(verdict: Verdict, apns_id: str) -> list[tuple[str, str]]:
    head = [(":status", str(verdict.status)), *verdict.headers]
    return [*head, ("apns-id", apns_id)] if apns_id else head


def _body(verdict: Verdict) -> bytes:
    if not verdict.reason:
        return b""
    said: dict[str, object] = {"reason": verdict.reason}
    if verdict.timestamp is not None:
        said["timestamp"] = verdict.timestamp
    return json.dumps(said).encode()


def _split(body: bytes, pieces: int) -> list[bytes]:
    size = max(1, -(-len(body) // pieces))
    return [body[at : at + size] for at in range(0, len(body), size)]
