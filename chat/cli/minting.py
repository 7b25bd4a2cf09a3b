"""`token`, `keys` and `admin link`: what the command line makes and signs."""

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chat.cli.loading import base_url, load_running
from chat.cli.outcome import EXIT_CONFIG, EXIT_USAGE, Failed, put, put_json, say
from chat.config import Config, Secret, TokenSection
from chat.config.values import parse_duration

NEVER: Final = "never"


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """Flags of `token`. `channel` makes a subscription token; `private_key` signs instead of the configured secret."""

    user: str
    ttl: str = "24h"
    info: str = ""
    channel: str = ""
    private_key: Path | None = None
    algorithm: str = "EdDSA"
    kid: str = ""


def token(config: Path | None, options: TokenOptions) -> None:
    """Print a token."""
    loaded = load_running(config)
    put(make_token(loaded.config, options))


def make_token(config: Config, options: TokenOptions) -> str:
    """A token that the server of this configuration accepts. Raises Failed with what to do when it cannot be signed."""
    from chat.auth.mint import connection_token, subscription_token

    section = config.subscription_token if options.channel and config.subscription_token.enabled else config.token
    if re.fullmatch(section.user_id_pattern, options.user) is None:
        raise Failed(f"USER must match {section.user_id_pattern}", EXIT_USAGE)
    ttl_s = _ttl(options.ttl, section)
    key, algorithm, kid = _signing_key(section, options)
    claims = _claims(section, options.info)
    now_s = time.time()
    try:
        if options.channel:
            return subscription_token(
                options.user,
                options.channel,
                key,
                now_s=now_s,
                ttl_s=ttl_s,
                algorithm=algorithm,
                kid=kid,
                claims=claims,
            )
        return connection_token(
            options.user, key, now_s=now_s, ttl_s=ttl_s, algorithm=algorithm, kid=kid, claims=claims
        )
    except ValueError as error:
        raise Failed(str(error), EXIT_USAGE) from error


def keys(path: Path | None, *, as_env: bool) -> None:
    """Make the secrets that a deployment needs; into a new file that only its owner can read, or on stdout."""
    from chat.auth.mint import new_secret
    from chat.sealing import new_key

    made = {"token.hmac_secret_key": new_secret(), "api.key": new_secret(), "admin.secret": new_secret()}
    sealing = new_key()
    if as_env:
        lines = [f"HUBBUB_{key.replace('.', '__').upper()}={secret}" for key, secret in made.items()]
        lines.append(f"HUBBUB_SECRETS__KEYS={sealing}")
    else:
        lines = [f'{key} = "{secret}"' for key, secret in made.items()]
        lines.append(f'secrets.keys = ["{sealing}"]')
    if path is None:
        for line in lines:
            put(line)
        return
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failed(f"{path} is there already: keys are never overwritten, choose another name") from None
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    say(f"{path} has the keys; only you can read it (0600)")


def admin_link(config: Path | None, *, url: str | None, as_json: bool) -> None:
    """Print a link that signs one operator in, once."""
    from chat.admin.links import mint
    from chat.auth.admin_secret import admin_secret

    settings = load_running(config).config
    secret = admin_secret(settings)
    if not settings.admin.enabled:
        raise Failed("admin.enabled is false: there is no admin page", EXIT_CONFIG)
    if not secret:
        raise Failed(
            "admin.secret and api.key are empty, so nothing can be signed: hubbub keys makes them", EXIT_CONFIG
        )
    now_ms = time.time_ns() // 1_000_000
    link = f"{base_url(settings, url)}/admin/login#{mint(secret, now_ms, ttl_s=settings.admin.link_ttl)}"
    if as_json:
        put_json({"url": link, "expires_at": now_ms + round(settings.admin.link_ttl * 1000)})
    else:
        put(link)


def _ttl(text: str, section: TokenSection) -> float | None:
    if text == NEVER:
        if section.require_exp:
            say("note: the server refuses tokens without exp (token.require_exp)")
        return None
    try:
        ttl_s = parse_duration(text)
    except ValueError as error:
        raise Failed(f"--ttl: {error}, or never", EXIT_USAGE) from None
    if ttl_s < 1:
        raise Failed("--ttl: must be 1s or more", EXIT_USAGE)
    return ttl_s


def _signing_key(section: TokenSection, options: TokenOptions) -> tuple[Secret, str, str]:
    if options.private_key is not None:
        try:
            return Secret(options.private_key.read_text()), options.algorithm, options.kid
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"--private-key: {options.private_key} cannot be read: {error}", EXIT_USAGE) from error
    if section.hmac_secret_key:
        return section.hmac_secret_key, section.hmac_algorithm, ""
    for key in section.keys:
        if key.algorithm.startswith("HS"):
            return key.key, key.algorithm, key.kid
    raise Failed(
        "no HMAC secret to sign with: set token.hmac_secret_key (hubbub keys makes one), or give --private-key FILE",
        EXIT_CONFIG,
    )


def _claims(section: TokenSection, info: str) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    if section.audience:
        claims["aud"] = section.audience
    if section.issuer:
        claims["iss"] = section.issuer
    if info:
        try:
            claims["info"] = json.loads(info)
        except ValueError as error:
            raise Failed(f"--info: is not JSON: {error}", EXIT_USAGE) from None
    return claims
