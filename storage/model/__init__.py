"""The records of the product: pure data, no I/O, no clock, no randomness. Times are integer milliseconds UTC."""

from storage.model.block import Block
from storage.model.changes import Change, image, imaged
from storage.model.conversation import Conversation, ConversationKind, ConversationSettings, LastMessage
from storage.model.device import Device, DeviceKeys, DeviceState, address_digest, device_id
from storage.model.entry import Appended, AppendOutcome, Entry, EntryKind, NewEntry
from storage.model.invite import Invite
from storage.model.marks import Marked, Marks, marked
from storage.model.member import Member, Membership, Preferences, Role
from storage.model.notifying import ContentMode, Notify, PushPreferences, QuietHours
from storage.model.position import ORIGIN, Position
from storage.model.push_app import PushApp, push_app_key
from storage.model.restriction import Restriction, RestrictionKind, restriction_key
from storage.model.upload import Upload, UploadState, uploads_of
from storage.model.user import Privacy, User

__all__ = [
    "ORIGIN",
    "AppendOutcome",
    "Appended",
    "Block",
    "Change",
    "ContentMode",
    "Conversation",
    "ConversationKind",
    "ConversationSettings",
    "Device",
    "DeviceKeys",
    "DeviceState",
    "Entry",
    "EntryKind",
    "Invite",
    "LastMessage",
    "Marked",
    "Marks",
    "Member",
    "Membership",
    "NewEntry",
    "Notify",
    "Position",
    "Preferences",
    "Privacy",
    "PushApp",
    "PushPreferences",
    "QuietHours",
    "Restriction",
    "RestrictionKind",
    "Role",
    "Upload",
    "UploadState",
    "User",
    "address_digest",
    "device_id",
    "image",
    "imaged",
    "marked",
    "push_app_key",
    "restriction_key",
    "uploads_of",
]
