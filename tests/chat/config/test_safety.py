"""Insecure options are confirmed twice or not served."""

from collections.abc import Mapping

import pytest

from chat.config import ConfigError, insecure_options, load, refuse_insecure
from chat.config.checks import remarks

GOOD_KEY = "k" * 32


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("client.insecure", True),
        ("client.allow_anonymous_connect_without_token", True),
        ("token.require_exp", False),
        ("token.hmac_secret_key", "secret"),
        ("token.keys", [{"kid": "a", "algorithm": "HS512", "key": GOOD_KEY}]),
        ("api.key", "api_key"),
    ],
)
def test_an_insecure_option_is_refused_until_it_is_confirmed(key: str, value: object) -> None:
    once = load(None, {}, {key: value})
    with pytest.raises(ConfigError) as caught:
        refuse_insecure(once.config, once.origins)
    assert f"{key}" in str(caught.value)
    assert "server.allow_insecure_options = true" in str(caught.value)
    assert GOOD_KEY not in str(caught.value)

    twice = load(None, {"HUBBUB_SERVER__ALLOW_INSECURE_OPTIONS": "true"}, {key: value})
    refuse_insecure(twice.config, twice.origins)
    assert [problem.key.partition("[")[0] for problem in insecure_options(twice.config)] == [key]


def test_a_sound_configuration_needs_no_confirmation() -> None:
    loaded = load(None, {}, {"token.hmac_secret_key": GOOD_KEY, "api.key": GOOD_KEY})
    refuse_insecure(loaded.config, loaded.origins)
    assert remarks(loaded.config) == []


def test_keys_of_subscription_tokens_count_only_where_they_are_used() -> None:
    values: Mapping[str, object] = {"subscription_token.require_exp": False}
    assert insecure_options(load(None, {}, values).config) == []
    assert insecure_options(load(None, {}, {**values, "subscription_token.enabled": True}).config) != []


def test_what_has_no_effect_is_remarked() -> None:
    loaded = load(
        None,
        {},
        {
            "channel.without_namespace.force_push_join_leave": True,
            "channel.without_namespace.allow_history_for_client": True,
            "channel.without_namespace.allow_publish_for_anonymous": True,
        },
    )
    said = {remark.key for remark in remarks(loaded.config)}
    assert said == {
        "channel.without_namespace.force_push_join_leave",
        "channel.without_namespace.allow_history_for_client",
        "channel.without_namespace.allow_publish_for_anonymous",
        "token",
        "api.key",
        "admin.secret",
        "uploads.link_key",
    }
