"""The store of files that the configuration names, and what uploads need besides."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from chat.config import Config
from chat.files.disk import DiskFiles
from chat.files.inspecting import inspecting
from chat.files.links import Links
from chat.files.sweeping import Sweeper, sweeping
from chat.usecases.files import Files, Uploading, UploadRules
from storage.mongo.uploads import Uploads

log = structlog.get_logger(__name__)

_DERIVATION: Final = b"hubbub upload links"
_NO_KEY: Final = "uploads need a key that signs their links: set uploads.link_key (or api.key)"
_NO_BOTOCORE: Final = "uploads.store = \"s3\" needs botocore: pip install 'hubbub[s3]'"


class FilesUnusable(Exception):
    """`str()` says what is missing and what to do."""


def link_key(config: Config) -> bytes:
    """`uploads.link_key`, else derived from `api.key`: who has that may do as much. Empty when both are."""
    if config.uploads.link_key:
        return config.uploads.link_key.reveal().encode()
    if config.api.key:
        return hmac.digest(config.api.key.reveal().encode(), _DERIVATION, hashlib.sha256)
    return b""


def rules(config: Config) -> UploadRules:
    uploads = config.uploads
    return UploadRules(
        max_bytes=uploads.max_size,
        allowed_types=uploads.allowed_types,
        pending_per_user=uploads.user_pending_limit,
        day_count=uploads.user_day_limit,
        day_bytes=uploads.user_day_max_size,
        link_ttl_ms=int(uploads.link_ttl * 1000),
        pending_ttl_ms=int(uploads.pending_ttl * 1000),
        unused_ttl_ms=int(uploads.unused_ttl * 1000),
    )


@asynccontextmanager
async def open_files(config: Config) -> AsyncIterator[Files]:
    """The store of the configuration. Raises FilesUnusable when it is off or something is missing.

    Nothing is asked of it before the first use: it may come later than this process.
    """
    match config.uploads.store:
        case "disk":
            key = link_key(config)
            if not key:
                raise FilesUnusable(_NO_KEY)
            links = Links(key, config.server.public_url.rstrip("/"))
            yield DiskFiles(Path(config.uploads.directory), links)
        case "s3":
            async with _s3(config) as files:
                yield files
        case _:
            raise FilesUnusable("uploads are off here (uploads.store)")


@asynccontextmanager
async def open_uploading(config: Config) -> AsyncIterator[Uploading]:
    """Everything that uploads need; without a store when there is none."""
    uploads = config.uploads
    async with AsyncExitStack() as stack:
        try:
            files = await stack.enter_async_context(open_files(config))
            looking = inspecting(allowed_types=uploads.allowed_types, max_pixels=uploads.image_max_pixels)
            opened = Uploading(files, await stack.enter_async_context(looking), rules(config))
        except FilesUnusable as error:
            opened = Uploading(rules=rules(config), off=str(error))
        yield opened


@asynccontextmanager
async def open_sweeping(config: Config, uploads: Uploads, clock_ms: Callable[[], int]) -> AsyncIterator[None]:
    """Removes what nobody needs until the block ends; nothing where there is no store."""
    async with AsyncExitStack() as stack:
        try:
            files = await stack.enter_async_context(open_files(config))
            await stack.enter_async_context(sweeping(Sweeper(uploads, files, rules(config), clock_ms)))
        except FilesUnusable as error:
            log.warning("uploads_not_swept", reason=str(error))
        yield


@asynccontextmanager
async def _s3(config: Config) -> AsyncIterator[Files]:
    try:
        # An extra: who keeps files on disk does not have it.
        from chat.files.s3 import Bucket, s3_files
        from chat.files.signing import Signer
    except ImportError:
        raise FilesUnusable(_NO_BOTOCORE) from None
    s3 = config.uploads.s3
    endpoint = s3.endpoint.rstrip("/")
    bucket = Bucket(endpoint, s3.public_endpoint.rstrip("/") or endpoint, s3.bucket, s3.prefix, s3.path_style)
    async with s3_files(bucket, Signer(s3.access_key_id.reveal(), s3.secret_access_key.reveal(), s3.region)) as files:
        yield files
