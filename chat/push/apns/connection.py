"""One HTTP/2 connection to APNs, on h2: streams, flow control, and every way in which it can end.

Requests are not queued here: who has one asks for `room` first. Each ends with an outcome, as a value: a reply, or that
it was certainly not processed, or that nobody knows.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, cast

import structlog
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Encoder, HeaderTuple

from chat.push.apns.exchange import Exchange, Unprocessed
from chat.push.apns.frames import FrameFilter, GoAway, Oversized
from chat.push.apns.settings import ConnectionSettings

_Header: TypeAlias = HeaderTuple | tuple[bytes | str, bytes | str] | tuple[bytes | str, bytes | str, bool | None]

logger = structlog.get_logger(__name__)

_LAST_STREAM_ID: Final = 2**31 - 1
_ABOUT_CREDENTIALS: Final = frozenset({403, 429})


class _Plain(Encoder):
    """Without Huffman codes: a quarter of all the work of a push, for some 60 bytes less of tokens that change."""

    def encode(self, headers: Iterable[_Header] | dict[bytes | str, bytes | str], huffman: bool = False) -> bytes:
        del huffman
        return super().encode(headers, huffman=False)


class Connection(asyncio.Protocol):
    """`on_change()` is called, from the loop, whenever there may be more room, or the connection has come or gone.

    A `draining` connection takes no more requests and closes itself when the last stream has ended.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        on_change: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings: Final = settings
        self._on_change: Final = on_change
        self._monotonic: Final = monotonic
        self._loop: Final = asyncio.get_running_loop()
        self._h2: Final = H2Connection(
            # Our own headers are right by construction, and checking them costs as much as sending them.
            H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self._h2.encoder = _Plain()
        self._filter: Final = FrameFilter()
        self._open: Final[dict[int, Exchange]] = {}
        self._unsent: Final[dict[int, Exchange]] = {}
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._flushing = False
        self._heard_at = self._used_at = monotonic()
        self._pinged_at: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._missed = 0
        self.ready: Final[asyncio.Future[None]] = self._loop.create_future()
        """Done when the server's settings have come; an OSError when it never gets so far."""
        self.closed: Final = asyncio.Event()
        self.draining = False
        self.proven = False
        """It has answered with something else than that the credentials are no good."""

    # What the pool asks.

    @property
    def in_flight(self) -> int:
        return len(self._open)

    def room(self, body_bytes: int) -> int:
        """How many more requests fit; 0 or less is none. The server's limit may have sunk below what is in flight.

        A request whose body the connection's window has no place for is not begun: as long as it is not, it is
        certain that it was not processed.
        """
        if not self.ready.done() or self.draining or self._paused or self._transport is None:
            return 0
        window = self._h2.outbound_flow_control_window
        if window < body_bytes and (self._open or window <= 0):
            return 0
        limit = min(self._h2.remote_settings.max_concurrent_streams, self._settings.max_streams)
        return limit - len(self._open)

    def start(self, exchange: Exchange) -> None:
        """Begin a request. Only when there is `room`."""
        stream_id = self._h2.get_next_available_stream_id()
        exchange.connection, exchange.stream_id = self, stream_id
        self._open[stream_id] = exchange
        self._used_at = self._monotonic()
        self._h2.send_headers(stream_id, exchange.headers)
        self._send_body(stream_id, exchange)
        self._flush_soon()
        if stream_id >= _LAST_STREAM_ID:
            self.drain()

    def abandon(self, exchange: Exchange, *, missed: bool) -> None:
        """Take back a request that has not ended: RST_STREAM(CANCEL). `missed`: its deadline has passed."""
        if self._open.get(exchange.stream_id) is not exchange:
            return
        self._forget(exchange.stream_id, ErrorCodes.CANCEL)
        if missed:
            self._missed += 1
            if self._missed >= self._settings.max_missed and not self.draining:
                logger.warning("apns_connection_mute", missed=self._missed)
                self.drain()
        self._moved()

    def drain(self) -> None:
        """Take nothing more, and close when what is open has ended."""
        if not self.draining:
            self.draining = True
            self._on_change()
        self._close_if_done()

    def abort(self, reason: str) -> None:
        """Close at once; of what is open the outcome is unknown."""
        self.draining = True
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own transports are not of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        secured = transport.get_extra_info("ssl_object")
        if not isinstance(secured, ssl.SSLObject) or secured.selected_alpn_protocol() != "h2":
            self.abort("no_http2")
            return
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_CONCURRENT_STREAMS: 100,
                SettingCodes.MAX_HEADER_LIST_SIZE: 16 * 1024,
            },
        )
        self._h2.initiate_connection()
        self._flush()
        self._heard_at = self._monotonic()
        self._watch = self._loop.call_later(self._settings.ping_every_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self.draining = True
        if self._watch is not None:
            self._watch.cancel()
        self._end("connection_lost")
        self._transport = None
        self.closed.set()
        self._on_change()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()
        self._on_change()

    def data_received(self, data: bytes) -> None:
        self._heard_at, self._pinged_at = self._monotonic(), None
        try:
            for part in self._filter.feed(data):
                if isinstance(part, GoAway):
                    self._going_away(part)
                else:
                    for event in self._h2.receive_data(part):
                        self._handle(event)
        except (ProtocolError, Oversized) as error:
            logger.warning("apns_protocol_error", error=type(error).__name__)
            self._flush()
            self.abort("protocol_error")
            return
        self._moved()

    # What comes.

    def _handle(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=stream_id, headers=headers):
                if exchange := self._open.get(stream_id):
                    exchange.status, exchange.reply_headers = _read_headers(headers)
            case DataReceived(stream_id=stream_id, data=data, flow_controlled_length=length):
                # Always, also for what nobody waits for any more: else the window closes for good.
                if length:
                    self._h2.acknowledge_received_data(length, stream_id)
                if exchange := self._open.get(stream_id):
                    room = self._settings.max_reply_bytes - len(exchange.reply)
                    exchange.reply += data[:room]
            case StreamEnded(stream_id=stream_id):
                if exchange := self._open.get(stream_id):
                    self._answer(stream_id, exchange)
            case StreamReset(stream_id=stream_id, error_code=code):
                self._reset(stream_id, code)
            case WindowUpdated():
                self._send_bodies()
            case RemoteSettingsChanged():
                if not self.ready.done():
                    # However long it took to come so far: it is not idle.
                    self._used_at = self._monotonic()
                    self.ready.set_result(None)
                self._send_bodies()
            case _:
                pass

    def _answer(self, stream_id: int, exchange: Exchange) -> None:
        # A server that answers before it has everything wants no more of it.
        self._forget(stream_id, ErrorCodes.CANCEL if stream_id in self._unsent else None)
        self._missed = 0
        self.proven = self.proven or exchange.status not in _ABOUT_CREDENTIALS
        exchange.end(exchange.without_end("no_status"))

    def _reset(self, stream_id: int, code: ErrorCodes | int | None) -> None:
        exchange = self._open.get(stream_id)
        if exchange is None:
            return
        self._forget(stream_id, None)
        name = code.name.lower() if isinstance(code, ErrorCodes) else "unknown"
        if code is ErrorCodes.REFUSED_STREAM:
            exchange.end(Unprocessed("refused_stream"))
        else:
            exchange.end(exchange.without_end(f"reset_{name}"))

    def _going_away(self, goaway: GoAway) -> None:
        above = [stream_id for stream_id in self._open if stream_id > goaway.last_stream_id]
        logger.info("apns_goaway", code=goaway.code, in_flight=len(self._open), unprocessed=len(above))
        self.draining = True
        for stream_id in above:
            exchange = self._open[stream_id]
            self._forget(stream_id, None)
            exchange.end(Unprocessed("goaway"))

    # What goes.

    def _send_bodies(self) -> None:
        for stream_id, exchange in list(self._unsent.items()):
            self._send_body(stream_id, exchange)

    def _send_body(self, stream_id: int, exchange: Exchange) -> None:
        """As much of the body as the windows let through."""
        body, at = exchange.body, exchange.sent_bytes
        while at < len(body):
            size = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size, len(body) - at)
            if size <= 0:
                self._unsent[stream_id] = exchange
                break
            self._h2.send_data(stream_id, body[at : at + size], end_stream=at + size == len(body))
            at += size
        else:
            self._unsent.pop(stream_id, None)
        exchange.sent_bytes = at

    def _forget(self, stream_id: int, reset: ErrorCodes | None) -> None:
        del self._open[stream_id]
        self._unsent.pop(stream_id, None)
        if reset is not None:
            self._h2.reset_stream(stream_id, reset)

    def _moved(self) -> None:
        """After anything that may have freed room or left bytes to send."""
        self._on_change()
        self._flush()
        self._close_if_done()

    def _flush_soon(self) -> None:
        """Requests that begin at the same time go out together."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or self._transport.is_closing():
            return
        if data := self._h2.data_to_send():
            self._transport.write(data)

    # How it ends.

    def _look(self) -> None:
        """The watchdog: looks again when there can be news."""
        if self._transport is None or self._transport.is_closing():
            return
        now = self._monotonic()
        if self.ready.done() and not self._open and now - self._used_at >= self._settings.idle_s:
            self.drain()
            return
        if self._pinged_at is not None and now - self._pinged_at >= self._settings.ping_answer_s:
            logger.warning("apns_connection_dead", in_flight=len(self._open))
            self.abort("no_pong")
            return
        if self._pinged_at is None and now - self._heard_at >= self._settings.ping_every_s:
            self._pinged_at = now
            self._h2.ping(b"hubbub\0\0")
            self._flush()
        since, patience_s = (
            (self._heard_at, self._settings.ping_every_s)
            if self._pinged_at is None
            else (self._pinged_at, self._settings.ping_answer_s)
        )
        self._watch = self._loop.call_later(max(since + patience_s - now, 0.001), self._look)

    def _close_if_done(self) -> None:
        if not self.draining or self._open or self._transport is None or self._transport.is_closing():
            return
        self._h2.close_connection()
        self._flush()
        self._transport.close()

    def _end(self, reason: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
            # Whoever waited may have gone.
            self.ready.exception()
        exchanges = list(self._open.values())
        self._open.clear()
        self._unsent.clear()
        for exchange in exchanges:
            exchange.end(exchange.without_end(reason))


def _read_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, Mapping[str, str]]:
    """The status (0: none that can be read) and the other headers."""
    found = {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in headers}
    status = found.pop(":status", "")
    return int(status) if status.isascii() and status.isdigit() else 0, found
