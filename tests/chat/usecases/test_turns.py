"""Messages of one sender keep their order, whatever has to be decided anew on the way."""

import asyncio
import random

import pytest

from chat.methods import METHODS
from chat.vocabulary.messages import MessageSend
from support.app import serve_app, test_config
from support.talking import group
from support.wire_client import wire_client


@pytest.mark.parametrize("seed", range(5))
async def test_messages_keep_the_order_in_which_one_sender_asked_for_them(
    mongodb_url, database_name, redis_url, redis_prefix, seed
):
    rng = random.Random(seed)
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix)
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        service = app.running.process.calls.service
        access = service.messages._access

        async def send(user: str) -> list[int]:
            promises = []
            forgets = rng.sample(range(60), 2)
            for number in range(60):
                request = MessageSend(conversation, f"{user}-{number}", text=str(number))
                promises.append(await METHODS["message.send"].run(service, user, request))
                if number in forgets:
                    access.forget(conversation)  # as when others were seen to have written
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
            return [sent.message.offset for sent in await asyncio.gather(*promises)]

        for offsets in await asyncio.gather(send("alice"), send("bob")):
            assert offsets == sorted(offsets)
