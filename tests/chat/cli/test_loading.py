"""Where a server answers, seen from here."""

import pytest

from chat.cli.loading import base_url
from chat.config import load


@pytest.mark.parametrize(
    ("values", "given", "expected"),
    [
        ({}, None, "http://127.0.0.1:8000"),
        ({"server.host": "::", "server.port": 9000}, None, "http://[::1]:9000"),
        ({"server.host": "10.0.0.5"}, None, "http://10.0.0.5:8000"),
        ({"server.public_url": "https://chat.example/"}, None, "https://chat.example"),
        ({"server.public_url": "https://chat.example/"}, "http://localhost:1/", "http://localhost:1"),
    ],
)
def test_the_url_is_the_given_the_public_or_the_local_one(
    values: dict[str, object], given: str | None, expected: str
) -> None:
    assert base_url(load(None, {}, values).config, given) == expected
