"""Signed links of the store on disk. Pure: a link says what it is good for, and nobody else can make one."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

PATH: Final = "/uploads/"

_SIGNATURE: Final = "signature"
_EXPIRES: Final = "expires"


class LinkRefused(Exception):
    """`str()` says why, and what to do."""


class Links:
    """`base` is the address of this server without a slash at its end; empty: links are paths."""

    def __init__(self, key: bytes, base: str) -> None:
        self._key = key
        self._base = base

    def make(self, verb: str, upload: str, fields: Mapping[str, str], *, expires_at: int) -> str:
        """A link that carries `fields` to whoever serves it. `expires_at` in ms UTC."""
        query = {**fields, _EXPIRES: str(expires_at)}
        query[_SIGNATURE] = self._signature(verb, upload, query)
        return f"{self._base}{PATH}{upload}?{urlencode(query)}"

    def check(self, verb: str, upload: str, query: Mapping[str, str], *, now: int) -> dict[str, str]:
        """The fields of a link. Raises LinkRefused."""
        fields = dict(query)
        signature = fields.pop(_SIGNATURE, "")
        expected = self._signature(verb, upload, fields)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass")):
            raise LinkRefused("the signature is not ours, or the link was changed: take the link as it is")
        if int(fields.pop(_EXPIRES)) <= now:
            raise LinkRefused("the link has expired: upload.create with the same key, or upload.get, makes a new one")
        return fields

    def _signature(self, verb: str, upload: str, fields: Mapping[str, str]) -> str:
        said = "\n".join((verb, upload, urlencode(sorted(fields.items()), errors="surrogatepass")))
        digest = hmac.digest(self._key, said.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
