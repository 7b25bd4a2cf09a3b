"""The records of the product: pure data, no I/O, no clock, no randomness. Times are integer milliseconds UTC."""

from storage.model.conversation import Conversation, ConversationKind, LastMessage
from storage.model.entry import Appended, Entry, EntryKind, NewEntry
from storage.model.member import Member, Membership, Role
from storage.model.position import ORIGIN, Position
from storage.model.user import User

__all__ = [
    "ORIGIN",
    "Appended",
    "Conversation",
    "ConversationKind",
    "Entry",
    "EntryKind",
    "LastMessage",
    "Member",
    "Membership",
    "NewEntry",
    "Position",
    "Role",
    "User",
]
