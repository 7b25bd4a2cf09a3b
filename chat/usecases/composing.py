"""What a request says becomes the body of a message. Everything raises ClientError that names field and rule."""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from chat.usecases.access import Access, foreign
from chat.usecases.checking import check_json, check_size, checked_custom
from chat.usecases.failures import Unseen, told
from chat.usecases.hiding import Hiding
from chat.usecases.ports import Limits
from chat.usecases.rights import Right
from chat.usecases.uploads import Uploads
from chat.vocabulary.messages import ForwardOf, MessageEdit, MessageSend
from chat.vocabulary.types import CONTENT_TYPE
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import Entry, EntryKind
from storage.store import Store

_CONTENT_TYPE: Final = re.compile(CONTENT_TYPE)
_CARRIED: Final = ("text", "content", "attachments", "custom")
"""What a forwarded message takes along."""


class Composer:
    """What of a message has to be looked up before it is sent."""

    def __init__(self, store: Store, access: Access, hiding: Hiding, uploads: Uploads) -> None:
        self._store = store
        self._access = access
        self._hiding = hiding
        self._uploads = uploads

    async def looked_up(self, user: str, request: MessageSend) -> Mapping[str, Any]:
        """What a reply and a forward add to the body. Costs nothing where the request is neither."""
        if request.reply_to is not UNSET:
            target = await self._message(request.conversation, request.reply_to)
            if target is None or "deleted_at" in target.body:
                raise ClientError(
                    codes.BAD_REQUEST, "must be the offset of a message of this conversation, not deleted", "reply_to"
                )
        return {} if request.forward is UNSET else await self._forwarded(user, request.forward)

    async def _forwarded(self, user: str, forward: ForwardOf) -> Mapping[str, Any]:
        """The source's part of a body, with where it was said first."""
        try:
            standing = await self._access.require(user, forward.conversation, Right.READ)
        except Unseen:
            raise Unseen(foreign().detail, "forward.conversation") from None
        source = await self._message(forward.conversation, forward.offset)
        hidden = await self._hiding.is_hidden(user, standing, forward.conversation, forward.offset)
        if source is None or "deleted_at" in source.body or hidden:
            raise Unseen("there is no message at this offset", "forward.offset")
        first = {
            "conversation": source.conversation,
            "offset": source.offset,
            "sender": source.by,
            "created_at": source.at,
        }
        carried = {name: source.body[name] for name in _CARRIED if name in source.body}
        await self._uploads.forwarded(carried.get("attachments", ()))
        return {**carried, "forwarded": source.body.get("forwarded", first)}

    async def _message(self, conversation: str, offset: int) -> Entry | None:
        with told():
            entry = await self._store.log.get(conversation, offset)
        return entry if entry is not None and entry.kind is EntryKind.MESSAGE_CREATED else None


def message_body(request: MessageSend, limits: Limits) -> Mapping[str, Any]:
    """What of a request is stored as it is."""
    body: dict[str, Any] = {}
    if request.forward is not UNSET:
        _check_forward(request)
    elif not request.text and request.content is UNSET and not request.attachments:
        raise ClientError(codes.BAD_REQUEST, "give a text, a content or attachments", "text")
    if request.text:
        body["text"] = _checked_text(request.text, limits)
    if request.content is not UNSET:
        body["content"] = _checked_content(request.content, limits)
    if request.reply_to is not UNSET:
        body["reply_to"] = request.reply_to
    if request.attachments:
        body["attachments"] = _checked_attachments(request.attachments, limits)
    if custom := checked_custom(request.custom, limits):
        body["custom"] = custom
    return body


def edited_fields(request: MessageEdit, limits: Limits) -> Mapping[str, Any]:
    """The fields of a body that an edit sets without looking anything up; a value of None takes the field away."""
    fields: dict[str, Any] = {}
    if request.text is not UNSET:
        fields["text"] = _checked_text(request.text, limits) or None
    if request.content is not UNSET:
        fields["content"] = None if request.content is None else _checked_content(request.content, limits)
    if request.attachments is not UNSET:
        fields["attachments"] = _checked_attachments(request.attachments, limits) or None
    if request.custom is not UNSET:
        fields["custom"] = checked_custom(request.custom, limits) or None
    if not fields and request.mentions is UNSET and request.mentions_group is UNSET:
        raise ClientError(codes.BAD_REQUEST, "give something to change", "text")
    return fields


def _check_forward(request: MessageSend) -> None:
    """It is sent on as it is: what it says is not the request's to say."""
    for name, given in (
        ("text", bool(request.text)),
        ("content", request.content is not UNSET),
        ("attachments", bool(request.attachments)),
        ("custom", request.custom is not UNSET),
    ):
        if given:
            raise ClientError(codes.BAD_REQUEST, "is taken from the forwarded message", name)


def _checked_text(text: str, limits: Limits) -> str:
    check_size(len(text.encode(errors="surrogatepass")), limits.message_text_bytes, "text")
    return text


def _checked_content(content: dict[str, Any], limits: Limits) -> dict[str, Any]:
    kind = content.get("type")
    if not isinstance(kind, str) or _CONTENT_TYPE.fullmatch(kind) is None:
        raise ClientError(codes.BAD_REQUEST, "must be 1–64 characters of a-z, 0-9 and ._-", "content.type")
    check_json(content, limits.content_bytes, "content")
    return content


def _checked_attachments(attachments: list[dict[str, Any]], limits: Limits) -> list[dict[str, Any]]:
    check_json(attachments, limits.content_bytes, "attachments")
    return attachments
