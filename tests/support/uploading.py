"""Files for tests, and the way of one from the announcement to a message."""

import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from PIL import Image

from chat.config import Config
from support.app import App, test_config


def an_image(kind: str = "PNG", size: tuple[int, int] = (300, 200), **options: Any) -> bytes:
    target = io.BytesIO()
    Image.effect_mandelbrot(size, (-3, -2.5, 2, 2.5), 50).convert("RGB").save(target, kind, **options)
    return target.getvalue()


PNG = an_image()


def uploads_config(mongodb_url: str, database: str, redis_url: str, prefix: str, directory: Path) -> Config:
    """Bounds that a test reaches."""
    return test_config(
        mongodb_url,
        database,
        redis_url,
        prefix,
        uploads__directory=str(directory / "files"),
        uploads__max_size=200_000,
        uploads__user_pending_limit=3,
        uploads__user_day_limit=10,
        uploads__user_day_max_size=1_000_000,
        uploads__image_max_pixels=100_000,
    )


async def announce(rest: aiohttp.ClientSession, data: bytes, content_type: str = "image/png", **more: Any) -> Any:
    asked = {"name": "fractal.png", "size_bytes": len(data), "content_type": content_type, **more}
    async with rest.post("/v1/uploads", json=asked) as answer:
        return answer.status, await answer.json()


async def put(app: App, link: dict[str, Any], data: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(app.http) as session,
        session.put(link["url"], data=data, headers=headers or link["headers"]) as answer,
    ):
        return answer.status, await answer.json(content_type=None) if answer.content_length else None


async def uploaded(app: App, user: str, data: bytes = PNG, content_type: str = "image/png", **more: Any) -> Any:
    """A ready upload, made by REST."""
    async with app.rest(user) as rest:
        status, made = await announce(rest, data, content_type, **more)
        assert status == 201, made
        assert (await put(app, made["put"], data))[0] == 204
        async with rest.post(f"/v1/uploads/{made['upload']['id']}/complete") as answer:
            completed = await answer.json()
            assert answer.status == 200, completed
        return completed["upload"]


async def refused(app: App, user: str, data: bytes, content_type: str) -> Any:
    """The problem that completing this file ends with."""
    async with app.rest(user) as rest:
        _, made = await announce(rest, data, content_type)
        assert (await put(app, made["put"], data))[0] == 204
        async with rest.post(f"/v1/uploads/{made['upload']['id']}/complete") as answer:
            assert answer.status == 400
            return await answer.json()


async def send(client: Any, conversation: str, attachments: list[Any], key: str = "") -> Any:
    return await client.rpc(
        "message.send", conversation=conversation, idempotency_key=key or str(uuid4()), attachments=attachments
    )
