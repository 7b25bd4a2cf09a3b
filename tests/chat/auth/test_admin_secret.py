"""What signs links to the admin page."""

from chat.auth.admin_secret import admin_secret
from chat.config import Config, load


def test_the_secret_is_configured_or_derived_from_the_api_key_or_absent() -> None:
    assert admin_secret(load(None, {}, {"admin.secret": "s" * 16, "api.key": "k"}).config) == b"s" * 16
    derived = admin_secret(load(None, {}, {"api.key": "k"}).config)
    assert len(derived) == 32
    assert derived != admin_secret(load(None, {}, {"api.key": "l"}).config)
    assert admin_secret(Config()) == b""
