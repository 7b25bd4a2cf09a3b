"""Options that let strangers in. `hubbub serve` wants to be told twice."""

from collections.abc import Iterator, Mapping
from typing import Final

from chat.config.errors import DEFAULT, ConfigError, Origin, Problem
from chat.config.schema import Config
from chat.config.tokens import TokenSection

MIN_HMAC_KEY_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""RFC 7518, 3.2: a key as long as the hash. Shorter ones can be guessed offline from one token."""

MIN_API_KEY_CHARS: Final = 16


def insecure_options(config: Config) -> list[Problem]:
    """Each option that lets strangers in, with what it does. Without origins."""
    found: list[Problem] = []
    if config.client.insecure:
        found.append(Problem("client.insecure", "everyone may connect, subscribe, publish and read"))
    if config.client.allow_anonymous_connect_without_token:
        found.append(Problem("client.allow_anonymous_connect_without_token", "everyone may connect"))
    found += _insecure_tokens("token", config.token)
    if config.subscription_token.enabled:
        found += _insecure_tokens("subscription_token", config.subscription_token)
    if config.api.key and len(config.api.key.reveal()) < MIN_API_KEY_CHARS:
        found.append(Problem("api.key", f"can be guessed: it has fewer than {MIN_API_KEY_CHARS} characters"))
    return found


def refuse_insecure(config: Config, origins: Mapping[str, Origin]) -> None:
    """Raises ConfigError when an insecure option is set and `server.allow_insecure_options` is not."""
    if config.server.allow_insecure_options or not (found := insecure_options(config)):
        return
    problems = [Problem(one.key, f"insecure: {one.rule}", origins.get(one.key, DEFAULT)) for one in found]
    advice = (
        "refusing to serve. Take the insecure options out, or confirm them with server.allow_insecure_options = true "
        "(HUBBUB_SERVER__ALLOW_INSECURE_OPTIONS=true)"
    )
    raise ConfigError([*problems, Problem("", advice)])


def _insecure_tokens(path: str, token: TokenSection) -> Iterator[Problem]:
    if not token.require_exp:
        yield Problem(f"{path}.require_exp", "a token without exp is good for ever, also when it is stolen")
    secrets = {
        f"{path}.hmac_secret_key": (token.hmac_secret_key, token.hmac_algorithm),
        f"{path}.hmac_previous_secret_key": (token.hmac_previous_secret_key, token.hmac_algorithm),
    } | {f"{path}.keys[{key.kid}].key": (key.key, key.algorithm) for key in token.keys}
    for name, (secret, algorithm) in secrets.items():
        least = MIN_HMAC_KEY_BYTES.get(algorithm, 0)
        if secret and len(secret.reveal().encode()) < least:
            yield Problem(name, f"can be guessed: {algorithm} needs at least {least} bytes")
