"""The engine under test, on a real Redis: everyone who connects is in one channel. Same dialogue as send_loop.c; a
third number on a line is how many messages come together.

usage: python -m bench.hub_server RECEIVERS FRAME_BYTES json|protobuf DIRECTORY
"""

import logging
import sys
from pathlib import Path

import structlog
import uvloop

from bench.baselines.dialogue import answer, ready
from chat.serving.garbage import seldom_collected
from realtime.channel import publication_frames
from realtime.ports import Delivery
from realtime.protocol.codec import Codec
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.machine import ConnectionSettings
from realtime.protocol.messages import Payload, Publication
from realtime.protocol.protobuf_codec import ProtobufCodec
from realtime.settings import Settings
from storage.local.redis_server import redis_server

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.engine import ListFeed, SmallProduct, serve_engine

# The receivers read and say nothing: they answer no pings.
QUIET = Settings(connection=ConnectionSettings(ping_interval_s=3600))

CHANNEL = "log:aaaaaaaaaaaaaaaaaaaaaaaaaa"


def data_for(size: int, codec: Codec) -> Payload:
    """So much that a frame on the wire has the asked size (an offset of three digits taken for granted)."""

    def publication(text: str) -> Publication:
        return Publication(Payload(b'"%b"' % text.encode()), offset=100)

    ((bare, _),) = publication_frames(codec, CHANNEL, [publication("x" * 100)])
    return publication("x" * (size - len(bare) + 100)).data


async def main(receivers: int, size: int, codec: Codec, directory: Path) -> None:
    product = SmallProduct(ListFeed(), server_side=[CHANNEL])
    async with (
        redis_server(directory, ephemeral=True) as redis,
        serve_engine(redis.url, "bench", product, settings=QUIET) as served,
    ):
        hub = served.engine.hub
        data = data_for(size, codec)
        offset = 0

        async def publish(together: int = 1) -> None:
            nonlocal offset
            for _ in range(together):
                offset += 1
                hub.publish(Delivery(CHANNEL, "pub", Publication(data, offset=offset), "e"))

        await ready(lambda: len(hub.sessions) == receivers, listening=served.url.split("/")[2].rpartition(":")[2])
        with seldom_collected():  # as in a hub
            await answer(publish)


if __name__ == "__main__":
    # What is said on stdout is the dialogue.
    warnings = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=warnings, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(
        main(
            int(sys.argv[1]),
            int(sys.argv[2]),
            ProtobufCodec() if sys.argv[3] == "protobuf" else JsonCodec(),
            Path(sys.argv[4]),
        )
    )
