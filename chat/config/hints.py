"""What to say about a key that does not exist: the one that was meant, or why it is not here."""

import difflib
from collections.abc import Iterable
from typing import Final

_MOVED: Final = {
    "client.token": "token",
    "client.subscription_token": "subscription_token",
    "http_api.key": "api.key",
    "node.name": "server.node_name",
    "http_server.port": "server.port",
    "http_server.address": "server.host",
    "shutdown.timeout": "server.shutdown_timeout",
    "shutdown.termination_delay": "server.termination_delay",
    "http_server.tls.enabled": "server.tls.certificate",
    "http_server.tls.cert_pem_file": "server.tls.certificate",
    "http_server.tls.key_pem_file": "server.tls.key",
    "server.origins": "client.allowed_origins",
    "client.connect_timeout": "client.stale_close_delay",
}
"""Places that people look in: Centrifugo's layout where ours differs."""

_INSTEAD: Final = {
    "engine": "here it is mongodb.url and redis.urls",
    "broker": "here it is redis.urls",
    "admin.password": "sign in with a link from hubbub admin link",
    "admin.insecure": "sign in with a link from hubbub admin link",
    "prometheus": "metrics are always at /metrics",
    "health": "health is always at /livez and /readyz",
    "proxies": "proxies are not offered",
    "client.proxy": "proxies are not offered, use tokens",
    "rpc": "methods are documented in docs/protocol.md, there are no others",
}
"""Tables of Centrifugo for which there is something else, or nothing."""

_NOT_OFFERED: Final = {
    "allowed_delta_types": "delta compression is not offered",
    "delta_publish": "delta compression is not offered",
    "force_recovery_mode": "streams are the only recovery mode",
    "channel_regex": "names are checked by namespace and length only",
    "publication_data_format": "every payload is JSON",
    "allow_tags_filter": "tags filters are not offered",
    "subscribe_proxy_enabled": "proxies are not offered, use subscription tokens",
    "subscribe_proxy_name": "proxies are not offered, use subscription tokens",
    "publish_proxy_enabled": "proxies are not offered, publish through the server API",
    "publish_proxy_name": "proxies are not offered, publish through the server API",
    "sub_refresh_proxy_enabled": "proxies are not offered, use subscription tokens",
    "sub_refresh_proxy_name": "proxies are not offered, use subscription tokens",
    "subscription_type": "streams are the only kind of subscription",
    "hmac_previous_secret_key_valid_until": "remove hmac_previous_secret_key when its last token has expired",
}
"""Centrifugo's options that there is nothing for here."""


def hint(unknown: str, known: Iterable[str]) -> str:
    """Half a sentence that follows "unknown key", or nothing. Both are dotted."""
    for old, new in _MOVED.items():
        if unknown == old or unknown.startswith(f"{old}."):
            return f"here it is {new}{unknown.removeprefix(old)}"
    for table, instead in _INSTEAD.items():
        if unknown == table or unknown.startswith(f"{table}."):
            return instead
    leaf = unknown.rpartition(".")[2]
    if leaf in _NOT_OFFERED:
        return _NOT_OFFERED[leaf]
    meant = closest(unknown, known)
    return f"did you mean {meant}?" if meant else ""


def closest(unknown: str, known: Iterable[str]) -> str:
    """The known key most like it: in the same table first, then the same name elsewhere, then anything alike."""
    keys = sorted(known)
    table, _, leaf = unknown.rpartition(".")
    beside = {key.rpartition(".")[2]: key for key in keys if key.rpartition(".")[0] == table}
    if alike := difflib.get_close_matches(leaf, beside, n=1, cutoff=0.7):
        return beside[alike[0]]
    if elsewhere := [key for key in keys if key.rpartition(".")[2] == leaf]:
        return min(elsewhere, key=len)
    alike = difflib.get_close_matches(unknown, keys, n=1, cutoff=0.7)
    return alike[0] if alike else ""
