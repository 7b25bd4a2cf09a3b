"""The terminal's client against a server that misbehaves in the ways real ones do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from chat.cli import client as module
from chat.cli.client import Client, Refused, open_client, printable
from chat.cli.outcome import Failed, Unreachable
from support.waiting import eventually

CONVERSATION = "c" * 26


def conversation(number: int, title: str = "", **fields: Any) -> dict[str, Any]:
    return {"id": f"{number:026d}", "title": title, "head": {"offset": 0, "n": 0}, **fields}


class Server:
    """Answers methods from `answers` (values are given, exceptions are statuses) and follows a script per socket."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.tokens: list[str] = []
        self.log: list[tuple[int, str]] = []
        self.subscribes: list[dict[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.refuse_recovery = False
        self.close_connect_with: int | None = None

    async def rpc(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.asked.append((method, await request.json()))
        self.tokens.append(request.headers["Authorization"])
        answers = self.answers[method]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, int):
            return web.json_response({"code": "unavailable", "detail": "for now"}, status=answer)
        if isinstance(answer, str):
            return web.json_response({"code": answer, "detail": "no"}, status=403)
        return web.json_response(answer)

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                for line in message.data.splitlines():
                    await self._command(socket, json.loads(line))
        return socket

    async def _command(self, socket: web.WebSocketResponse, command: dict[str, Any]) -> None:
        if "connect" in command:
            if self.close_connect_with:
                await socket.close(code=self.close_connect_with, message=b"invalid token")
                return
            await socket.send_json(
                {"id": command["id"], "connect": {"client": "x", "version": "1", "ping": 25, "pong": True}}
            )
        if "subscribe" in command:
            asked = command["subscribe"]
            self.subscribes.append(asked)
            missed = [self._publication(offset, text) for offset, text in self.log if offset > asked["offset"]]
            head = self.log[-1][0] if self.log else 0
            recovered = not self.refuse_recovery
            result = {"epoch": "e1", "offset": asked["offset"] if recovered else head, "was_recovering": True}
            lines = [{"id": command["id"], "subscribe": {**result, "recovered": recovered}}, {}]
            pushes = [{"push": {"channel": asked["channel"], "pub": one}} for one in missed] if recovered else []
            await socket.send_str("\n".join(json.dumps(line) for line in [*lines, *pushes]))
            self.sockets.append(socket)

    def _publication(self, offset: int, text: str) -> dict[str, Any]:
        return {"offset": offset, "data": {"type": "message.created", "message": {"text": text}}}

    async def publish(self, offset: int, text: str) -> None:
        self.log.append((offset, text))
        push = {"push": {"channel": f"conv:{CONVERSATION}", "pub": self._publication(offset, text)}}
        await self.sockets[-1].send_json(push)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(module, "_FIRST_RETRY_S", 0.001)
    app = web.Application()
    app.router.add_post("/v1/rpc/{method}", server.rpc)
    app.router.add_get("/connection/websocket", server.websocket)
    async with TestServer(app) as running, open_client(str(running.make_url("")), lambda: "token-1") as client:
        yield client


async def test_a_message_is_sent_with_a_key_and_a_token(server: Server, client: Client) -> None:
    server.answers["message.send"] = [{"message": {"id": "c.1"}, "duplicate": False}]
    assert (await client.send(CONVERSATION, "hi"))["message"]["id"] == "c.1"
    ((method, parameters),) = server.asked
    assert (method, parameters["text"], parameters["conversation"]) == ("message.send", "hi", CONVERSATION)
    assert server.tokens == ["Bearer token-1"]


async def test_a_send_is_repeated_with_the_same_key_while_the_server_is_away(server: Server, client: Client) -> None:
    server.answers["message.send"] = [503, 429, {"message": {"id": "c.1"}, "duplicate": True}]
    assert (await client.send(CONVERSATION, "hi"))["duplicate"]
    assert len({parameters["idempotency_key"] for _, parameters in server.asked}) == 1
    assert len(server.asked) == 3


async def test_a_send_is_not_repeated_when_it_was_refused_nor_for_ever(server: Server, client: Client) -> None:
    server.answers["message.send"] = ["permission_denied"]
    with pytest.raises(Refused, match="permission_denied: no"):
        await client.send(CONVERSATION, "hi")
    assert len(server.asked) == 1
    server.answers["message.send"] = [503]
    with pytest.raises(Refused, match="unavailable"):
        await client.send(CONVERSATION, "hi")
    assert len(server.asked) == 6


async def test_nobody_there_is_said_with_what_to_do() -> None:
    async with open_client("http://127.0.0.1:1", lambda: "t") as client:
        with pytest.raises(Unreachable, match="is hubbub serve running there"):
            await client.call("sync", {})


async def test_a_conversation_is_found_by_id(server: Server, client: Client) -> None:
    server.answers["conversation.get"] = [{"conversation": {"id": CONVERSATION, "title": "x"}}]
    assert (await client.find(CONVERSATION))["id"] == CONVERSATION


async def test_a_conversation_is_found_by_external_id_title_or_the_other_member(server: Server, client: Client) -> None:
    lunch, ops = conversation(1, "Lunch"), conversation(2, "Ops", external_id="ops-1")
    ben = conversation(3, peer={"id": "ben", "name": "Ben B."})
    server.answers["conversation.list"] = [{"conversations": [lunch], "next": "n"}, {"conversations": [ops, ben]}] * 10
    for wanted, number in (("Lunch", 1), ("lunch", 1), ("ops-1", 2), ("ben", 3), ("Ben B.", 3)):
        assert (await client.find(wanted))["id"] == f"{number:026d}"
    assert server.asked[1][1]["before"] == "n"


async def test_an_ambiguous_title_lists_what_it_could_be(server: Server, client: Client) -> None:
    server.answers["conversation.list"] = [{"conversations": [conversation(1, "Lunch"), conversation(2, "lunch")]}]
    assert (await client.find("Lunch"))["id"] == f"{1:026d}"
    with pytest.raises(Failed, match=f"2 conversations are called 'LUNCH'.*\n  {1:026d}  Lunch"):
        await client.find("LUNCH")
    with pytest.raises(Failed, match="no conversation has"):
        await client.find("Dinner")


async def test_a_conversation_is_followed_over_lost_connections_without_loss_or_doubles(
    server: Server, client: Client
) -> None:
    heard: list[str] = []
    said: list[str] = []

    async def listen() -> None:
        async with aclosing(client.follow(CONVERSATION, 2, said.append)) as events:
            async for live in events:
                heard.append(live.event["message"]["text"])  # noqa: PERF401 - heard is looked at meanwhile

    server.log = [(1, "one"), (2, "two"), (3, "three")]
    listening = asyncio.create_task(listen())
    await eventually(lambda: heard == ["three"])
    await server.publish(4, "four")
    await eventually(lambda: len(heard) == 2)
    await server.sockets[-1].close(code=3001, message=b"shutdown")
    server.log.append((5, "five"))
    await eventually(lambda: heard == ["three", "four", "five"])
    await server.publish(5, "five again")
    await server.publish(6, "six")
    await eventually(lambda: heard == ["three", "four", "five", "six"])
    listening.cancel()
    assert [one["offset"] for one in server.subscribes] == [2, 4]
    assert server.subscribes[1]["epoch"] == "e1"
    assert "connection lost" in said[0]


async def test_what_cannot_be_recovered_is_said(server: Server, client: Client) -> None:
    said: list[str] = []
    server.refuse_recovery, server.log = True, [(9, "nine")]

    async def listen() -> None:
        async with aclosing(client.follow(CONVERSATION, 2, said.append)) as events:
            async for _ in events:
                pass

    listening = asyncio.create_task(listen())
    await eventually(lambda: "too much was missed" in "".join(said))
    listening.cancel()


async def test_a_final_close_ends_it(server: Server, client: Client) -> None:
    server.close_connect_with = 3500
    with pytest.raises(Failed, match="the server closed the connection: invalid token"):
        async for _ in client.follow(CONVERSATION, 0, lambda _: None):
            pass


def test_somebody_elses_text_does_not_command_the_terminal() -> None:
    assert printable("hi\x1b]0;owned\x07 \u202eolleh\x9b31m") == "hi�]0;owned� �olleh�31m"
    assert printable("zwei\nZeilen – ünï 🎉") == "zwei\nZeilen – ünï 🎉"
