"""`send` and `tail` against a real server: a person in a terminal takes part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from chat.cli.client import open_client
from support.app import SECRET, App, serve_app, test_config
from support.command_line import Ran, hubbub
from support.waiting import eventually


@pytest.fixture
async def app(mongodb_url: str, database_name: str, redis_url: str, redis_prefix: str) -> AsyncIterator[App]:
    async with serve_app(test_config(mongodb_url, database_name, redis_url, redis_prefix)) as app:
        yield app


@pytest.fixture
async def lunch(app: App) -> str:
    """A group called Lunch of alice and bob; its id."""
    async with open_client(app.http, lambda: app.token("alice")) as client:
        created = await client.call(
            "conversation.create", {"kind": "group", "title": "Lunch", "members": ["bob"], "external_id": "lunch-1"}
        )
    return str(created["conversation"]["id"])


async def run(app: App, *arguments: str, stdin: str = "") -> Ran:
    """A command in a thread, as the server is on this one."""
    env = {"HUBBUB_TOKEN__HMAC_SECRET_KEY": SECRET}
    return await asyncio.to_thread(hubbub, *arguments, "--url", app.http, env=env, stdin=stdin)


@pytest.mark.usefixtures("empty_directory")
async def test_what_one_sends_the_other_reads(app: App, lunch: str) -> None:
    sent = await run(app, "send", "Lunch", "Who is in?", "--as", "alice")
    assert (sent.code, sent.out) == (0, f"{lunch}.2\n")
    answer = await run(app, "send", "lunch-1", "-", "--as", "bob", "--json", stdin="me\nand Carol\n")
    assert answer.json["message"]["text"] == "me\nand Carol"
    read = await run(app, "tail", lunch, "--as", "bob", "--no-follow")
    assert [line[10:] for line in read.out.splitlines()] == ["alice: Who is in?", "bob: me", "and Carol"]
    newest = await run(app, "tail", "Lunch", "--as", "bob", "--no-follow", "-n", "1", "--json")
    assert newest.json["sender"] == "bob"


@pytest.mark.usefixtures("empty_directory")
async def test_what_is_somebody_elses_is_not_there(app: App, lunch: str) -> None:
    for conversation in (lunch, "Lunch"):
        ran = await run(app, "send", conversation, "hi", "--as", "eve")
        assert ran.code == 1
        assert "no conversation has" in ran.err


@pytest.mark.usefixtures("empty_directory")
async def test_a_bad_token_is_said(app: App, lunch: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("nonsense")
    ran = await run(app, "send", lunch, "hi", "--as", "alice", "--token-file", "token")
    assert ran.code == 1
    assert "unauthorized" in ran.err


async def test_a_conversation_is_followed_from_where_one_was(app: App, lunch: str) -> None:
    heard: list[str] = []

    async def listen() -> None:
        async with (
            open_client(app.http, lambda: app.token("bob")) as client,
            aclosing(client.follow(lunch, 1, lambda _: None)) as events,
        ):
            async for live in events:
                if live.event["type"] == "message.created":
                    heard.append(live.event["message"]["text"])  # noqa: PERF401 - it is looked at meanwhile

    async with open_client(app.http, lambda: app.token("alice")) as client:
        await client.send(lunch, "before")
        listening = asyncio.create_task(listen())
        await eventually(lambda: heard == ["before"])
        await client.send(lunch, "after")
        await eventually(lambda: heard == ["before", "after"])
    listening.cancel()
