"""What planner and dispatcher need of others. The stores of devices, members and preferences fit as they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chat.push.policy import DeviceState
from chat.push.sending import Address, Lane, Provider, Sender, WebKeys
from chat.push.words import Attached
from storage.model import ConversationKind, Member
from storage.model.device import Device, EnvironmentName
from storage.model.notifying import Notify, PushPreferences
from storage.model.push import Trace


class Devices(Protocol):
    """Where users are reached. Every method may raise StorageError. See `storage.mongo.devices`."""

    async def get(self, device: str) -> Device | None:
        """A tombstone as well."""

    async def of_users(self, users: Collection[str]) -> Mapping[str, Sequence[Device]]:
        """The active ones."""

    async def tombstone(self, device: Device, *, reason: str, at: int, since: int | None = None) -> bool:
        """`device` as it was sent to. False: it is another one by now, or was confirmed after `since`."""

    async def flip(self, device: Device, environment: EnvironmentName) -> bool:
        """It was reached in this environment."""

    async def succeeded(self, device: Device) -> None:
        """An attempt went well."""


class Members(Protocol):
    """Who is in a conversation. Every method may raise StorageError. See `storage.mongo.members`."""

    async def page(self, conversation: str, *, after: str = "", limit: int) -> list[Member]:
        """Live members with ids above `after`, by id."""

    async def get(self, conversation: str, user: str) -> Member | None:
        """One of them; look at `live`."""


class Preferences(Protocol):
    """What users want to be rung for. Every method may raise StorageError. See `storage.mongo.notifying`."""

    async def of_users(self, users: Collection[str]) -> Mapping[str, PushPreferences]:
        """Of each of them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One that is unread. `mentions`: the user, or everyone. `deleted`: there is nothing of it left. `attached`: what
    it is without a text.
    """

    offset: int
    at: int
    by: str
    name: str = ""
    text: str = ""
    mentions: bool = False
    deleted: bool = False
    attached: Attached = "file"


@dataclass(frozen=True, slots=True)
class Unread:
    """What a conversation is to a user now. `messages` are the newest unread ones, ascending, the user's own and the
    deleted ones included; `more`: there are older ones. `badge` counts what is unread anywhere, `blocked` is whom the
    user blocks. `muted_until` and `notify` are what the user wants of this conversation.
    """

    user: str
    conversation: str
    kind: ConversationKind
    title: str
    members_count: int
    member: bool
    read: int
    messages: tuple[Message, ...]
    more: bool = False
    badge: int = 0
    muted_until: int | None = None
    notify: Notify | None = None
    blocked: frozenset[str] = frozenset()


class Traces(Protocol):
    """See `storage.mongo.push_traces.PushTraces`."""

    async def write(self, traces: Sequence[Trace]) -> None:
        """Keep them. May raise StorageError, and may then be called again with the same."""


class Unreads(Protocol):
    """The one source of truth of what is told."""

    async def of(self, user: str, conversation: str) -> Unread | None:
        """As it is now; None: there is no such conversation. May raise StorageError."""

    async def badge(self, user: str) -> int:
        """How much is unread anywhere. May raise StorageError."""


@dataclass(frozen=True, slots=True)
class Group:
    """What the planner needs to know of a conversation. `peers`: the two of a direct one."""

    kind: ConversationKind
    members_count: int
    peers: tuple[str, str] | None = None


class Groups(Protocol):
    async def of(self, conversation: str) -> Group | None:
        """None: there is none. May raise StorageError."""


class States(Protocol):
    """What devices do just now."""

    async def of(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        """By device id, as far as anything is known. Raises ConnectionError or TimeoutError when it cannot be: then
        everybody counts as gone, as a push too many is better than none.
        """


class Senders(Protocol):
    """The senders of this process, by lane."""

    def of(self, lane: Lane) -> Sender | None:
        """None: nobody has set this lane up."""


def lane_name(lane: Lane) -> str:
    """As jobs have it. Apps may be called anything, so they come last."""
    return f"{lane.provider.value}|{lane.environment}|{lane.app}"


def lane_of(device: Device) -> Lane:
    """Where the device's pushes go."""
    return Lane(Provider(device.provider), device.app, device.environment)


def address_of(device: Device) -> Address:
    """Where its pushes go, in the senders' words."""
    keys = device.keys
    return Address(
        device=device.id,
        provider=Provider(device.provider),
        app=device.app,
        kind=device.address_kind,
        value=device.address,
        environment=device.environment,
        keys=None if keys is None else WebKeys(keys.p256dh, keys.auth),
        confirmed_at=device.confirmed_at,
        vapid_key=device.vapid_key,
    )


def named_lane(name: str) -> Lane:
    """The lane of that name. Raises ValueError for what is none."""
    provider, environment, app = name.split("|", 2)
    if environment != "sandbox":
        return Lane(Provider(provider), app)
    return Lane(Provider(provider), app, "sandbox")
