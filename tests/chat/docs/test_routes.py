"""The documentation as pages."""

import re

from aiohttp import web

from chat.docs.routes import anchor, docs_routes, load, render


async def test_every_link_between_pages_leads_somewhere(aiohttp_client):
    app = web.Application()
    app.add_routes(docs_routes())
    client = await aiohttp_client(app)
    bodies = {page.name: page.body for page in load()}
    assert {"quickstart", "protocol", "reference", "configuration", "architecture"} <= bodies.keys()
    for name, body in bodies.items():
        answer = await client.get(f"/docs/{name}")
        assert answer.status == 200
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert "<script" not in await answer.text()
        for page, fragment in re.findall(r'href="/docs/([a-z]+)(?:#([^"]+))?"', body):
            assert page in bodies, f"{name} links to {page}"
            assert not fragment or f'id="{fragment}"' in bodies[page], f"{name} links to {page}#{fragment}"


async def test_an_unknown_page_is_404(aiohttp_client):
    app = web.Application()
    app.add_routes(docs_routes())
    client = await aiohttp_client(app)
    assert (await client.get("/docs/nothing")).status == 404
    assert (await client.get("/docs")).status == 200


def test_headings_have_the_anchors_that_forges_make():
    assert anchor("Never missing a message") == "never-missing-a-message"
    assert anchor("REST, `/v1`") == "rest-v1"
    assert 'id="rest-v1"' in render("## REST, `/v1`\n")
