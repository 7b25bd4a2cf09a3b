"""Invites: what the methods take and return."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.types import ConversationId

DEFAULT_EXPIRY_S: Final = 604_800
MAX_EXPIRY_S: Final = 31_536_000

InviteId: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z2-7]{26}$(?!\n)")]
InviteCode: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="as `invite.create` gave it")]


class InviteCreate(Struct, frozen=True):
    """Good for a week unless `expires_in_s` says otherwise; 0: for ever. `role` is below the inviter's own: without it
    one comes as a member, into a channel as a reader.
    """

    conversation: ConversationId
    expires_in_s: Annotated[int, Meta(ge=0, le=MAX_EXPIRY_S)] = DEFAULT_EXPIRY_S
    max_uses: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    role: Literal["admin", "moderator", "member", "reader"] | UnsetType = UNSET


class InviteList(Struct, frozen=True):
    conversation: ConversationId


class InviteRevoke(Struct, frozen=True):
    """`invite` is the `id` of one."""

    conversation: ConversationId
    invite: InviteId


class InviteGet(Struct, frozen=True):
    code: InviteCode


class InviteAccept(Struct, frozen=True):
    code: InviteCode


class Invite(Struct, frozen=True, omit_defaults=True):
    """`code` is told once, to who creates it. `uses` counts who came by it; no more than `max_uses` do, none from
    `expires_at` on.
    """

    id: str
    conversation: str
    by: str
    role: str
    created_at: int
    uses: int
    code: str | None = None
    expires_at: int | None = None
    max_uses: int | None = None


class InviteResult(Struct, frozen=True):
    invite: Invite


class InvitesResult(Struct, frozen=True):
    """Oldest first; only those by which somebody may still come."""

    invites: list[Invite]


class InvitePreview(Struct, frozen=True):
    """What whoever has the code may know of the conversation."""

    kind: str
    title: str
    avatar_url: str
    members_count: int
