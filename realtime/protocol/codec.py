"""What the JSON and the Protobuf spelling of the protocol have in common."""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

from realtime.protocol.codes import CLOSE_BAD_REQUEST, ClientError, Closing
from realtime.protocol.messages import Invalid, Publication, Push, Received, Reply

# SDKs put a connect and all their subscribes into one frame; 1 MiB of the smallest commands is half a second of work.
MAX_MESSAGES_PER_FRAME: Final = 4096


class Codec(Protocol):
    """Stateless. An encoded message is no frame yet: `join` makes the payload of a frame of one or more of them."""

    @property
    def name(self) -> Literal["json", "protobuf"]: ...

    @property
    def opcode(self) -> Literal[1, 2]:
        """The WebSocket opcode of its frames: text or binary."""

    @property
    def ping(self) -> bytes:
        """The encoded server ping."""

    def decode(self, frame: bytes) -> list[Received]:
        """The messages of one frame, in order, at least one.

        Raises only `Closing`: the frame itself is broken and nothing of it is done. A command that is
        broken but has a readable id comes as `Invalid`. Payloads are proven to be JSON of bounded depth.
        """

    def reply(self, reply: Reply) -> bytes: ...

    def push(self, push: Push) -> bytes: ...

    def publication(self, channel: str, publication: Publication) -> bytes:
        """The same as `push` of a publication, and faster."""

    def join(self, parts: Sequence[bytes]) -> bytes:
        """Encoded messages -> the payload of one frame. To be used for one message, too."""


def unusable(command_id: int, error: ClientError) -> Invalid:
    """A command that cannot be understood: to be answered, or, if it has no id, the end of the connection."""
    if command_id == 0:
        raise broken(error.message)
    return Invalid(command_id, error)


def broken(why: str) -> Closing:
    """A frame of which nothing can be done."""
    return Closing(CLOSE_BAD_REQUEST, f"{CLOSE_BAD_REQUEST.reason}: {why}")
