"""The records of the product: pure data, no I/O, no clock, no randomness. Times are integer milliseconds UTC."""

from storage.model.block import Block
from storage.model.changes import Change, image, imaged
from storage.model.conversation import Conversation, ConversationKind, ConversationSettings, LastMessage
from storage.model.entry import Appended, Entry, EntryKind, NewEntry
from storage.model.invite import Invite
from storage.model.marks import Marked, Marks, marked
from storage.model.member import Member, Membership, Preferences, Role
from storage.model.position import ORIGIN, Position
from storage.model.restriction import Restriction, RestrictionKind, restriction_key
from storage.model.upload import Upload, UploadState, uploads_of
from storage.model.user import Privacy, User

__all__ = [
    "ORIGIN",
    "Appended",
    "Block",
    "Change",
    "Conversation",
    "ConversationKind",
    "ConversationSettings",
    "Entry",
    "EntryKind",
    "Invite",
    "LastMessage",
    "Marked",
    "Marks",
    "Member",
    "Membership",
    "NewEntry",
    "Position",
    "Preferences",
    "Privacy",
    "Restriction",
    "RestrictionKind",
    "Role",
    "Upload",
    "UploadState",
    "User",
    "image",
    "imaged",
    "marked",
    "restriction_key",
    "uploads_of",
]
