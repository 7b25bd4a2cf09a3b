"""Which SDKs there are."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from conformance.harness.clients import GetToken, SdkClient
from conformance.harness.tokens import connection_token

VARIANTS: Final = tuple(product(("javascript", "python"), ("json", "protobuf")))

OpenClient = Callable[..., AbstractAsyncContextManager[SdkClient]]
"""Takes URL, codec, token callback and connect data."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK with one codec."""

    name: str
    codec: str
    open: OpenClient

    def client(
        self, url: str, user: str, *, data: Any = None, get_token: GetToken | None = None
    ) -> AbstractAsyncContextManager[SdkClient]:
        """A client of `user` that is not connected yet."""

        async def good_token() -> str:
            return connection_token(user)

        return self.open(url, self.codec, get_token or good_token, data=data)
