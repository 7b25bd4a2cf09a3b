"""Who is a member of what: the one place where access is checked.

Memberships are cached per conversation. The cache is exact for writing: whoever appends has examined every entry of the
log up to the tail, and an examined membership entry drops what was cached before it, so that a send is decided by the
membership at its own place in the log. For reading it may be late by as long as the notice of a change takes; while
there can be none, or one may have been lost, by as long as `Freshness` says.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from chat.usecases.failures import Unseen, told
from chat.usecases.freshness import Freshness
from chat.usecases.rights import WRITING, Right, allowed
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import ConversationKind, ConversationSettings, Entry, EntryKind, Role
from storage.store import Store, clock_ms

MAX_CONVERSATIONS: Final = 20_000
MAX_STANDINGS: Final = 100_000

_MEMBERSHIP: Final = (EntryKind.MEMBER_JOINED, EntryKind.MEMBER_LEFT, EntryKind.MEMBER_CHANGED)


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides about a conversation besides who is in it. `peers`: the two users of a direct one.

    `members_count` is as old as the look-up.
    """

    kind: ConversationKind
    settings: ConversationSettings
    peers: tuple[str, str] | None
    members_count: int
    known_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What a user is in a conversation. Compared by identity: another object was looked up at another time.

    `upto` is how far the log was known to reach when it was looked up: what is there is in it. `muted_until`: a
    moderator lets the user write only after it. `hides`: there are messages that the user has deleted for themselves.
    In a thread it is the standing in the conversation that it belongs to (`of`), whose facts it has.
    """

    kind: ConversationKind
    role: Role
    known_at: float
    upto: int
    facts: Facts
    muted_until: int | None = None
    hides: bool = False
    of: "Standing | None" = None


@dataclass(slots=True, eq=False)
class _LookUp:
    """A look-up on its way, begun with the log at `upto`. `outdated`: something changed meanwhile, its answer is not to
    be remembered.
    """

    upto: int
    outdated: bool = False


def foreign() -> ClientError:
    """The one answer for conversations of others and for those that do not exist: they cannot be told apart."""
    return Unseen("no such conversation, or not a member of it", "conversation")


class Access:
    """Looks up and remembers standings.

    Bounds: the `MAX_CONVERSATIONS` that were used last, `MAX_STANDINGS` in all of them; beyond them it asks again. What
    was not used for longest goes first; of a single conversation, what was looked up first.
    """

    def __init__(
        self,
        store: Store,
        monotonic: Callable[[], float],
        clock_ms: Callable[[], int] = clock_ms,
        freshness: Freshness | None = None,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._freshness = freshness or Freshness(monotonic)
        self._clock_ms = clock_ms
        self._facts: OrderedDict[str, Facts] = OrderedDict()
        self._standings: OrderedDict[str, dict[str, Standing]] = OrderedDict()
        self._remembered = 0
        self._looking: dict[str, set[_LookUp]] = {}

    async def require(self, user: str, conversation: str, right: Right) -> Standing:
        """The user's standing, if it gives the right. Raises ClientError: foreign, or what `demand` raises."""
        standing = await self.standing(user, conversation)
        if standing is None:
            raise foreign()
        self.demand(standing, right)
        return standing

    def demand(self, standing: Standing, right: Right) -> None:
        """Raises ClientError where the role does not give the right, or who would write is muted."""
        if not allowed(right, standing.kind, standing.role):
            raise ClientError(
                codes.PERMISSION_DENIED, f"a {standing.role} of a {standing.kind} may not {right}", "conversation"
            )
        if right in WRITING and standing.muted_until is not None and standing.muted_until > self._clock_ms():
            raise ClientError(
                codes.PERMISSION_DENIED, f"muted here, muted_until is {standing.muted_until}", "conversation"
            )

    async def standing(self, user: str, conversation: str) -> Standing | None:
        """What the user is there; None for no member. Raises ClientError when it cannot be known.

        Of a thread's id this says nothing about whether there is the message that it would be below.
        """
        parent = parent_of(conversation)
        if parent is not None:
            return _in_thread(self.cached(user, parent) or await self._look_up(user, parent))
        return self.cached(user, conversation) or await self._look_up(user, conversation)

    def cached(self, user: str, conversation: str) -> Standing | None:
        members = self._standings.get(conversation)
        if members is None:
            return None
        standing = members.get(user)
        if standing is None or not self._freshness.holds(standing.known_at):
            return None
        self._standings.move_to_end(conversation)
        return standing

    def still(self, user: str, conversation: str, standing: Standing) -> bool:
        """Whether nothing has been heard since that could have changed the standing."""
        members = self._standings.get(parent_of(conversation) or conversation)
        return members is not None and members.get(user) is (standing.of or standing)

    def check(self, conversation: str, standings: Mapping[str, Standing]) -> Callable[[], bool]:
        """To be asked when a change has its place in the log: whether it may still be decided by these standings."""
        return lambda: all(self.still(user, conversation, standing) for user, standing in standings.items())

    def forget(self, conversation: str, users: Iterable[str] | None = None) -> None:
        """Drop what is cached of a conversation, of these users or of all, and what is just being looked up."""
        for look_up in self._looking.get(conversation, ()):
            look_up.outdated = True
        members = self._standings.get(conversation)
        if members is None:
            return
        if users is None:
            del self._standings[conversation]
            self._remembered -= len(members)
            self._facts.pop(conversation, None)
            return
        for user in users:
            self._drop(members, user)

    def examined(self, conversation: str, entries: Iterable[Entry]) -> None:
        """Entries of the log were seen: drop what they may have changed since it was looked up."""
        for entry in entries:
            if entry.kind in _MEMBERSHIP:
                self._changed(conversation, entry)
            elif entry.kind is EntryKind.CONVERSATION_UPDATED and "settings" in entry.body:
                self._facts.pop(conversation, None)
                for look_up in self._looking.get(conversation, ()):
                    look_up.outdated = look_up.outdated or look_up.upto < entry.offset
                members = self._standings.get(conversation, {})
                for user, standing in list(members.items()):
                    if standing.upto < entry.offset:
                        self._drop(members, user)

    def _changed(self, conversation: str, entry: Entry) -> None:
        for look_up in self._looking.get(conversation, ()):
            look_up.outdated = look_up.outdated or look_up.upto < entry.offset
        members = self._standings.get(conversation, {})
        for user in changed_users(entry):
            standing = members.get(user)
            if standing is not None and standing.upto < entry.offset:
                self._drop(members, user)

    async def _look_up(self, user: str, conversation: str) -> Standing | None:
        tail = self._store.appender.tail(conversation)
        look_up = _LookUp(0 if tail is None else tail.offset)
        running = self._looking.setdefault(conversation, set())
        running.add(look_up)
        try:
            standing = await self._read(user, conversation, look_up.upto)
        finally:
            running.discard(look_up)
            if not running:
                self._looking.pop(conversation, None)
        if standing is None or look_up.outdated:
            return standing
        # Somebody else may have looked it up meanwhile: theirs stays, or what they queued on it would be decided anew.
        known = self.cached(user, conversation)
        if known is None:
            self._remember(user, conversation, standing)
        return known or standing

    async def _read(self, user: str, conversation: str, upto: int) -> Standing | None:
        known_at = self._monotonic()
        with told():
            # Asked first, so that it takes strangers as long to hear of what there is as of what there is not.
            member = await self._store.members.get(conversation, user)
            if member is None or not member.live:
                return None
            facts = self._facts.get(conversation)
            if facts is None or not self._freshness.holds(facts.known_at):
                record = await self._store.conversations.get(conversation)
                if record is None:
                    return None
                facts = Facts(record.kind, record.settings, record.peers, record.members_count, known_at)
                self._remember_facts(conversation, facts)
        return Standing(facts.kind, member.role, known_at, upto, facts, member.muted_until, member.hides)

    def _remember(self, user: str, conversation: str, standing: Standing) -> None:
        members = self._standings.setdefault(conversation, {})
        self._drop(members, user)
        members[user] = standing
        self._remembered += 1
        self._standings.move_to_end(conversation)
        while len(self._standings) > MAX_CONVERSATIONS or (
            self._remembered > MAX_STANDINGS and len(self._standings) > 1
        ):
            self._remembered -= len(self._standings.popitem(last=False)[1])
        while self._remembered > MAX_STANDINGS:
            self._drop(members, next(iter(members)))

    def _drop(self, members: dict[str, Standing], user: str) -> None:
        if members.pop(user, None) is not None:
            self._remembered -= 1

    def _remember_facts(self, conversation: str, facts: Facts) -> None:
        self._facts[conversation] = facts
        while len(self._facts) > MAX_CONVERSATIONS:
            self._facts.popitem(last=False)


def parent_of(conversation: str) -> str | None:
    """The conversation that a thread belongs to; None for any other conversation."""
    parent, tilde, _ = conversation.partition("~")
    return parent if tilde else None


def _in_thread(standing: Standing | None) -> Standing | None:
    if standing is None:
        return None
    return replace(standing, kind=ConversationKind.THREAD, of=standing)


def changed_users(entry: Entry) -> list[str]:
    """The users whose membership an entry is about."""
    if entry.kind is EntryKind.MEMBER_JOINED:
        return [member["user"] for member in entry.body["members"]]
    if entry.kind in _MEMBERSHIP:
        return [entry.body["user"]]
    return []
