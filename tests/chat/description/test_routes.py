"""The documents over HTTP."""

import json

from aiohttp import web

from chat.description.files import documents
from chat.description.routes import description_routes


async def test_what_is_served_is_what_is_kept_in_docs(aiohttp_client):
    app = web.Application()
    app.add_routes(description_routes())
    client = await aiohttp_client(app)
    for name, data in documents().items():
        answer = await client.get(f"/{name}")
        assert answer.status == 200
        assert answer.content_type == "application/json"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert await answer.read() == data
        assert json.loads(data)["info"]["title"] == "Hubbub"


async def test_unchanged_it_is_304_in_both_codings(aiohttp_client):
    app = web.Application()
    app.add_routes(description_routes())
    client = await aiohttp_client(app)
    plain = await client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    packed = await client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for tag in (plain.headers["ETag"], packed.headers["ETag"]):
        assert (await client.get("/openapi.json", headers={"If-None-Match": tag})).status == 304
