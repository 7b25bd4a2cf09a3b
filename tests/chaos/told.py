"""A link to clients that tells the history when it does not pass."""

from chaos.doors import Opened
from chaos.fault import Traffic
from chaos.servers import Observe


class ToldLink:
    """A link to clients that tells when it does not pass: nobody can be answered then."""

    def __init__(self, opened: Opened, hub: str, observe: Observe) -> None:
        self.name = opened.link.name
        self.port = opened.port
        self._link = opened.link
        self._hub = hub
        self._observe = observe

    def set(self, traffic: Traffic, *, to_server: bool = True, to_client: bool = True) -> None:
        self._observe(self._hub, "reachable" if traffic is Traffic.PASS else "unreachable")
        self._link.set(traffic, to_server=to_server, to_client=to_client)

    def delay(self, seconds: float, jitter_s: float = 0.0) -> None:
        self._link.delay(seconds, jitter_s)

    def rate(self, bytes_per_s: float | None) -> None:
        self._observe(self._hub, "reachable" if bytes_per_s is None else "unreachable")
        self._link.rate(bytes_per_s)

    def chop(self, piece_bytes: int | None) -> None:
        self._link.chop(piece_bytes)

    def reset(self) -> None:
        self._link.reset()

    def half_close(self) -> None:
        self._observe(self._hub, "unreachable")
        self._link.half_close()
        self._observe(self._hub, "reachable")

    @property
    def cuts(self) -> int:
        return self._link.cuts

    def cut_after(self, reply_bytes: int, *, asked: bytes = b"") -> None:
        self._link.cut_after(reply_bytes, asked=asked)
