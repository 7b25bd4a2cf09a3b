"""Plans again what the follower may have missed: it lost its place in the log, or nobody followed for a while.

Jobs that were made, or done, are not made again, so this may run at any time and as often as one likes.
"""

from typing import Final

from chat.push.planner import Planner
from storage.model import Entry
from storage.store import Store

PAGE: Final = 200
MAX_MESSAGES: Final = 1_000
"""Messages of one conversation that are looked at, the newest: nobody is told of more one by one anyway."""


async def plan_since(store: Store, planner: Planner, since: int) -> int:
    """Plan every message that was sent at that time (ms UTC) or later; how many conversations have one.

    May raise StorageError, and may then be called again.
    """
    at, after, found = since, "", 0
    while True:
        page = await store.conversations.changed_since(at, after=after, limit=PAGE)
        for changed in page:
            messages = await messages_since(store, changed.conversation, since)
            if messages:
                found += 1
                await planner.on_entries(messages)
        if len(page) < PAGE:
            return found
        at, after = page[-1].at, page[-1].conversation


async def messages_since(store: Store, conversation: str, since: int) -> list[Entry]:
    """Those of one conversation, ascending; at most the newest `MAX_MESSAGES` or so. May raise StorageError."""
    kept: list[Entry] = []
    before: int | None = None
    while len(kept) < MAX_MESSAGES:
        page = await store.log.messages_before(conversation, before, PAGE)
        fresh = [entry for entry in page.entries if entry.at >= since]
        kept = [*fresh, *kept]
        if len(fresh) < len(page.entries) or not page.has_before or page.oldest is None:
            break
        before = page.oldest
    return kept
