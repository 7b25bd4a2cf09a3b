"""All use cases of a process, put together."""

from collections.abc import Callable
from dataclasses import dataclass

from chat.usecases.access import Access
from chat.usecases.arrivals import Arrivals
from chat.usecases.blocks import BlockLists, Blocks
from chat.usecases.changing import Changing
from chat.usecases.clientstates import ClientStates, States
from chat.usecases.conversations import Conversations
from chat.usecases.devices import Devices, Endpoints
from chat.usecases.files import Uploading
from chat.usecases.hiding import Hiding
from chat.usecases.history import History
from chat.usecases.invites import Invites
from chat.usecases.membership import Membership
from chat.usecases.mentions import Mentions
from chat.usecases.messages import Messages
from chat.usecases.moderation import Moderation
from chat.usecases.notifying import Notifying
from chat.usecases.people import People
from chat.usecases.ports import Announcer, Holds, Limits, Online, Outdating
from chat.usecases.presence import Presence
from chat.usecases.reactions import Reacting
from chat.usecases.reading import ReadPositions
from chat.usecases.receipts import Receipts
from chat.usecases.ringing import Ringing, Trials
from chat.usecases.searching import Searching
from chat.usecases.sending import SendingRules, SlowMode
from chat.usecases.syncing import Syncing
from chat.usecases.threads import Threads
from chat.usecases.typing import Typing
from chat.usecases.unread import Unreads
from chat.usecases.uploads import Uploads
from chat.usecases.views import Views
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Service:
    access: Access
    arrivals: Arrivals
    messages: Messages
    changing: Changing
    conversations: Conversations
    membership: Membership
    moderation: Moderation
    invites: Invites
    blocks: Blocks
    reacting: Reacting
    threads: Threads
    history: History
    searching: Searching
    reading: ReadPositions
    receipts: Receipts
    unreads: Unreads
    mentions: Mentions
    people: People
    presence: Presence
    typing: Typing
    syncing: Syncing
    uploads: Uploads
    devices: Devices
    notifying: Notifying
    client_states: ClientStates
    ringing: Ringing


def build_service(
    store: Store,
    access: Access,
    announcer: Announcer,
    outdating: Outdating,
    block_lists: BlockLists,
    holds: Holds,
    online: Online,
    limits: Limits,
    uploading: Uploading,
    endpoints: Endpoints,
    states: States,
    trials: Trials,
    clock_ms: Callable[[], int],
    monotonic: Callable[[], float],
) -> Service:
    unreads = Unreads(store, block_lists, clock_ms)
    receipts = Receipts(store, access, block_lists, limits)
    mentions = Mentions(store, access, online, unreads, limits)
    presence = Presence(store, block_lists, announcer, online, limits, clock_ms)
    views = Views(store, unreads)
    uploads = Uploads(store, access, uploading, clock_ms)
    threads = Threads(store, access, announcer, views, clock_ms, monotonic)
    rules = SendingRules(store, block_lists, SlowMode(holds, monotonic))
    hiding = Hiding(store, access, announcer, clock_ms)
    membership = Membership(store, access, announcer, views, receipts, limits, clock_ms)
    return Service(
        access=access,
        arrivals=Arrivals(store, limits, clock_ms),
        messages=Messages(store, access, rules, threads, mentions, hiding, uploads, limits, clock_ms),
        changing=Changing(store, access, rules, mentions, hiding, uploads, limits, clock_ms),
        conversations=Conversations(store, access, announcer, views, limits, clock_ms),
        membership=membership,
        moderation=Moderation(store, access, announcer, membership, limits, clock_ms),
        invites=Invites(store, access, membership, views, clock_ms),
        blocks=Blocks(store, block_lists, announcer, outdating, limits, clock_ms),
        reacting=Reacting(store, access, clock_ms),
        threads=threads,
        history=History(store, access, hiding),
        searching=Searching(store, access, hiding),
        reading=ReadPositions(store, access, announcer, receipts, unreads, limits, clock_ms),
        receipts=receipts,
        unreads=unreads,
        mentions=mentions,
        people=People(store, access, announcer, presence, limits, clock_ms),
        presence=presence,
        typing=Typing(access, block_lists, announcer, clock_ms, monotonic),
        syncing=Syncing(store, unreads),
        uploads=uploads,
        devices=Devices(store, endpoints, clock_ms),
        notifying=Notifying(store, clock_ms),
        client_states=ClientStates(states),
        ringing=Ringing(store, trials, clock_ms),
    )
