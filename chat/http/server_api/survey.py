"""What no process knows alone: every one answers for itself, and whoever was asked puts the answers together."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import msgspec
import structlog
from msgspec import Struct

from chat.http.server_api.globs import BadPattern, literal_prefix, matcher
from chat.http.server_api.results import ChannelInfo, Node
from realtime.engine import Engine
from realtime.hub import Hub
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=Struct)

CHANNELS: Final = "channels"
INFO: Final = "info"

MAX_CHANNELS: Final = 10_000
"""Channels that one answer may list. Beyond it there is an error, never a shorter list."""

_CHUNK: Final = 1_000


class _Channels(Struct, frozen=True):
    """A process's answer. `too_many`: more than `MAX_CHANNELS` match, none is told."""

    subscribers: dict[str, int]
    too_many: bool = False


class Survey:
    """Asks all processes, and answers for this one."""

    def __init__(
        self, engine: Engine, *, process: str, node: str, version: str, monotonic: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._who = (process, node, version)
        self._monotonic = monotonic
        self._started_at_s = monotonic()

    def answer(self) -> None:
        """Answer the others' questions from now on."""
        self._engine.operations.answer(CHANNELS, self._channels_here)
        self._engine.operations.answer(INFO, lambda _: msgspec.json.encode(self._node_here()))

    async def channels(self, pattern: str) -> dict[str, ChannelInfo]:
        """Channels with subscribers anywhere. Raises ClientError for a bad pattern, and for too many channels."""
        try:
            matcher(pattern)
        except BadPattern as error:
            raise ClientError(codes.BAD_REQUEST, str(error), "pattern") from None
        answers = await self._engine.operations.ask(CHANNELS, pattern.encode())
        return merged(_decoded(answers, _Channels))

    async def info(self) -> list[Node]:
        """One entry for each process that answers within a second, by name and id."""
        answers = await self._engine.operations.ask(INFO)
        return sorted(_decoded(answers, Node), key=lambda node: (node.name, node.uid))

    async def _channels_here(self, pattern: bytes) -> bytes:
        return msgspec.json.encode(await listed(self._engine.hub, pattern.decode(errors="replace")))

    def _node_here(self) -> Node:
        process, node, version = self._who
        hub = self._engine.hub
        return Node(
            uid=process,
            name=node,
            version=version,
            num_clients=len(hub.sessions),
            num_users=len(hub.users),
            num_subs=self._engine.stats.subscriptions,
            num_channels=len(hub.channels),
            uptime=int(self._monotonic() - self._started_at_s),
        )


async def listed(hub: Hub, pattern: str) -> _Channels:
    """The channels of this process that match. Looks at each once and lets the event loop turn in between."""
    try:
        matches = matcher(pattern)
    except BadPattern:
        # Only of another version: whoever asks has looked at it before.
        return _Channels({})
    prefix = literal_prefix(pattern)
    found: dict[str, int] = {}
    for index, name in enumerate(tuple(hub.channels)):
        if index % _CHUNK == _CHUNK - 1:
            await asyncio.sleep(0)
        if not (name.startswith(prefix) and matches(name)):
            continue
        channel = hub.channels.get(name)
        if channel is not None and (subscribers := channel.subscribers):
            found[name] = subscribers
        if len(found) > MAX_CHANNELS:
            return _Channels({}, too_many=True)
    return _Channels(found)


def merged(answers: Iterable[_Channels]) -> dict[str, ChannelInfo]:
    """Subscribers of all processes together. Raises ClientError when there are more channels than are told."""
    total: dict[str, int] = {}
    for answer in answers:
        for name, subscribers in answer.subscribers.items():
            total[name] = total.get(name, 0) + subscribers
        if answer.too_many or len(total) > MAX_CHANNELS:
            raise ClientError(codes.LIMIT_EXCEEDED, f"more than {MAX_CHANNELS} channels match", "pattern")
    return {name: ChannelInfo(subscribers) for name, subscribers in sorted(total.items())}


def _decoded(answers: Mapping[str, bytes], kind: type[S]) -> list[S]:
    """The answers that can be read; those of another version are left out and logged."""
    decoded = []
    for process, answer in sorted(answers.items()):
        try:
            decoded.append(msgspec.json.decode(answer, type=kind))
        except msgspec.MsgspecError as error:
            log.warning("answer_not_understood", process=process, error=str(error))
    return decoded
