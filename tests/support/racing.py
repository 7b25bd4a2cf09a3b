"""Deliveries that overtake each other, and answers that are held back."""

from collections.abc import Awaitable, Callable
from typing import Any

from realtime.ports import Delivery
from support.engine import Gate, Served


def append(served: Served, channel: str, data: str) -> None:
    publication = served.product.feed.append(channel, data)
    served.engine.hub.publish(Delivery(channel, "pub", publication, "e"))


def gated(function: Callable[..., Awaitable[Any]], gate: Gate) -> Callable[..., Awaitable[Any]]:
    """The function, whose answer is held back at the gate."""

    async def wrapped(*arguments: Any, **options: Any) -> Any:
        answer = await function(*arguments, **options)
        await gate.wait()
        return answer

    return wrapped


def removed(client: Any, channel: str) -> bool:
    return any(push.get("channel") == channel and "unsubscribe" in push for push in client.pushes)
