"""All use cases of a process, put together."""

from collections.abc import Callable
from dataclasses import dataclass

from chat.usecases.access import Access
from chat.usecases.arrivals import Arrivals
from chat.usecases.conversations import Conversations
from chat.usecases.history import History
from chat.usecases.membership import Membership
from chat.usecases.messages import Messages
from chat.usecases.people import People
from chat.usecases.ports import Announcer, Limits, Online
from chat.usecases.reading import ReadPositions
from chat.usecases.syncing import Syncing
from chat.usecases.views import Views
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Service:
    access: Access
    arrivals: Arrivals
    messages: Messages
    conversations: Conversations
    membership: Membership
    history: History
    reading: ReadPositions
    people: People
    syncing: Syncing


def build_service(
    store: Store,
    access: Access,
    announcer: Announcer,
    online: Online,
    limits: Limits,
    clock_ms: Callable[[], int],
) -> Service:
    views = Views(store)
    return Service(
        access=access,
        arrivals=Arrivals(store, limits, clock_ms),
        messages=Messages(store, access, limits, clock_ms),
        conversations=Conversations(store, access, announcer, views, limits, clock_ms),
        membership=Membership(store, access, announcer, views, limits, clock_ms),
        history=History(store, access),
        reading=ReadPositions(store, access, announcer, clock_ms),
        people=People(store, access, announcer, online, limits, clock_ms),
        syncing=Syncing(store),
    )
