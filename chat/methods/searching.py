"""Finding messages."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import searching

METHODS: Final = (
    Method(
        "history.search",
        searching.HistorySearch,
        searching.SearchResult,
        lambda service, user, request: service.searching.search(user, request),
        "Messages with these words, of this sender or time, newest first, one stretch of the conversation at a time.",
    ),
)
