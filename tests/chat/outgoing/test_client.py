"""The client that goes where it may: to the address that was checked, once, and no further."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from chat.outgoing import Failed, Forbidden, Outgoing, Rules, open_outgoing
from support.waiting import PATIENCE_S

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

INSIDE = Rules(ports=frozenset(), inside=True)
OUTSIDE = Rules(ports=frozenset())
PUBLIC = "93.184.216.34"


class Names(AbstractResolver):
    """Gives one list of addresses after the other; the last one stays. `asked`: how often."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class Inside:
    """A server of this machine that nobody from outside is to reach, and how many connected to it."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    there = Inside()
    async with await asyncio.start_server(there.connected, "127.0.0.1", 0) as server:
        there.port = server.sockets[0].getsockname()[1]
        yield there


def outgoing(rules: Rules, resolver: AbstractResolver | None = None, *, timeout_s: float = PATIENCE_S):
    return open_outgoing(rules, timeout_s=timeout_s, max_bytes=1024, resolver=resolver)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("localhost", id="A12-a-name-of-this-machine"),
        pytest.param("2130706433", id="A12-an-address-as-a-number"),
        pytest.param("0x7f000001", id="A12-an-address-in-hex"),
        pytest.param("0177.0.0.1", id="A12-an-address-in-octal"),
        pytest.param("127.1", id="A12-an-address-cut-short"),
    ],
)
async def test_a_name_that_leads_inside_is_refused_unconnected(inside: Inside, host: str) -> None:
    async with outgoing(OUTSIDE) as client:
        with pytest.raises(OSError) as refused:
            await client.request("GET", f"https://{host}:{inside.port}/")
    assert isinstance(refused.value, Forbidden | Failed)
    assert inside.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["127.0.0.1"], id="A12-a-host-that-resolves-to-this-machine"),
        pytest.param([PUBLIC, "127.0.0.1"], id="A12-one-of-two-addresses-is-inside"),
        pytest.param(["::ffff:127.0.0.1"], id="A12-a-host-that-resolves-to-a-mapped-address"),
    ],
)
async def test_every_address_of_a_host_is_looked_at(inside: Inside, addresses: list[str]) -> None:
    async with outgoing(OUTSIDE, Names(addresses)) as client:
        with pytest.raises(Forbidden, match="not public"):
            await client.request("GET", f"https://hook.example:{inside.port}/")
    assert inside.connections == 0


@pytest.mark.parametrize("answers", [pytest.param([[PUBLIC], ["127.0.0.1"]], id="A12-dns-rebinding")])
async def test_a_name_that_changed_since_it_was_registered_is_refused(inside: Inside, answers: list[list[str]]) -> None:
    names = Names(*answers)
    await names.resolve("hook.example")  # when it was registered, all was well
    async with outgoing(OUTSIDE, names) as client:
        with pytest.raises(Forbidden):
            await client.request("GET", f"https://hook.example:{inside.port}/")
    assert inside.connections == 0


async def serving(handler: Handler, client: Outgoing, path: str = "/") -> tuple[int, bytes]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    async with TestServer(app) as server:
        answer = await client.request("POST", f"http://keys.example:{server.port}{path}", body=b"asked")
    return answer.status, answer.body


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await request.read() + b" " + request.host.partition(":")[0].encode())

    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with outgoing(INSIDE, names) as client:
        assert await serving(answer, client) == (200, b"asked keys.example")
    assert names.asked == 1  # who asks twice may get two answers


@pytest.mark.parametrize("to", [pytest.param("http://169.254.169.254/", id="A12-a-redirect-inside")])
async def test_a_redirect_is_an_answer_and_no_more(to: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": to})

    async with outgoing(INSIDE, Names(["127.0.0.1"])) as client:
        assert (await serving(answer, client))[0] == 307


@pytest.mark.parametrize("name", [pytest.param("HTTP_PROXY", id="A12-a-proxy-of-the-environment")])
async def test_no_proxy_of_the_environment_is_asked(inside: Inside, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{inside.port}")
    monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{inside.port}")

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"straight")

    async with outgoing(INSIDE, Names(["127.0.0.1"])) as client:
        assert await serving(answer, client) == (200, b"straight")
    assert inside.connections == 0


async def test_an_answer_has_a_size_it_may_have() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (1024 if request.path == "/n" else 1025))

    async with outgoing(INSIDE, Names(["127.0.0.1"])) as client:
        assert len((await serving(answer, client, "/n"))[1]) == 1024
        with pytest.raises(Failed, match="more than 1 KiB"):
            await serving(answer, client, "/n+1")


async def test_nothing_is_unpacked() -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.Response(body=b"\0" * 1_000_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with outgoing(INSIDE, Names(["127.0.0.1"])) as client:
        status, body = await serving(answer, client)
    assert status == 200
    assert len(body) <= 1024


async def test_who_does_not_answer_is_not_waited_for() -> None:
    release = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with outgoing(INSIDE, Names(["127.0.0.1"]), timeout_s=0.2) as client:
        app = web.Application()
        app.router.add_get("/", answer)
        async with TestServer(app) as server:
            with pytest.raises(Failed, match="did not answer within"):
                await client.request("GET", f"http://keys.example:{server.port}/")
            release.set()


async def test_no_cookies_are_kept() -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie", ""))
        response = web.Response()
        response.set_cookie("a", "b")
        return response

    async with outgoing(INSIDE, Names(["127.0.0.1"])) as client:
        for _ in range(2):
            await serving(answer, client)
    assert seen == ["", ""]


async def test_the_headers_of_an_answer_come_with_it_whatever_their_case() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"}, text="secret")

    async with outgoing(INSIDE, Names(["127.0.0.1"])) as client:
        app = web.Application()
        app.router.add_get("/", answer)
        async with TestServer(app) as server:
            answered = await client.request("GET", f"http://keys.example:{server.port}/")
    assert answered.headers["retry-after"] == "7"
    assert repr(answered) == "Answer(status=429)"


async def test_it_is_known_whether_a_request_may_have_arrived(unused_tcp_port: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with outgoing(INSIDE, Names(["127.0.0.1"])) as client:
        with pytest.raises(Failed) as never:
            await client.request("GET", f"http://keys.example:{unused_tcp_port}/")
        with pytest.raises(Failed) as perhaps:
            await serving(answer, client)
    assert (never.value.sent, perhaps.value.sent) == (False, True)


async def test_who_takes_a_connection_and_never_says_who_he_is_was_not_reached() -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        names = Names(["127.0.0.1"])
        async with open_outgoing(INSIDE, timeout_s=PATIENCE_S, connect_s=0.2, max_bytes=1, resolver=names) as client:
            with pytest.raises(Failed, match="connected to in time") as never:
                await client.request("GET", f"https://keys.example:{port}/")
        await left.wait()
    assert not never.value.sent
