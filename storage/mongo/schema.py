"""The layout of the database as data: collections, how they are stored, their indexes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo import ASCENDING

SCHEMA_VERSION: Final = 3

MESSAGES: Final = "messages"
CONVERSATIONS: Final = "conversations"
MEMBERS: Final = "members"
USERS: Final = "users"
META: Final = "meta"
REACTIONS: Final = "reactions"
DUE: Final = "due"
HIDDEN: Final = "hidden"
BLOCKS: Final = "blocks"
INVITES: Final = "invites"
UPLOADS: Final = "uploads"
RESTRICTIONS: Final = "restrictions"
DEVICES: Final = "devices"
PUSH_APPS: Final = "push_apps"
PUSH_PREFERENCES: Final = "push_preferences"
PUSH_JOBS: Final = "push_jobs"
PUSH_DEAD: Final = "push_dead"
PUSH_TRACES: Final = "push_traces"
PUSH_PAUSES: Final = "push_pauses"

_ZSTD: Final = {"wiredTiger": {"configString": "block_compressor=zstd"}}


@dataclass(frozen=True, slots=True)
class Index:
    """An index. `partial` is its filter: only documents that match are in it. `removes`: the server removes a document
    when the date in it is over.
    """

    name: str
    keys: tuple[str, ...]
    unique: bool = False
    partial: Mapping[str, Any] | None = None
    storage: Mapping[str, Any] | None = None
    removes: bool = False

    @property
    def pattern(self) -> dict[str, int]:
        """The keys as MongoDB states them."""
        return dict.fromkeys(self.keys, ASCENDING)


@dataclass(frozen=True, slots=True)
class Layout:
    """A collection. `clustered`: stored in the order of its `_id`, which can only be said when it is created."""

    name: str
    clustered: bool = False
    storage: Mapping[str, Any] | None = None
    indexes: tuple[Index, ...] = field(default=())

    @property
    def creation(self) -> dict[str, Any]:
        """Options of the `create` command."""
        options: dict[str, Any] = {}
        if self.clustered:
            options["clusteredIndex"] = {"key": {"_id": 1}, "unique": True}
        if self.storage is not None:
            options["storageEngine"] = self.storage
        return options


KEY_INDEX: Final = "key"
"""The index that makes a second entry with the same idempotency key impossible. Sharding is by its prefix."""

EXPIRES: Final = "expires"
RETENTION: Final = "retention"
OLDEST: Final = "oldest_at"
MENTIONS_OF_CONVERSATION: Final = "meant"
MENTIONS_BY_TIME: Final = "meant_at"

FOLLOWED: Final = "followed"

LAYOUTS: Final = (
    Layout(
        MESSAGES,
        clustered=True,
        storage=_ZSTD,
        # Each entry of the index repeats the conversation twice and the sender: compressed it takes a third.
        indexes=(
            Index(KEY_INDEX, ("c", "u", "k"), unique=True, storage=_ZSTD),
            # Only messages that mention somebody, or expire, are in these.
            # With the sender, so that counting whose mentions count reads no message.
            Index(MENTIONS_OF_CONVERSATION, ("c", "w", "_id", "u"), partial={"w": {"$exists": True}}),
            Index(MENTIONS_BY_TIME, ("w", "t", "_id"), partial={"w": {"$exists": True}}),
            Index(EXPIRES, ("e",), partial={"e": {"$exists": True}}),
            Index("uploads", ("f", "_id"), partial={"f": {"$exists": True}}),
        ),
    ),
    # "<key of the message>|<reaction>|<user>": the reactions to a message lie together.
    Layout(REACTIONS, clustered=True, storage=_ZSTD, indexes=(Index("user", ("message", "user"), storage=_ZSTD),)),
    # "<kind>|<key of the message>|<token>": what a summary in the message does not have yet, see due.py.
    Layout(DUE, indexes=(Index("at", ("at",)),)),
    # "<user>|<key of the message>"
    Layout(HIDDEN, indexes=(Index("user", ("user", "revision")),)),
    # "<length of the user's id>:<user><blocked user>": both may contain anything that could stand between them.
    Layout(BLOCKS, indexes=(Index("user", ("user", "revision")), Index("blocked", ("blocked",)))),
    # The digest of its code.
    Layout(INVITES, indexes=(Index("conversation", ("conversation", "created_at")),)),
    Layout(
        UPLOADS,
        indexes=(
            Index("look_at", ("look_at",)),
            Index("user", ("user", "at")),
            Index("key", ("user", "key"), unique=True, partial={"key": {"$exists": True}}),
        ),
    ),
    Layout(
        CONVERSATIONS,
        indexes=(
            Index("external_id", ("external_id",), unique=True, partial={"external_id": {"$exists": True}}),
            Index(
                "idempotency_key",
                ("created_by", "idempotency_key"),
                unique=True,
                partial={"idempotency_key": {"$exists": True}},
            ),
            Index("summary_at", ("summary_at", "_id")),
            Index("parent", ("parent", "_id"), partial={"parent": {"$exists": True}}),
            # With a retention of its own; and by the age of the log, for the one that all others have.
            Index(RETENTION, ("settings.retention_s",), partial={"settings.retention_s": {"$exists": True}}),
            Index(OLDEST, ("oldest_at",)),
        ),
    ),
    Layout(
        MEMBERS,
        indexes=(
            Index("user", ("user", "revision")),
            # To see in a conversation of any size whether somebody else owns it too.
            Index("owner", ("conversation",), partial={"role": "owner"}),
            Index("banned", ("conversation", "user"), partial={"banned_at": {"$exists": True}}),
            # Only threads are in it.
            Index(FOLLOWED, ("user", "joined_at"), partial={"parent": {"$exists": True}}),
        ),
    ),
    Layout(USERS),
    # See `storage.model.restriction_key`.
    Layout(
        RESTRICTIONS, indexes=(Index("revision", ("revision",)), Index("expires_at", ("expires_at",), removes=True))
    ),
    # See `storage.model.device.device_id`.
    Layout(
        DEVICES,
        indexes=(
            # All of an address that is in any index.
            Index("digest", ("digest",), unique=True),
            Index("user", ("user", "confirmed_at")),
            Index("confirmed_at", ("state", "confirmed_at")),
            Index("ended", ("provider", "app", "ended_at"), partial={"ended_at": {"$exists": True}}),
            Index("forget_at", ("forget_at",), removes=True),
        ),
    ),
    # See `storage.model.push_app.push_app_key`.
    Layout(PUSH_APPS, indexes=(Index("app", ("provider", "app")),)),
    # The user.
    Layout(PUSH_PREFERENCES),
    # "<device>|<conversation>", see push_jobs.py. Only rows that have a job are in the index of what is due, and only
    # those whose notification is on the screen in the one of what is shown.
    Layout(
        PUSH_JOBS,
        indexes=(
            Index("due", ("lane", "due"), partial={"due": {"$gt": 0}}),
            Index("shown", ("conversation", "shown"), partial={"shown": {"$gt": 0}}),
            Index("leased", ("conversation",), partial={"lease": {"$gt": 0}}),
            Index("user", ("user", "conversation")),
            Index("rang", ("device", "rang")),
            Index("forget_at", ("forget_at",), removes=True),
        ),
    ),
    # "<device>|<conversation>|<upto>"
    Layout(PUSH_DEAD, indexes=(Index("lane", ("lane",)), Index("forget_at", ("forget_at",), removes=True))),
    Layout(
        PUSH_TRACES,
        storage=_ZSTD,
        indexes=(
            Index("message", ("conversation", "upto", "at")),
            Index("user", ("user", "at")),
            Index("device", ("device", "at")),
            Index("forget_at", ("forget_at",), removes=True),
        ),
    ),
    # See push_pauses.py.
    Layout(PUSH_PAUSES, indexes=(Index("until", ("until",)), Index("forget_at", ("forget_at",), removes=True))),
    Layout(META),
)
