"""What people do by REST, in one line each."""

import json
import uuid
from typing import Any

import aiohttp


def key() -> str:
    return str(uuid.uuid4())


async def create(session: aiohttp.ClientSession, kind: str = "group", **fields: Any) -> dict[str, Any]:
    async with session.post("/v1/conversations", json={"kind": kind, **fields}) as response:
        assert response.status == 201, await response.text()
        return (await response.json())["conversation"]


async def send(session: aiohttp.ClientSession, conversation: str, text: str) -> dict[str, Any]:
    body = {"text": text, "idempotency_key": key()}
    async with session.post(f"/v1/conversations/{conversation}/messages", json=body) as response:
        assert response.status == 201, await response.text()
        return (await response.json())["message"]


async def refusal(response: aiohttp.ClientResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json", await response.text()
    return response.status, (await response.json())["code"]


def without_instance(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "instance"}


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The document of a refusal, which must be this one and keep to its form."""
    assert response.status == status
    assert response.content_type == "application/problem+json"
    told: dict[str, Any] = json.loads(await response.read())
    assert (told["status"], told["code"]) == (status, code)
    assert told["instance"] == response.headers["X-Request-Id"]
    assert "Traceback" not in json.dumps(told)
    return told
