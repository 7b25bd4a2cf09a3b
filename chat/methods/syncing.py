"""What changed since."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import syncing

METHODS: Final = (
    Method(
        "sync",
        syncing.Sync,
        syncing.SyncResult,
        lambda service, user, request: service.syncing.sync(user, request),
        "What changed in all conversations since the cursors and the revision.",
    ),
)
