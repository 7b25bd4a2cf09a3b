"""Devices that connect by the real SDKs: their answers to pings out of turn tell what they have."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from chat.push.states import ConnectedDevices
from conformance.harness.sdks import Sdk
from conformance.harness.server import served
from conformance.harness.speaker import Speaker, speaker
from support.redis_bus import Heard, process
from support.waiting import eventually

Name = Callable[[str], str]


async def test_every_sdk_answers_pings_out_of_turn_and_goes_on(
    sdks: list[Sdk], deployment: Callable[[], dict[str, str]], name: Name
) -> None:
    environment = deployment()
    prefix = f"{environment['HUBBUB_REDIS__PREFIX']}:"
    with served(Path(__file__).with_name("chat.toml"), environment) as server:
        async with (
            process("watching", Heard(), environment["REDIS_URL"], prefix=prefix) as redis,
            speaker(server, name("author")) as author,
        ):
            devices = ConnectedDevices(redis.device_connections)

            async def goes_on(sdk: Sdk, author: Speaker) -> None:
                user = name(f"{sdk.name}-{sdk.codec}")
                conversation = await author.create(user)
                async with sdk.client(server.websocket_url, user, data={"device": "phone"}) as client:
                    await client.connected()
                    for text in ("one", "two"):
                        offset = await author.send(conversation, text)

                        async def confirmed(offset: int = offset) -> bool:
                            state = (await devices.of(user, conversation)).get("phone")
                            return state is not None and state.connected and state.confirmed == offset

                        await eventually(confirmed)
                    assert len(client.of("connecting")) == 1
                    assert not client.of("error")

                async def left() -> bool:
                    state = (await devices.of(user, conversation)).get("phone")
                    return state is not None and state.disconnected_at is not None

                await eventually(left)

            await asyncio.gather(*(goes_on(sdk, author) for sdk in sdks))
