"""What people do in scenarios, in one line each."""

from typing import Any
from uuid import uuid4

from support.wire_client import WireClient


async def group(client: WireClient, *members: str, title: str = "Group") -> str:
    """Create a group; returns its id."""
    created = await client.rpc("conversation.create", kind="group", members=list(members), title=title)
    assert "conversation" in created, created
    return str(created["conversation"]["id"])


async def say(client: WireClient, conversation: str, text: str) -> Any:
    """Send a message with a key of its own; returns the method's result or its error."""
    return await client.rpc("message.send", conversation=conversation, idempotency_key=str(uuid4()), text=text)


def created(client: WireClient, conversation: str) -> list[str]:
    """The texts of the messages that a client saw, in the order of arrival."""
    return [
        pub["data"]["message"]["text"]
        for pub in client.publications(f"conv:{conversation}")
        if pub["data"]["type"] == "message.created"
    ]
