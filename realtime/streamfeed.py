"""The history of a plain channel as a feed: what follows an offset, as long as the stream still has it."""

from dataclasses import dataclass

from realtime.ports import StreamOptions, Streams
from realtime.protocol.messages import Publication
from realtime.protocol.recovery import Position


@dataclass(frozen=True, slots=True)
class StreamFeed:
    """Reads one generation (`epoch`) of streams that are kept as `options` say."""

    streams: Streams
    options: StreamOptions
    epoch: str

    async def after(self, channel: str, offset: int, *, limit: int, max_bytes: int) -> list[Publication]:
        """See `Feed.after`. LookupError: trimmed, expired or restarted since."""
        page = await self.streams.read(
            channel, self.options, since=Position(self.epoch, offset), limit=limit, reverse=False
        )
        if page.position.epoch != self.epoch:
            raise LookupError("the stream was restarted")
        if not page.publications:
            if page.position.offset > offset:
                raise LookupError("the stream was trimmed")
            return []
        if page.publications[0].offset != offset + 1:
            raise LookupError("the stream was trimmed")
        size = 0
        for index, publication in enumerate(page.publications):
            size += len(publication.data)
            if size > max_bytes and index:
                return page.publications[:index]
        return page.publications
