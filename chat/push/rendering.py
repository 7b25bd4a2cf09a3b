"""What a notification says: from what is unread when it is sent, never from what was when it was planned. Pure."""

import base64
import hashlib
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from chat.push.ports import Message, Unread
from chat.push.sending import COLLAPSE_ID_LENGTH, SILENT, Content, Kind, Notification, WebKeys
from chat.push.words import USUAL, Words, words_for
from storage.model import ConversationKind
from storage.model.push import NUMBER

_JOBS: Final = uuid.UUID("7f9d1c3e-52a4-5b0e-9a63-0f2f1d6f8a11")
_ELLIPSIS: Final = "…"
_JOINER: Final = "\u200d"

Seal = Callable[[WebKeys, bytes], bytes]
"""For the device's keys, by RFC 8291."""


@dataclass(frozen=True, slots=True)
class RenderingSettings:
    """`deployment` keeps the ids of one installation apart from another's. `language` is that of devices that name none
    which there is. `link` is what a tap opens, with `{conversation}` in it. Sizes are bytes of UTF-8; providers cut
    more where they must.
    """

    deployment: str = "hubbub"
    language: str = USUAL
    link: str = ""
    title_bytes: int = 200
    body_bytes: int = 1000
    sealed_bytes: int = 2000


DEFAULT_SETTINGS: Final = RenderingSettings()


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be rendered. `told`: the unread messages that concern the user, ascending, not empty but for `clear`
    and `badge`. `upto`: the offset that this tells up to. `more`: there are older ones than those in `told`.
    `revision`: of what was told already, as messages were edited, deleted or read since. `content_keys`: the device's,
    for mode `encrypted`. `kept`: see `Notification`. `locale`: the device's.
    """

    device: str
    kind: Kind
    unread: Unread
    told: Sequence[Message]
    upto: int
    content: Content
    more: bool = False
    revision: int = 0
    content_keys: WebKeys | None = None
    kept: bool = True
    locale: str = ""


def number_alone(device: str, user: str, badge: int, revision: int) -> Telling:
    """What sets the number on a device's icon, and shows nothing. `revision`: another one for each."""
    kind, nothing = ConversationKind.DIRECT, ()
    unread = Unread(user, NUMBER, kind, "", members_count=0, member=True, read=0, messages=nothing, badge=badge)
    return Telling(device, Kind.BADGE, unread, nothing, 0, Content.ID_ONLY, revision=revision, kept=False)


class Sealed(msgspec.Struct, omit_defaults=True):
    """What only the device can read, in mode `encrypted`."""

    title: str
    body: str
    sender: str = ""
    conversation: str = ""
    upto: int = 0
    count: int = 0


def render(telling: Telling, settings: RenderingSettings = DEFAULT_SETTINGS, seal: Seal | None = None) -> Notification:
    """The same for the same telling: whoever sends it again does so under the same ids.

    In mode `encrypted` a device without keys, or a process without `seal`, gets what `generic` says.
    """
    unread = telling.unread
    content, sealed = telling.content, None
    visible = telling.kind in (Kind.ALERT, Kind.QUIET)
    if content is Content.ENCRYPTED:
        if visible and seal is not None and telling.content_keys is not None:
            sealed = seal(telling.content_keys, _sealed(telling, settings))
        else:
            content = Content.GENERIC
    title, body = _texts(telling, content, settings) if visible else ("", "")
    return Notification(
        kind=telling.kind,
        job_id=job_id(settings.deployment, telling),
        collapse_id=collapse_id(settings.deployment, unread.conversation),
        conversation=unread.conversation,
        upto=telling.upto,
        title=title,
        body=body,
        badge=unread.badge,
        sound=telling.kind is Kind.ALERT,
        content=content,
        actions=visible and content not in SILENT,
        group=_group(telling),
        link=settings.link.replace("{conversation}", unread.conversation) if unread.conversation else "",
        sealed=sealed,
        kept=telling.kept,
    )


def collapse_id(deployment: str, conversation: str) -> str:
    """One for each conversation: the next notification replaces what is shown. Says nothing of either."""
    digest = hashlib.blake2s(f"{deployment}|{conversation}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:COLLAPSE_ID_LENGTH]


def job_id(deployment: str, telling: Telling) -> str:
    """A UUID: the same for every attempt to tell this device of these messages in this way, in its `revision`."""
    # What replaces a banner without a sound is another thing to see than the banner.
    parts = (telling.device, telling.unread.conversation, telling.upto, telling.revision, telling.kind.value)
    return str(uuid.uuid5(_JOBS, "|".join((deployment, *map(str, parts)))))


def cut(text: str, max_bytes: int) -> str:
    """The longest beginning that takes at most `max_bytes` of UTF-8, an ellipsis included. It ends within no character,
    nor within what is seen as one.
    """
    encoded = text.encode(errors="replace")
    if len(encoded) <= max_bytes:
        return text
    room = max_bytes - len(_ELLIPSIS.encode())
    if room < 0:
        return ""
    kept = encoded[:room].decode(errors="ignore")
    at = len(kept)
    while at and _belongs_to_the_one_before(text, at):
        at -= 1
    return text[:at].rstrip() + _ELLIPSIS


def _belongs_to_the_one_before(text: str, at: int) -> bool:
    behind = text[at]
    return (
        _JOINER in (behind, text[at - 1])
        or unicodedata.category(behind) in ("Mn", "Me", "Mc")
        or 0x1F3FB <= ord(behind) <= 0x1F3FF  # the skin of the one before
    )


def _texts(telling: Telling, content: Content, settings: RenderingSettings) -> tuple[str, str]:
    words, last = words_for(telling.locale, settings.language), telling.told[-1]
    if content in SILENT:
        return words.generic_title, words.generic_body
    name = last.name or words.someone
    count = _count(telling, words)
    if content is Content.SENDER_ONLY:
        return cut(name, settings.title_bytes), count or words.one
    title, text = name, last.text or words.attached(last.attached)
    if telling.unread.kind is not ConversationKind.DIRECT:
        title, text = telling.unread.title or name, f"{name}: {text}"
    body = f"{count}\n{text}" if count else text
    return cut(title, settings.title_bytes), cut(body, settings.body_bytes)


def _count(telling: Telling, words: Words) -> str:
    """How many there are, where there are several."""
    n = len(telling.told)
    if n == 1 and not telling.more:
        return ""
    return words.count(n, more=telling.more)


def _sealed(telling: Telling, settings: RenderingSettings) -> bytes:
    title, body = _texts(telling, Content.FULL, settings)
    room = settings.sealed_bytes
    while True:
        encoded = msgspec.json.encode(
            Sealed(title, body, telling.told[-1].by, telling.unread.conversation, telling.upto, len(telling.told))
        )
        if len(encoded) <= room or not body:
            return encoded
        # JSON may take several bytes for one of UTF-8, so by what is too much, and at least one.
        body = cut(body, max(0, len(body.encode()) - max(1, len(encoded) - room)))


def _group(telling: Telling) -> Literal["direct", "mention", "group"]:
    if telling.unread.kind is ConversationKind.DIRECT:
        return "direct"
    return "mention" if any(message.mentions for message in telling.told) else "group"
