"""The certificate that a server shows: loaded from files, checked before it is used, loaded again when they change."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509

from chat.config.server import TlsSection

log = structlog.get_logger(__name__)

WATCH_INTERVAL_S: Final = 5.0
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only. Those of 1.3 are all like that."""

_Stamp = tuple[tuple[int, int, int], ...]


class TlsUnusable(Exception):
    """Certificate and key cannot be served. `key` is the one of the configuration; the text says why."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class Certificate:
    """One certificate in one context, which new connections use. Connections that are open keep what they have."""

    def __init__(self, section: TlsSection) -> None:
        """Raises TlsUnusable."""
        self._stamp = _stamp(section)
        self.context = checked_context(section)
        self._section = section
        self._refused: _Stamp | None = None
        self.expires_at = _expires_at(section.certificate)

    def use(self, section: TlsSection) -> None:
        """Show another certificate from now on. Raises TlsUnusable, and then the old one stays.

        The least version of TLS stays as it is: that needs a restart.
        """
        stamp = _stamp(section)
        # Into a context that nobody uses, first: a key that does not fit must not leave this one half changed.
        checked_context(section)
        expires_at = _expires_at(section.certificate)
        _load(self.context, section)
        self._section, self._stamp, self.expires_at = section, stamp, expires_at
        log.info("tls_certificate_loaded", file=section.certificate, expires_at=expires_at.isoformat())

    async def watch(self, *, every_s: float = WATCH_INTERVAL_S) -> None:
        """Load the files again whenever they have changed; until cancelled.

        Files that do not fit together stay unused (one may be written before the other) until they change again.
        """
        told = ""
        while True:
            await asyncio.sleep(every_s)
            try:
                stamp = _stamp(self._section)
                if stamp in (self._stamp, self._refused):
                    continue
                self._refused = stamp
                self.use(self._section)
                told = ""
            except TlsUnusable as error:
                if str(error) != told:
                    told = str(error)
                    kept_until = self.expires_at.isoformat()
                    log.warning("tls_certificate_refused", key=error.key, reason=error.reason, kept_until=kept_until)


def checked_context(section: TlsSection) -> ssl.SSLContext:
    """A context for a server. Raises TlsUnusable for files that cannot be read, or do not fit together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[section.min_version]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    _load(context, section)
    return context


def _load(context: ssl.SSLContext, section: TlsSection) -> None:
    for name, path in (("certificate", section.certificate), ("key", section.key)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise TlsUnusable(f"server.tls.{name}", f"cannot read {path}: {error.strerror}") from error
    try:
        context.load_cert_chain(section.certificate, section.key, _no_password)
    except ssl.SSLError as error:
        _expires_at(section.certificate)  # one of the two it is, and OpenSSL does not say which
        reason = (error.reason or "is not a private key in PEM").lower().replace("_", " ")
        raise TlsUnusable("server.tls.key", reason) from error
    except (OSError, ValueError) as error:
        raise TlsUnusable("server.tls.key", str(error)) from error


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a server has none.
    raise ValueError("is encrypted: a key without a password is needed")


def _expires_at(path: str) -> datetime:
    """When the first certificate of a file ends. Raises TlsUnusable."""
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        raise TlsUnusable("server.tls.certificate", "is not a certificate in PEM") from error


def days_left(certificate: Certificate) -> float:
    """How long the certificate is still good; below zero when it is not."""
    return (certificate.expires_at - datetime.now(UTC)).total_seconds() / 86_400


def _stamp(section: TlsSection) -> _Stamp:
    """What changes when a file does, also where it is a link that is turned to another one. Raises TlsUnusable."""
    found = []
    for name, path in (("certificate", section.certificate), ("key", section.key)):
        try:
            status = Path(path).stat()
        except OSError as error:
            raise TlsUnusable(f"server.tls.{name}", f"cannot read {path}: {error.strerror}") from error
        found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
