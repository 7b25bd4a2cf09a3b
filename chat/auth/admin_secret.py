"""The secret of the admin page, the same on all processes and known to the command line that makes its links."""

import hashlib
import hmac
from typing import Final

from chat.config import Config

_DERIVATION: Final = b"hubbub admin secret"


def admin_secret(config: Config) -> bytes:
    """`admin.secret`, else derived from `api.key`: who has that may do as much. Empty when both are."""
    if config.admin.secret:
        return config.admin.secret.reveal().encode()
    if config.api.key:
        return hmac.digest(config.api.key.reveal().encode(), _DERIVATION, hashlib.sha256)
    return b""
