"""Short histories of plain channels: one Redis stream each, beside a hash with its epoch and newest offset.

A publication's id in the stream is `<offset>-0`. What belongs together happens in one script on the channel's server,
the publishing included, so that no reader sees an offset out of order or without its entry.
"""

from typing import Final

import structlog

from realtime.ports import Delivery, StreamOptions, StreamPage
from realtime.protocol.messages import MAX_OFFSET, Publication
from realtime.protocol.recovery import Position
from realtime.redis import envelope
from realtime.redis.keys import Keys
from realtime.redis.scripts import load_script
from realtime.redis.servers import Servers
from realtime.redis.settings import RedisSettings

log = structlog.get_logger(__name__)

IDEMPOTENCY_TTL_S: Final = 300

_EPOCH_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_EPOCH_LENGTH: Final = 8

_PUBLISH: Final = load_script("publish")
_PUBLISH_ONCE: Final = load_script("publish_once")
_READ: Final = load_script("read")


class RedisStreams:
    """Implements the port `Streams`. Raises ConnectionError, TimeoutError; ValueError for options that keep nothing."""

    def __init__(self, servers: Servers, *, keys: Keys, settings: RedisSettings) -> None:
        self._servers = servers
        self._keys = keys
        self._random = settings.random

    async def publish(
        self, channel: str, publication: Publication, options: StreamOptions, *, idempotency_key: str = ""
    ) -> Position:
        if options.size < 1 or options.ttl_s < 1 or options.meta_ttl_s < options.ttl_s:
            raise ValueError("a stream keeps something for a while, and its position at least as long")
        keys = [self._keys.stream_meta(channel), self._keys.stream(channel)]
        if idempotency_key:
            keys.append(self._keys.once(channel, idempotency_key))
        arguments = (
            envelope.body("pub", publication),
            self._keys.channel(channel),
            options.size,
            options.ttl_s,
            options.meta_ttl_s,
            self._new_epoch(),
            IDEMPOTENCY_TTL_S,
        )
        answer: bytes = await self._servers.of(channel).run(_PUBLISH, keys, arguments)
        offset, _, epoch = answer.decode("ascii").partition(":")
        return Position(epoch, int(offset))

    async def publish_once(self, delivery: Delivery, *, idempotency_key: str) -> bool:
        channel = delivery.channel
        published: int = await self._servers.of(channel).run(
            _PUBLISH_ONCE,
            (self._keys.once(channel, idempotency_key),),
            (envelope.encode(delivery), self._keys.channel(channel), IDEMPOTENCY_TTL_S),
        )
        return published == 1

    async def read(
        self, channel: str, options: StreamOptions, *, since: Position | None, limit: int, reverse: bool
    ) -> StreamPage:
        arguments = (
            self._new_epoch(),
            options.meta_ttl_s,
            max(limit, -1),
            "" if since is None else min(max(since.offset, 0), MAX_OFFSET),
            "" if since is None else since.epoch,
            "1" if reverse else "0",
        )
        keys = (self._keys.stream_meta(channel), self._keys.stream(channel))
        answer: tuple[bytes, bytes, list[tuple[bytes, list[bytes]]]] = await self._servers.of(channel).run(
            _READ, keys, arguments
        )
        epoch, offset, entries = answer
        return StreamPage(_publications(channel, entries), Position(epoch.decode("ascii"), int(offset)))

    async def remove(self, channel: str) -> None:
        await self._servers.of(channel).call("UNLINK", self._keys.stream(channel))

    def _new_epoch(self) -> str:
        return "".join(self._random.choices(_EPOCH_ALPHABET, k=_EPOCH_LENGTH))


def _publications(channel: str, entries: list[tuple[bytes, list[bytes]]]) -> list[Publication]:
    """Decode what a stream holds. What this version cannot read is left out and logged: a hole, not a failure."""
    publications = []
    unreadable = 0
    for identifier, fields in entries:
        offset, _, _ = identifier.partition(b"-")
        try:
            publications.append(envelope.decode_body(fields[1], int(offset)))
        except envelope.EnvelopeError:
            unreadable += 1
    if unreadable:
        log.warning("stream_entries_unreadable", channel=channel, entries=unreadable)
    return publications
