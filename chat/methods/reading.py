"""How far one has read."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import reading

METHODS: Final = (
    Method(
        "read.mark",
        reading.ReadMark,
        reading.ReadResult,
        lambda service, user, request: service.reading.mark(user, request),
        "Everything up to the offset is read.",
    ),
)
