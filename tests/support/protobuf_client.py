"""A bare client of the protocol in Protobuf: what is in a payload is the caller's, JSON or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
from centrifuge.protocol import client_pb2 as sdk

from support.varints import delimited, undelimited
from support.waiting import PATIENCE_S


class ProtobufClient:
    """One connection; it sends a command and waits for its reply, whatever else comes in between."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._ids = count(1)

    async def call(self, **request: Any) -> Any:
        """Send a command (`rpc=sdk.RPCRequest(...)`); returns the reply."""
        command = sdk.Command(id=next(self._ids), **request)
        await self.socket.send_bytes(delimited(command.SerializeToString()))
        while True:
            message = await self.socket.receive(timeout=PATIENCE_S)
            assert message.type == aiohttp.WSMsgType.BINARY, (message, self.socket.close_code)
            for one in undelimited(message.data):
                reply = sdk.Reply.FromString(one)
                if reply.id == command.id:
                    return reply

    async def rpc(self, method: str, data: bytes) -> tuple[int, str]:
        """The code and message of the error, (0, "") without one."""
        reply = await self.call(rpc=sdk.RPCRequest(method=method, data=data))
        return reply.error.code, reply.error.message


@asynccontextmanager
async def protobuf_client(url: str, token: str) -> AsyncIterator[ProtobufClient]:
    """A connection that is signed in."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=("centrifuge-protobuf",), max_msg_size=0) as socket,
    ):
        client = ProtobufClient(socket)
        reply = await client.call(connect=sdk.ConnectRequest(token=token))
        assert not reply.error.code, reply
        yield client
