"""The documentation as pages."""

import re

from aiohttp import web

from chat.docs.pages import anchor, load, render
from chat.docs.routes import docs_routes


async def test_every_link_between_pages_leads_somewhere(aiohttp_client):
    app = web.Application()
    app.add_routes(docs_routes())
    client = await aiohttp_client(app)
    bodies = {page.name: page.body for page in load()}
    assert {"quickstart", "protocol", "reference", "configuration", "architecture"} <= bodies.keys()
    for name, body in bodies.items():
        answer = await client.get(f"/docs/{name}")
        assert answer.status == 200
        assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
        assert re.findall(r"<script[^>]*>(?!</script>)", await answer.text()) == []
        for page, fragment in re.findall(r'href="/docs/([a-z/_-]+)(?:#([^"]+))?"', body):
            if page == "api":
                continue
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


def test_links_start_from_where_the_page_is():
    assert 'href="/docs/protocol#codes"' in render("[codes](../protocol.md#codes)", at="features/threads")
    assert 'href="/docs/features/editing"' in render("[edit](editing.md)", at="features/threads")
    assert 'href="/docs/features"' in render("[all](README.md)", at="features/threads")
    assert 'href="/docs/features"' in render("[all](features/README.md)", at="protocol")
    assert 'href="../CHANGELOG.md"' in render("[what is new](../CHANGELOG.md)", at="protocol")


async def test_the_page_of_the_api_knows_the_demo_users_there_are(aiohttp_client):
    for users in ((), ("alice", "bob")):
        app = web.Application()
        app.add_routes(docs_routes(users))
        client = await aiohttp_client(app)
        text = await (await client.get("/docs/api")).text()
        assert ("alice" in text) == bool(users)
        for name in re.findall(r"/docs/static/([a-z.]+)", text):
            file = await client.get(f"/docs/static/{name}")
            assert file.status == 200
            assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert (await client.get("/docs/static/..%2froutes.py")).status == 404


async def test_the_features_have_a_table_of_contents_with_all_of_them():
    pages = {page.name: page for page in load()}
    for name in pages:
        if name.startswith("features/"):
            assert f'href="/docs/{name}"' in pages["features"].body, f"docs/features/README.md does not name {name}"
