"""`publish` and `broadcast`: application events into channels, and messages into conversations."""

import asyncio
import uuid
from typing import Any, Final

import msgspec
from msgspec import UNSET

from chat.calls import Calls
from chat.channels import ChannelKind
from chat.http.deps import HttpDeps
from chat.http.server_api import requests
from chat.http.server_api.answering import answered, within
from chat.http.server_api.conversations import conversation_in
from chat.http.server_api.payloads import either
from chat.http.server_api.results import Broadcasted, Published, Reply
from chat.methods import METHODS, Decoder, invalid
from chat.vocabulary.messages import MessageSent
from realtime.ports import Delivery
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import Payload, Publication

AT_ONCE: Final = 64
"""Channels of one broadcast that are published to at the same time."""


class Publishing:
    def __init__(self, deps: HttpDeps, calls: Calls) -> None:
        self._deps = deps
        self._calls = calls
        self._decoder = Decoder()
        self._send = METHODS["message.send"]

    async def publish(self, request: requests.Publish) -> Published:
        """Raises ClientError: 102 unknown namespace, 107 not JSON, 108 what the channel does not have."""
        data = either(request.data, request.b64data, "data", max_bytes=self._deps.max_data_bytes)
        return await self._publish(request.channel, data, request)

    async def broadcast(self, request: requests.Broadcast) -> Broadcasted:
        """The same publication to several channels. Each succeeds or fails by itself."""
        data = either(request.data, request.b64data, "data", max_bytes=self._deps.max_data_bytes)
        responses: list[Reply] = []
        for start in range(0, len(request.channels), AT_ONCE):
            some = request.channels[start : start + AT_ONCE]
            responses += await asyncio.gather(
                *(answered(self._publish(channel, data, request), "broadcast") for channel in some)
            )
        return Broadcasted(responses)

    async def _publish(self, name: str, data: Payload, request: requests.Publish | requests.Broadcast) -> Published:
        if not data:
            raise ClientError(codes.BAD_REQUEST, "is required", "data")
        if request.version or request.version_epoch:
            raise ClientError(codes.NOT_AVAILABLE, "versions of publications are not kept", "version")
        channel, options = self._deps.plain.resolve(name)
        if channel.kind is ChannelKind.CONVERSATION:
            return await self._message(conversation_in(channel), data, request)
        publication = Publication(data=data, tags=request.tags)
        stream = None if options is None or request.skip_history else self._deps.plain.stream(options)
        if stream is not None:
            position = await self._deps.streams.publish(
                name, publication, stream, idempotency_key=request.idempotency_key
            )
            self._deps.engine.hub.count_published()
            return Published(position.offset, position.epoch)
        delivery = Delivery(name, "pub", publication)
        if request.idempotency_key:
            await self._deps.streams.publish_once(delivery, idempotency_key=request.idempotency_key)
            self._deps.engine.hub.count_published()
        else:
            self._deps.engine.hub.publish(delivery)
        return Published()

    async def _message(
        self, conversation: str, data: Payload, request: requests.Publish | requests.Broadcast
    ) -> Published:
        """A message by the `sender` in the data, who must be a member: what anybody could be told about who wrote it
        is true.
        """
        if request.tags or request.skip_history:
            raise ClientError(codes.NOT_AVAILABLE, "messages have no tags and are always kept", "tags")
        sender, fields = _message_fields(conversation, data, request.idempotency_key)
        with within("data"):
            bound = self._decoder.decode("message.send", msgspec.json.encode(fields))
            sent = await self._calls.run(sender, self._send, bound)
        if not isinstance(sent, MessageSent):
            raise TypeError(f"message.send gave {type(sent).__name__}")
        return Published(sent.message.offset, self._deps.store.epoch)


def _message_fields(conversation: str, data: Payload, key: str) -> tuple[str, dict[str, Any]]:
    """The sender and the parameters of `message.send`. Without any key the message gets one: it is sent once."""
    try:
        about = msgspec.json.decode(data, type=requests.ConversationPublish)
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        with within("data"):
            raise invalid(error) from None
    given: dict[str, Any] = {**fields, "conversation": conversation}
    if about.idempotency_key is UNSET:
        given["idempotency_key"] = key or uuid.uuid4().hex
    return about.sender, given
