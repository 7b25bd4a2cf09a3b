"""What tests of changed messages do and look for, in one line each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.app import App
from support.talking import say
from support.wire_client import WireClient, wire_client


@asynccontextmanager
async def signed_in(app: App, user: str) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token(user))
        yield client


async def said(client: WireClient, conversation: str, text: str) -> int:
    """Send a message; returns its offset."""
    return (await say(client, conversation, text))["message"]["offset"]


def heard(client: WireClient, conversation: str, kind: str) -> list[dict[str, Any]]:
    events = [pub["data"] for pub in client.publications(f"conv:{conversation}")]
    return [event for event in events if event["type"] == kind]


def personal(client: WireClient, user: str, kind: str) -> list[dict[str, Any]]:
    return [pub["data"] for pub in client.publications(f"user:{user}") if pub["data"]["type"] == kind]


def refusal(answer: Any) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["message"]
