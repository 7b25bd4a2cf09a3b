"""Messages that users have deleted for themselves: hiding them, and leaving them out of what is read."""

from collections.abc import Callable, Collection, Sequence

from chat.usecases.access import Access, Standing, parent_of
from chat.usecases.failures import Unseen, told
from chat.usecases.ports import Announcer
from chat.usecases.rights import Right
from chat.vocabulary.events import MessageHidden
from storage.model import Entry
from storage.store import Store


class Hiding:
    """The one place that knows what somebody does not want to see. Raises ClientError."""

    def __init__(self, store: Store, access: Access, announcer: Announcer, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._clock_ms = clock_ms

    async def hide(self, user: str, conversation: str, offsets: Sequence[int], field: Callable[[int], str]) -> None:
        """Delete these for the user alone; `field(i)` names the i-th in the request. What is hidden stays so."""
        await self._access.require(user, conversation, Right.READ)
        with told():
            tail = await self._store.log.tail(conversation)
        for index, offset in enumerate(offsets):
            if offset > tail.offset:
                raise Unseen("there is no message at this offset", field(index))
        with told():
            hiding = await self._store.hidden.hide(user, conversation, offsets, at=self._clock_ms())
        if hiding.first:
            # Whoever remembers that the user has hidden nothing here would still show it.
            self._announcer.outdated(parent_of(conversation) or conversation, [user])
        if hiding.offsets:
            self._announcer.personal(user, MessageHidden(conversation, hiding.offsets))

    async def is_hidden(self, user: str, standing: Standing, conversation: str, offset: int) -> bool:
        """Costs nothing for whoever has hidden nothing in the conversation."""
        return bool(await self._between(user, standing, conversation, offset, offset))

    async def visible(
        self, user: str, standing: Standing, conversation: str, entries: Collection[Entry]
    ) -> list[Entry]:
        """Those of one conversation's entries that the user has not hidden.

        One indexed range query over them, and none for whoever has hidden nothing in the conversation.
        """
        if not standing.hides or not entries:
            return list(entries)
        offsets = [entry.offset for entry in entries]
        hidden = await self._between(user, standing, conversation, min(offsets), max(offsets))
        return [entry for entry in entries if entry.offset not in hidden]

    async def _between(self, user: str, standing: Standing, conversation: str, first: int, last: int) -> set[int]:
        if not standing.hides:
            return set()
        with told():
            return await self._store.hidden.between(user, conversation, first - 1, last)
