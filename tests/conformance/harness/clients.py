"""A client of some SDK as the scenarios see it: what happened to it, in order, and what it can be told to do."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

WITHIN_S: Final = 60.0

GetToken = Callable[[], Awaitable[str]]
"""Called by the SDK whenever it wants a token."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of an SDK. `side`: of the `connection`, of a `server`-side subscription or of a `client`-side one."""

    event: str
    side: str
    channel: str = ""
    code: int = 0
    reason: str = ""
    client: str = ""
    offset: int = 0
    epoch: str = ""
    recoverable: bool = False
    positioned: bool = False
    was_recovering: bool = False
    recovered: bool = False
    data: Any = None
    info: Any = None
    tags: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """What the SDK raised for an error of the server's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Position:
    offset: int
    epoch: str


@dataclass(frozen=True, slots=True)
class SubscribeOptions:
    """Of a client-side subscription. `get_token` gives it subscription tokens. `get_state` tells where to go on from,
    and is asked again when that is no longer possible (error 112).
    """

    join_leave: bool = False
    get_token: Callable[[str], Awaitable[str]] | None = None
    get_state: Callable[[], Awaitable[Position]] | None = None


class SdkClient(ABC):
    """What the SDKs have in common. Payloads are JSON values in both codecs."""

    def __init__(self) -> None:
        self.happened: list[Happened] = []
        self.newest: dict[str, int] = {}
        """The offset of the last publication that had one, by channel."""
        self._news = asyncio.Condition()

    @abstractmethod
    async def connect(self) -> None:
        """Begin to connect; `connected` is an event."""

    @abstractmethod
    async def disconnect(self) -> None: ...

    @abstractmethod
    async def rpc(self, method: str, **data: Any) -> Any:
        """The method's result. This and the next ones raise Refused."""

    @abstractmethod
    async def publish(self, channel: str, data: Any) -> None: ...

    @abstractmethod
    async def presence(self, channel: str) -> dict[str, Any]: ...

    @abstractmethod
    async def presence_stats(self, channel: str) -> dict[str, int]: ...

    @abstractmethod
    async def history(
        self, channel: str, *, limit: int = 0, since: Position | None = None, reverse: bool = False
    ) -> dict[str, Any]: ...

    @abstractmethod
    async def subscribe(self, channel: str, options: SubscribeOptions | None = None) -> None:
        """Begin a client-side subscription; `subscribed` or `unsubscribed` is an event."""

    @abstractmethod
    async def unsubscribe(self, channel: str) -> None: ...

    async def connected(self) -> Happened:
        """Connect, and wait until that is done."""
        seen = len(self.happened)
        await self.connect()
        return await self.until_one("connected", after=seen)

    async def subscribed(self, channel: str, options: SubscribeOptions | None = None) -> Happened:
        """Subscribe client-side, and wait until that is done."""
        seen = len(self.happened)
        await self.subscribe(channel, options)
        return await self.until_one("subscribed", channel=channel, after=seen, side="client")

    def of(self, event: str, *, channel: str = "", side: str = "", after: int = 0) -> Sequence[Happened]:
        """The events of a kind, in order; `after` leaves out the first so many of all that happened."""
        return [
            one
            for one in self.happened[after:]
            if one.event == event and channel in ("", one.channel) and side in ("", one.side)
        ]

    def offsets(self, channel: str, *, side: str = "", after: int = 0) -> list[int]:
        """Of the publications that have one."""
        return [one.offset for one in self.of("publication", channel=channel, side=side, after=after) if one.offset]

    async def until(self, condition: Callable[[], Any], *, within_s: float = WITHIN_S) -> None:
        """Wait for a condition that is looked at whenever something happened."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s; the last events: {self.happened[-10:]}") from None

    async def until_one(self, event: str, *, channel: str = "", side: str = "", after: int = 0) -> Happened:
        """Wait for the first event of a kind."""
        await self.until(lambda: self.of(event, channel=channel, side=side, after=after))
        return self.of(event, channel=channel, side=side, after=after)[0]

    async def _take(self, happened: Happened) -> None:
        self.happened.append(happened)
        if happened.event == "publication" and happened.offset:
            self.newest[happened.channel] = happened.offset
        async with self._news:
            self._news.notify_all()
