"""Files in an S3-compatible store. Clients put and get them by presigned links; this process only looks and copies.

    <prefix><id>/put      what a client put, as long as its link is good
    <prefix><id>/<copy>   what was found right, or is being looked at

Every request, also this process's own, is a presigned link (AWS Signature Version 4). One for a PUT is good only for
the announced Content-Length and Content-Type: both are signed headers.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import hdrs
from yarl import URL

from chat.files.dispositions import disposition, served_type
from chat.files.signing import Signer
from chat.usecases.files import FilesAway, SignedPut

TIMEOUT_S: Final = 30.0
_PUT: Final = "put"
_OWN_TTL_S: Final = 60
_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Bucket:
    """`endpoint` and `public_endpoint` (for clients) without a slash at their end."""

    endpoint: str
    public_endpoint: str
    name: str
    prefix: str
    path_style: bool

    def url(self, name: str, *, public: bool) -> str:
        endpoint = self.public_endpoint if public else self.endpoint
        path = quote(f"{self.prefix}{name}")
        if self.path_style:
            return f"{endpoint}/{self.name}/{path}"
        scheme, _, host = endpoint.partition("://")
        return f"{scheme}://{self.name}.{host}/{path}"


class S3Files:
    """`Files` in a bucket."""

    def __init__(self, bucket: Bucket, signer: Signer, session: aiohttp.ClientSession) -> None:
        self._bucket = bucket
        self._signer = signer
        self._session = session

    def put_link(self, upload: str, *, size_bytes: int, content_type: str, now: int, ttl_ms: int) -> SignedPut:
        signed = {"content-type": content_type, "content-length": str(size_bytes)}
        url = self._bucket.url(f"{upload}/{_PUT}", public=True)
        return SignedPut(
            self._signer.presigned(hdrs.METH_PUT, url, signed, ttl_s=ttl_ms // 1000), {"Content-Type": content_type}
        )

    def get_link(self, upload: str, copy: str, *, name: str, content_type: str, now: int, ttl_ms: int) -> str:
        told = {
            "response-content-disposition": disposition(name, content_type),
            "response-content-type": served_type(content_type),
        }
        url = f"{self._bucket.url(f'{upload}/{copy}', public=True)}?{urlencode(told, quote_via=quote)}"
        return self._signer.presigned(hdrs.METH_GET, url, {}, ttl_s=ttl_ms // 1000)

    async def copy(self, upload: str, copy: str, *, content_type: str) -> int | None:
        source = quote(f"/{self._bucket.name}/{self._bucket.prefix}{upload}/{_PUT}")
        headers = {
            "x-amz-copy-source": source,
            "x-amz-metadata-directive": "REPLACE",
            "content-type": content_type,
        }
        async with self._request(hdrs.METH_PUT, f"{upload}/{copy}", headers) as answer:
            if answer.status == 404:
                return None
            # A copy may fail after its status was sent: then the body says so.
            if b"CopyObjectResult" not in await _ok(answer):
                raise FilesAway("the store did not copy")
        async with self._request(hdrs.METH_HEAD, f"{upload}/{copy}", {}) as answer:
            await _ok(answer)
            return int(answer.headers[hdrs.CONTENT_LENGTH])

    async def read(self, upload: str, copy: str, upto_bytes: int) -> bytes:
        # Whole ranges are asked for: what is not there is not sent.
        wanted = {"Range": f"bytes=0-{upto_bytes - 1}"}
        async with self._request(hdrs.METH_GET, f"{upload}/{copy}", {}, unsigned=wanted) as answer:
            return (await _ok(answer, upto_bytes))[:upto_bytes]

    async def drop_put(self, upload: str) -> None:
        await self.drop_copy(upload, _PUT)

    async def drop_copy(self, upload: str, copy: str) -> None:
        async with self._request(hdrs.METH_DELETE, f"{upload}/{copy}", {}) as answer:
            if answer.status != 404:
                await _ok(answer)

    async def drop(self, upload: str, copies: Sequence[str]) -> None:
        for copy in (_PUT, *copies):
            await self.drop_copy(upload, copy)

    async def probe(self) -> None:
        """Raises FilesAway."""
        headers = {"content-type": "text/plain", "content-length": "5"}
        async with self._request(hdrs.METH_PUT, "probe", headers, body=b"probe") as answer:
            await _ok(answer)
        async with self._request(hdrs.METH_GET, "probe", {}) as answer:
            await _ok(answer)
        async with self._request(hdrs.METH_DELETE, "probe", {}) as answer:
            await _ok(answer)

    @asynccontextmanager
    async def _request(
        self,
        verb: str,
        name: str,
        signed: Mapping[str, str],
        *,
        unsigned: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._signer.presigned(verb, self._bucket.url(name, public=False), signed, ttl_s=_OWN_TTL_S)
        headers = {**signed, **(unsigned or {})}
        try:
            async with self._session.request(
                verb,
                # Encoded as it was signed.
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                skip_auto_headers=[hdrs.CONTENT_TYPE],
                allow_redirects=False,
            ) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            # Not the error's text: it may quote the link.
            raise FilesAway(f"{self._bucket.endpoint}: {type(error).__name__}") from None


@asynccontextmanager
async def s3_files(bucket: Bucket, signer: Signer) -> AsyncIterator[S3Files]:
    """With connections that are kept."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield S3Files(bucket, signer, session)


async def _ok(answer: aiohttp.ClientResponse, upto_bytes: int = 64 * 1024) -> bytes:
    """The first bytes of the body. Raises FilesAway with what the store says."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) >= upto_bytes:
            break
    if answer.status // 100 != 2:
        code = bytes(body).partition(b"<Code>")[2].partition(b"</Code>")[0].decode(errors="replace")
        raise FilesAway(f"the store answers {answer.status} {code[:64]}".rstrip())
    return bytes(body)
