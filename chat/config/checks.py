"""Rules that involve more than one key, and rules that need more than a range. Pure."""

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from chat.config.channels import RESERVED_NAMESPACES, ChannelNamespace, ChannelOptions
from chat.config.errors import Problem
from chat.config.schema import Config
from chat.config.tokens import TokenSection
from chat.config.values import format_duration

MIN_ADMIN_SECRET_BYTES: Final = 16
MIN_LINK_KEY_BYTES: Final = 32


def check(config: Config) -> list[Problem]:
    """What is wrong with a configuration whose keys are each right. The problems have no origin yet."""
    return [
        *_check_server(config),
        *_check_proxies(config),
        *_check_admin(config),
        *_check_client(config),
        *_check_tokens("token", config.token),
        *_check_tokens("subscription_token", config.subscription_token),
        *_check_channels(config),
        *_check_uploads(config),
    ]


def _check_server(config: Config) -> Iterator[Problem]:
    tls = config.server.tls
    for name, there, other in (("key", tls.key, "certificate"), ("certificate", tls.certificate, "key")):
        if not there and getattr(tls, other):
            yield Problem(f"server.tls.{name}", f"is required with server.tls.{other}", other=f"server.tls.{other}")


def _check_proxies(config: Config) -> Iterator[Problem]:
    for proxy in config.server.trusted_proxies:
        try:
            ip_network(proxy)
        except ValueError:
            yield Problem(
                "server.trusted_proxies", 'expected addresses and networks such as "10.0.0.0/8" or "192.0.2.7"'
            )
            break


def _check_admin(config: Config) -> Iterator[Problem]:
    secret = config.admin.secret
    if secret and len(secret.reveal().encode()) < MIN_ADMIN_SECRET_BYTES:
        yield Problem("admin.secret", f"must have at least {MIN_ADMIN_SECRET_BYTES} bytes")


def _check_client(config: Config) -> Iterator[Problem]:
    client = config.client
    if client.pong_timeout >= client.ping_interval:
        yield Problem(
            "client.pong_timeout",
            f"must be below client.ping_interval ({format_duration(client.ping_interval)})",
            other="client.ping_interval",
        )
    if client.command_data_max_size >= client.frame_max_size:
        yield Problem(
            "client.command_data_max_size", "must be below client.frame_max_size", other="client.frame_max_size"
        )
    for origin in client.allowed_origins:
        if origin != "*" and re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s]+", origin.lower()) is None:
            yield Problem(
                "client.allowed_origins", 'expected origins such as "https://app.example.com" without a path, or "*"'
            )
            break
    personal = client.subscribe_to_user_personal_channel
    names = {namespace.name for namespace in config.channel.namespaces}
    if personal.personal_channel_namespace and personal.personal_channel_namespace not in names:
        yield Problem(
            "client.subscribe_to_user_personal_channel.personal_channel_namespace",
            "no such namespace in channel.namespaces",
        )


def _check_tokens(path: str, token: TokenSection) -> Iterator[Problem]:
    try:
        re.compile(token.user_id_pattern)
    except re.error as error:
        yield Problem(f"{path}.user_id_pattern", f"is not a regular expression: {error}")
    kids = [key.kid for key in token.keys]
    for kid in sorted({kid for kid in kids if kids.count(kid) > 1}):
        yield Problem(f"{path}.keys[{kid}].kid", "is there twice")
    if token.hmac_previous_secret_key and not token.hmac_secret_key:
        yield Problem(f"{path}.hmac_previous_secret_key", f"needs {path}.hmac_secret_key")


def _check_channels(config: Config) -> Iterator[Problem]:
    yield from _check_options("channel.without_namespace", config.channel.without_namespace)
    names = [namespace.name for namespace in config.channel.namespaces]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(f"channel.namespaces[{name}].name", "is there twice")
    for namespace in config.channel.namespaces:
        yield from _check_namespace(namespace)


def _check_namespace(namespace: ChannelNamespace) -> Iterator[Problem]:
    path = f"channel.namespaces[{namespace.name}]"
    if namespace.name in RESERVED_NAMESPACES:
        yield Problem(f"{path}.name", "is reserved for the chat's own channels")
    yield from _check_options(path, namespace)


def _check_options(path: str, options: ChannelOptions) -> Iterator[Problem]:
    if bool(options.history_size) != bool(options.history_ttl):
        there, missing = ("history_size", "history_ttl") if options.history_size else ("history_ttl", "history_size")
        yield Problem(f"{path}.{missing}", "history needs history_size and history_ttl", other=f"{path}.{there}")
    has_history = bool(options.history_size and options.history_ttl)
    for name in ("force_recovery", "allow_recovery", "force_positioning", "allow_positioning"):
        if getattr(options, name) and not has_history:
            yield Problem(f"{path}.{name}", "needs history_size and history_ttl")


def _check_uploads(config: Config) -> Iterator[Problem]:
    uploads = config.uploads
    if uploads.link_key and len(uploads.link_key.reveal().encode()) < MIN_LINK_KEY_BYTES:
        yield Problem("uploads.link_key", f"must have at least {MIN_LINK_KEY_BYTES} bytes")
    if uploads.pending_ttl < uploads.link_ttl:
        yield Problem(
            "uploads.pending_ttl",
            f"must not be below uploads.link_ttl ({format_duration(uploads.link_ttl)})",
            other="uploads.link_ttl",
        )
    for glob in uploads.allowed_types:
        if re.fullmatch(r"[A-Za-z0-9!#$&^_.+*-]+/[A-Za-z0-9!#$&^_.+*-]+", glob) is None:
            yield Problem("uploads.allowed_types", 'expected types such as "image/*" or "application/pdf"')
            break
    if uploads.store == "s3":
        for name in ("endpoint", "bucket", "access_key_id", "secret_access_key"):
            if not getattr(uploads.s3, name):
                yield Problem(f"uploads.s3.{name}", 'is required with uploads.store = "s3"', other="uploads.store")


def remarks(config: Config) -> list[Problem]:
    """What is allowed and has no effect, or not the one that was meant. Told to people, never a reason to refuse."""
    found = list(_useless_options("channel.without_namespace", config.channel.without_namespace))
    for namespace in config.channel.namespaces:
        found += _useless_options(f"channel.namespaces[{namespace.name}]", namespace)
    if not (
        config.token.hmac_secret_key or config.token.keys or config.token.jwks_public_endpoint or _pems(config.token)
    ):
        found.append(Problem("token", "has no key: every token is refused"))
    server = config.server
    if server.termination_delay > server.shutdown_timeout / 2:
        found.append(
            Problem("server.termination_delay", "is more than half of server.shutdown_timeout: it is cut to it")
        )
    if server.tls.certificate and server.public_url.startswith("http://"):
        found.append(Problem("server.public_url", "is http:// while server.tls has a certificate"))
    if not config.api.key:
        found.append(Problem("api.key", "is empty: the server API answers 401 to everyone"))
    if config.uploads.store == "disk" and not (config.uploads.link_key or config.api.key):
        found.append(Problem("uploads.link_key", "is empty and so is api.key: there are no uploads"))
    if config.admin.enabled and not (config.admin.secret or config.api.key):
        found.append(Problem("admin.secret", "is empty and so is api.key: nobody can sign in to the admin page"))
    return found


def _useless_options(path: str, options: ChannelOptions) -> Iterator[Problem]:
    if options.force_push_join_leave and not options.join_leave:
        yield Problem(f"{path}.force_push_join_leave", "has no effect without join_leave")
    for verb in ("subscribe", "publish", "presence", "history"):
        names = (f"allow_{verb}_for_client", f"allow_{verb}_for_subscriber")
        granting = [name for name in names if hasattr(options, name)]
        if getattr(options, f"allow_{verb}_for_anonymous") and not any(getattr(options, name) for name in granting):
            yield Problem(f"{path}.allow_{verb}_for_anonymous", f"has no effect without {' or '.join(granting)}")
    for verb, enabled in (("presence", options.presence), ("history", bool(options.history_size))):
        for who in ("client", "subscriber"):
            if getattr(options, f"allow_{verb}_for_{who}") and not enabled:
                yield Problem(f"{path}.allow_{verb}_for_{who}", f"has no effect: these channels keep no {verb}")


def _pems(token: TokenSection) -> bool:
    return bool(token.rsa_public_key or token.ecdsa_public_key or token.ed25519_public_key)
