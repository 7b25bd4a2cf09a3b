"""What the JSON and the Protobuf spelling of the protocol have in common."""

from collections.abc import Sequence
from typing import Literal, Protocol

from realtime.protocol.messages import Publication, Push, Received, Reply


class Codec(Protocol):
    """Stateless. Encoded messages are not yet joined: `join` makes the payload of a frame of one or more of them."""

    @property
    def name(self) -> Literal["json", "protobuf"]: ...

    @property
    def opcode(self) -> Literal[1, 2]:
        """The WebSocket opcode of its frames: text or binary."""

    @property
    def ping(self) -> bytes:
        """The encoded server ping (unjoined)."""

    def decode(self, frame: bytes) -> list[Received]:
        """The messages of one frame, in order, at least one.

        Raises only `Closing` (bad request): the frame itself is broken and nothing of it is done. A command that is
        broken but has a readable id comes as `Invalid`. Payloads are proven to be JSON of bounded depth.
        """

    def reply(self, reply: Reply) -> bytes: ...

    def push(self, push: Push) -> bytes: ...

    def publication(self, channel: str, publication: Publication) -> bytes:
        """The same as `push` of a publication, and faster."""

    def join(self, parts: Sequence[bytes]) -> bytes:
        """Encoded messages -> the payload of one frame. To be used for one message, too."""
