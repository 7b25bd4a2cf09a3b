"""Subscribers of threads whose conversation nobody here has.

Who is out of a conversation is out of its threads. That is in the log of the conversation, which a process follows
where somebody is subscribed to it: one can have only a thread of it, and then nothing here would read that log.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from chat.vocabulary import render
from realtime.engine import Engine
from realtime.hub import Member
from realtime.session import Session
from storage.store import Store

AT_ONCE: Final = 500


class Threadless:
    """Looks up whether they are still members where a conversation moved. `out(conversation, users)` gets those who are
    not.
    """

    def __init__(self, store: Store, out: Callable[[str, Collection[str]], None]) -> None:
        self._store = store
        self._out = out
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """Look at this engine's sessions from now on."""
        self._engine = engine

    async def look(self, moved: Iterable[str]) -> None:
        """These channels of conversations moved. Raises StorageError."""
        for channel, users in self._subscribers(set(moved)).items():
            conversation = channel.removeprefix(render.CONVERSATION_PREFIX)
            every = sorted(users)
            for start in range(0, len(every), AT_ONCE):
                some = every[start : start + AT_ONCE]
                live = await self._store.members.live(conversation, some)
                if gone := [user for user in some if user not in live]:
                    self._out(conversation, gone)

    def _subscribers(self, moved: Collection[str]) -> dict[str, set[str]]:
        """Of threads of these, by conversation, where that itself is not followed here."""
        found: dict[str, set[str]] = {}
        channels: dict[str, Collection[Member]] = {}
        if self._engine is not None:
            hub = self._engine.hub
            channels = {name: channel.receivers() for name, channel in hub.channels.items() if "~" in name}
            moved = {name for name in moved if name not in hub.channels}
        for name, members in channels.items():
            parent = name.partition("~")[0]
            if parent in moved:
                found.setdefault(parent, set()).update(one.user for one in members if isinstance(one, Session))
        return found
