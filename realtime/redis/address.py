"""Where a Redis server is and how to greet it, read from a `redis://`, `rediss://` or `unix://` URL.

The URL is read by redis-py's own parser, so that the bus and the commands never disagree about one.
"""

import ssl
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import parse_url

_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class Address:
    """`identity` is what tells servers apart and what logs may show: no credentials in it."""

    identity: str
    host: str = ""
    port: int = 0
    path: str = ""
    tls: ssl.SSLContext | None = None
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    db: int = 0

    def greeting(self, client_name: str) -> list[tuple[bytes, ...]]:
        """Commands that open a connection, in order. The last one proves that the server answers commands."""
        commands: list[tuple[bytes, ...]] = []
        if self.password:
            names = (self.username, self.password) if self.username else (self.password,)
            commands.append((b"AUTH", *(name.encode() for name in names)))
        if self.db:
            commands.append((b"SELECT", b"%d" % self.db))
        commands.append((b"CLIENT", b"SETNAME", client_name.encode()))
        commands.append((b"PING",))
        return commands


def parse_address(url: str) -> Address:
    """Raises ValueError for what is not a Redis URL; the message does not repeat it, as it may hold a password."""
    try:
        options = dict(parse_url(url))
        db = int(str(options.get("db") or 0))
        username, password = str(options.get("username") or ""), str(options.get("password") or "")
        if options.get("connection_class") is UnixDomainSocketConnection:
            path = str(options["path"])
            return Address(f"unix:{path}/{db}", path=path, username=username, password=password, db=db)
        host, port = str(options.get("host") or "localhost"), int(str(options.get("port") or 6379))
        tls = _tls(options) if options.get("connection_class") is SSLConnection else None
        return Address(f"{host}:{port}/{db}", host, port, "", tls, username, password, db)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"not a usable Redis URL: {type(error).__name__}") from None


def _tls(options: dict[str, object]) -> ssl.SSLContext:
    """The context for redis-py's `ssl_*` options as they are written in a URL."""
    authorities = options.get("ssl_ca_certs")
    context = ssl.create_default_context(cafile=str(authorities) if authorities else None)
    verify = _VERIFY[str(options.get("ssl_cert_reqs") or "required").lower()]
    context.check_hostname = bool(options.get("ssl_check_hostname", True)) and verify is not ssl.CERT_NONE
    context.verify_mode = verify
    if certificate := options.get("ssl_certfile"):
        key = options.get("ssl_keyfile")
        context.load_cert_chain(str(certificate), str(key) if key else None)
    return context
