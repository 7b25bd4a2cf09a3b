"""Presigned links of S3-compatible stores, by botocore's signer: pure computation, no request is made here."""

from collections.abc import Mapping
from typing import Final

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_SERVICE: Final = "s3"


class Signer:
    """Signs with one key pair for one region."""

    def __init__(self, access_key_id: str, secret_access_key: str, region: str) -> None:
        self._credentials = Credentials(access_key_id, secret_access_key)
        self._region = region

    def __repr__(self) -> str:
        return f"Signer({self._region!r})"

    def presigned(self, verb: str, url: str, headers: Mapping[str, str], *, ttl_s: int) -> str:
        """The link for a request with exactly these headers (and Host), good for so long from now."""
        request = AWSRequest(method=verb, url=url, headers=dict(headers))
        S3SigV4QueryAuth(self._credentials, _SERVICE, self._region, expires=max(1, ttl_s)).add_auth(request)
        return str(request.url)
