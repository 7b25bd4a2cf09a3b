"""Reading a conversation."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import history

METHODS: Final = (
    Method(
        "history.page",
        history.HistoryPage,
        history.MessagePage,
        lambda service, user, request: service.history.page(user, request),
        "Messages before, after or around an offset, or from the first unread one; ascending.",
    ),
    Method(
        "history.pins",
        history.HistoryPins,
        history.PinsPage,
        lambda service, user, request: service.history.pins(user, request),
        "Pinned messages, last pinned first.",
    ),
)
