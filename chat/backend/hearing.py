"""What a process learns from the bus besides what it hands on: where logs end, and who is out of a conversation."""

from collections.abc import Callable
from typing import Final

from chat.vocabulary import render
from realtime.ports import Delivery

_MESSAGE: Final = b'{"type":"message.created"'

_CHANNEL: Final = render.CONVERSATION_PREFIX


class Hearing:
    """Called with every delivery from the bus, before it is handed to sessions.

    Messages tell the writer of the log where it ends and who wrote last: `on_message(conversation, offset, process)`.
    Everything else goes to `on_other`: an entry that may change who may do what is examined before anything is written
    behind it.
    """

    def __init__(
        self, epoch: str, on_message: Callable[[str, int, str], None], on_other: Callable[[Delivery], None]
    ) -> None:
        self._epoch = epoch
        self._on_message = on_message
        self._on_other = on_other

    def heard(self, delivery: Delivery) -> None:
        publication, channel = delivery.publication, delivery.channel
        if bytes(memoryview(publication.data)[: len(_MESSAGE)]) != _MESSAGE:
            self._on_other(delivery)
        elif publication.offset and delivery.epoch == self._epoch and channel.startswith(_CHANNEL):
            self._on_message(channel[len(_CHANNEL) :], publication.offset, delivery.holder)
