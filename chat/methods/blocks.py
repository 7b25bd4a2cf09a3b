"""Blocks between users."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import blocks, shapes

METHODS: Final = (
    Method(
        "user.block",
        blocks.UserBlock,
        shapes.Done,
        lambda service, user, request: service.blocks.block(user, request),
        "Block a user: neither writes to the direct conversation of the two.",
    ),
    Method(
        "user.unblock",
        blocks.UserUnblock,
        shapes.Done,
        lambda service, user, request: service.blocks.unblock(user, request),
        "Take a block off.",
    ),
    Method(
        "user.blocked",
        blocks.UserBlocked,
        blocks.BlockedPage,
        lambda service, user, request: service.blocks.blocked(user, request),
        "Whom the caller blocks, by user id.",
    ),
)
