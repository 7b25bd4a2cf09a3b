"""An emulator of APNs: a real server on loopback, TLS and HTTP/2, for one of the two environments.

Both environments share a `Registry`. What it accepts it hands to a `Screen`, so that a handset can show it.
"""

import asyncio
import ssl
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

from chat.push.lab.apns_connection import ServedConnection
from chat.push.lab.apns_faults import Answer, Fault
from chat.push.lab.apns_rules import Environment, Registry, Verdict
from chat.push.lab.apns_tls import HOST, ThrowAwayAuthority
from chat.push.lab.screen import Screen

_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Arrived:
    """A push that was accepted; the last thousand are kept."""

    token: str
    headers: dict[str, str]
    payload: bytes


class ApnsEmulator:
    """Made by `open_apns_emulator`. Faults are taken from the script in the order in which requests begin."""

    def __init__(
        self,
        registry: Registry,
        environment: Environment,
        authority: ThrowAwayAuthority,
        *,
        screen: Screen | None = None,
        initial_window: int = 65535,
        max_streams: int = 1000,
    ) -> None:
        self.registry: Final = registry
        self.environment: Final = environment
        self.authority: Final = authority
        self.initial_window = initial_window
        self.max_streams = max_streams
        self.withholding = False
        """Requests are read, but no credit for more of them is given."""
        self.always: Fault | None = None
        """When the script is at its end."""
        self.port = 0
        self.connections: Final[list[ServedConnection]] = []
        self.connections_opened = 0
        self.peak_streams = 0
        self.pings = 0
        """That clients sent, and were answered."""
        self.answers: Final[Counter[tuple[int, str]]] = Counter()
        self.tokens: Final[set[str]] = set()
        """Provider tokens that were used."""
        self.arrived: Final[deque[Arrived]] = deque(maxlen=_KEPT)
        self.ids: Final[deque[str]] = deque(maxlen=_KEPT)
        """Of all requests, accepted or not: apns-id."""
        self.violations: Final[list[str]] = []
        """What a client did against HTTP/2."""
        self._screen: Final = screen
        self._script: Final[deque[Fault | None]] = deque()
        self._held: Final[list[Callable[[], None]]] = []

    # Controls.

    def script(self, *faults: Fault | None, times: int = 1) -> None:
        """For the next requests, one each; None is no fault."""
        self._script.extend(faults * times)

    @property
    def in_flight(self) -> int:
        return sum(connection.in_flight for connection in self.connections)

    @property
    def settled(self) -> bool:
        """All clients know the settings there are."""
        return all(connection.settled for connection in self.connections)

    @property
    def held(self) -> int:
        return len(self._held)

    def release(self, order: Literal["first_in", "last_in"] = "first_in") -> None:
        """Send the answers that are held."""
        held, self._held[:] = list(self._held), []
        for one in held if order == "first_in" else reversed(held):
            one()

    def allow_streams(self, count: int) -> None:
        """On every connection, at once, and on those to come once they are trusted."""
        self.max_streams = count
        for connection in self.connections:
            connection.allow_streams(count)

    def give_windows(self) -> None:
        """No more withholding."""
        self.withholding = False
        for connection in self.connections:
            connection.give_windows()

    def go_away(self, last_stream_id: int | None = None, *, code: int = 0, debug: bytes = b"") -> None:
        """On every connection."""
        for connection in list(self.connections):
            connection.go_away(last_stream_id, code=code, debug=debug)

    def deafen(self) -> None:
        """The connections there are read nothing any more; new ones do."""
        for connection in self.connections:
            connection.deafen()

    def cut(self) -> None:
        """Drop every connection."""
        for connection in list(self.connections):
            connection.cut()

    # What its connections ask.

    def opened(self, connection: ServedConnection) -> None:
        self.connections.append(connection)
        self.connections_opened += 1

    def gone(self, connection: ServedConnection) -> None:
        self.connections.remove(connection)

    def fault(self) -> Fault | None:
        return self._script.popleft() if self._script else self.always

    def hold(self, release: Callable[[], None]) -> None:
        self._held.append(release)

    def pinged(self) -> None:
        self.pings += 1

    def violated(self, what: str) -> None:
        self.violations.append(what)

    def judge(
        self, connection: ServedConnection, headers: Sequence[tuple[str, str]], body: bytes, fault: Fault | None
    ) -> Verdict:
        """The answer; what it accepts arrives."""
        self.peak_streams = max(self.peak_streams, connection.peak_streams)
        known = dict(headers)
        self.tokens.add(known.get("authorization", ""))
        self.ids.append(known.get("apns-id", ""))
        verdict = self.registry.judge(self.environment, connection.session, connection.host, headers, body)
        if isinstance(fault, Answer):
            verdict = Verdict(fault.status, fault.reason, fault.timestamp, fault.headers, delivers=False)
        self.answers[verdict.status, verdict.reason] += 1
        if verdict.status == 200 and verdict.delivers:
            token = known[":path"].rpartition("/")[2]
            own = {name: value for name, value in known.items() if name.startswith("apns-")}
            self.arrived.append(Arrived(token, own, body))
            if self._screen is not None:
                self._screen.show("apns", token, own, body)
        return verdict


@asynccontextmanager
async def open_apns_emulator(
    registry: Registry,
    environment: Environment = "production",
    *,
    authority: ThrowAwayAuthority | None = None,
    screen: Screen | None = None,
    port: int = 0,
    initial_window: int = 65535,
    max_streams: int = 1000,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[ApnsEmulator]:
    """Listens on loopback until exit. Clients trust `emulator.authority`, and connect to `localhost`."""
    authority = authority or ThrowAwayAuthority()
    emulator = ApnsEmulator(
        registry, environment, authority, screen=screen, initial_window=initial_window, max_streams=max_streams
    )
    server = await asyncio.get_running_loop().create_server(
        lambda: ServedConnection(emulator), "127.0.0.1", port, ssl=tls or authority.server(["h2"])
    )
    emulator.port = server.sockets[0].getsockname()[1]
    try:
        yield emulator
    finally:
        server.close()
        emulator.cut()
        await server.wait_closed()


__all__ = ["HOST", "ApnsEmulator", "Arrived", "open_apns_emulator"]
