"""Files to attach to messages: announced, put by the client itself, checked by their content, given out by link."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from chat.usecases.access import Access, parent_of
from chat.usecases.checking import given
from chat.usecases.failures import Unseen, told
from chat.usecases.files import Files, FilesAway, FilesBusy, Inspector, Seen, SignedPut, Unacceptable, Uploading
from chat.vocabulary import uploads as words
from chat.vocabulary.types import Custom
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import Upload, UploadState, ids
from storage.store import Store

log = structlog.get_logger(__name__)

DAY_MS: Final = 86_400_000
USES_LOOKED_AT: Final = 1000
"""Whether somebody may have an upload is decided by this many of the messages that use it, if they do not say which."""

_COPY_BYTES: Final = 8


class _Given(Struct, frozen=True, forbid_unknown_fields=True):
    """An attachment that names an upload, as a request has it."""

    upload: words.UploadId
    name: words.FileName | None = None
    custom: Custom | None = None


class Uploads:
    def __init__(self, store: Store, access: Access, uploading: Uploading, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._access = access
        self._uploading = uploading
        self._rules = uploading.rules
        self._clock_ms = clock_ms

    async def create(self, user: str, request: words.UploadCreate) -> words.UploadCreated:
        """Announce a file. Raises ClientError: too large, of a type that is not allowed, too many."""
        files, _ = self._on()
        self._check_announced(request)
        now = self._clock_ms()
        new = Upload(
            id=ids.conversation_id(secrets.token_bytes),
            user=user,
            name=request.name,
            content_type=request.content_type,
            size_bytes=request.size_bytes,
            created_at=now,
            look_at=now + self._rules.pending_ttl_ms,
        )
        with told():
            upload, duplicate = await self._store.uploads.create(new, key=given(request.idempotency_key))
            if not duplicate:
                await self._check_budget(new)
        if upload.state is UploadState.READY:
            return words.UploadCreated(_shown(upload), duplicate=True)
        if upload.state is UploadState.REMOVED or now >= upload.created_at + self._rules.pending_ttl_ms:
            raise ClientError(
                codes.CONFLICT, "stands for an upload that was removed: take a new key", "idempotency_key"
            )
        ttl_ms = min(self._rules.link_ttl_ms, upload.created_at + self._rules.pending_ttl_ms - now)
        signed = files.put_link(
            upload.id, size_bytes=upload.size_bytes, content_type=upload.content_type, now=now, ttl_ms=ttl_ms
        )
        return words.UploadCreated(_shown(upload), _put_link(signed, now + ttl_ms), duplicate=duplicate)

    async def complete(self, user: str, request: words.UploadComplete) -> words.UploadCompleted:
        """Check what was put. May be repeated: what is ready stays as it is. Raises ClientError: what is wrong."""
        files, inspector = self._on()
        upload = await self._own(user, request.upload)
        if upload.state is UploadState.PENDING:
            upload = await self._checked(files, inspector, upload)
        return words.UploadCompleted(_shown(upload))

    async def get(self, user: str, request: words.UploadGet) -> words.UploadResult:
        """An upload with a fresh link, for its user and for members of a conversation that it was sent to."""
        files, _ = self._on()
        with told():
            upload = await self._store.uploads.get(request.upload)
        if upload is None or upload.state is UploadState.REMOVED:
            raise _unknown()
        if upload.user != user:
            await self._require_used(user, upload, given(request.conversation))
        if upload.file is None:
            return words.UploadResult(_shown(upload))
        now, ttl_ms = self._clock_ms(), self._rules.link_ttl_ms
        url = files.get_link(
            upload.id, upload.file, name=upload.name, content_type=upload.content_type, now=now, ttl_ms=ttl_ms
        )
        return words.UploadResult(_shown(upload), words.GetLink(url, now + ttl_ms))

    async def expected(self, upload: str) -> bool:
        """Whether a file may be put there still."""
        with told():
            found = await self._store.uploads.get(upload)
        return found is not None and found.state is UploadState.PENDING

    async def attached(
        self, user: str, attachments: Sequence[Mapping[str, Any]], already: Sequence[Mapping[str, Any]] = ()
    ) -> list[Mapping[str, Any]]:
        """Attachments of a message as they are stored: what names an upload says what the server knows of it.

        Uploads have to be `user`'s own and ready, or used by `already`, the attachments that the message has. They stay
        for a day at least, so that the message may be sent. Raises ClientError naming `attachments[i]`.
        """
        wanted = {index: _parsed(one, index) for index, one in enumerate(attachments) if "upload" in one}
        if not wanted:
            return list(attachments)
        self._on()
        there = {one["upload"] for one in already if isinstance(one.get("upload"), str)}
        now = self._clock_ms()
        chosen = [one.upload for one in wanted.values()]
        old = [upload for upload in chosen if upload in there]
        new = [upload for upload in chosen if upload not in there]
        look_at = now + self._rules.unused_ttl_ms
        found: dict[str, Upload] = {}
        with told():
            if new:
                found |= await self._store.uploads.keep(new, user=user, at=now, look_at=look_at)
            if old:
                found |= await self._store.uploads.keep(old, user=None, at=now, look_at=look_at)
        result = list(attachments)
        for index, one in wanted.items():
            if one.upload not in found:
                raise ClientError(
                    codes.BAD_REQUEST,
                    "must be an upload of yours that is ready: upload.complete comes first",
                    f"attachments[{index}].upload",
                )
            result[index] = _attachment(one, found[one.upload])
        return result

    async def forwarded(self, attachments: Sequence[Mapping[str, Any]]) -> None:
        """Before a message is sent that takes these along from another: their uploads stay."""
        used = [one["upload"] for one in attachments if isinstance(one.get("upload"), str)]
        if used:
            now = self._clock_ms()
            with told():
                await self._store.uploads.keep(used, user=None, at=now, look_at=now + self._rules.unused_ttl_ms)

    def _on(self) -> tuple[Files, Inspector]:
        if self._uploading.files is None or self._uploading.inspector is None:
            raise ClientError(codes.NOT_AVAILABLE, self._uploading.off)
        return self._uploading.files, self._uploading.inspector

    def _check_announced(self, request: words.UploadCreate) -> None:
        rules = self._rules
        if request.size_bytes > rules.max_bytes:
            raise ClientError(codes.BAD_REQUEST, f"must be at most {rules.max_bytes}", "size_bytes")
        if not any(fnmatchcase(request.content_type, glob) for glob in rules.allowed_types):
            raise ClientError(
                codes.BAD_REQUEST, f"is not taken here; it may be {', '.join(rules.allowed_types)}", "content_type"
            )

    async def _check_budget(self, new: Upload) -> None:
        """Counted with the new one in place, so that of two at the same time not both can be the last one."""
        rules, now = self._rules, new.created_at
        recent = await self._store.uploads.since(new.user, now - DAY_MS, rules.day_count + 1)
        pending = [one for one in recent if _is_pending(one, now - rules.pending_ttl_ms)]
        refusal = None
        if len(pending) > rules.pending_per_user:
            refusal = ClientError(
                codes.LIMIT_EXCEEDED,
                f"{rules.pending_per_user} uploads may be on their way: complete some first, or wait until they expire",
            )
        elif len(recent) > rules.day_count or sum(one.size_bytes for one in recent) > rules.day_bytes:
            oldest = min(one.created_at for one in recent)
            refusal = ClientError(
                codes.TOO_MANY_REQUESTS,
                f"{rules.day_count} uploads and {rules.day_bytes} bytes may be announced within 24 hours",
                retry_after_ms=max(1000, oldest + DAY_MS - now),
            )
        if refusal is not None:
            await self._store.uploads.delete(new.id)
            raise refusal

    async def _own(self, user: str, upload: str) -> Upload:
        with told():
            found = await self._store.uploads.get(upload)
        if found is None or found.user != user or found.state is UploadState.REMOVED:
            raise _unknown()
        return found

    async def _checked(self, files: Files, inspector: Inspector, upload: Upload) -> Upload:
        copy = ids.conversation_id(secrets.token_bytes)[: 2 * _COPY_BYTES]
        with told():
            if not await self._store.uploads.begin_check(upload.id, copy):
                return await self._completed_meanwhile(upload)
        try:
            seen = await self._inspected(files, inspector, upload, copy)
            if seen is None:
                return await self._nothing_put(files, upload, copy)
            with told():
                ready = await self._store.uploads.ready(
                    upload.id,
                    copy,
                    width=seen.width,
                    height=seen.height,
                    preview=seen.preview,
                    look_at=self._clock_ms() + self._rules.unused_ttl_ms,
                )
            await (files.drop_put(upload.id) if ready else files.drop_copy(upload.id, copy))
        except FilesBusy:
            await self._not_looked_at(files, upload, copy)
            raise ClientError(
                codes.TOO_MANY_REQUESTS, "too many files are checked just now", retry_after_ms=2000
            ) from None
        except FilesAway as error:
            log.warning("file_store_away", error=str(error))
            raise ClientError(codes.UNAVAILABLE, "the store of files does not answer just now; repeat it") from error
        return await self._completed_meanwhile(upload)

    async def _inspected(self, files: Files, inspector: Inspector, upload: Upload, copy: str) -> Seen | None:
        """Copy what was put (None: nothing is there) and look at the copy. Raises ClientError, with the copy gone."""
        size = await files.copy(upload.id, copy, content_type=upload.content_type)
        if size is None:
            return None
        try:
            _check_put(size, upload)
            return await inspector.inspect(
                files, upload.id, copy, content_type=upload.content_type, size_bytes=upload.size_bytes
            )
        except Unacceptable as error:
            await files.drop_copy(upload.id, copy)
            raise ClientError(codes.BAD_REQUEST, str(error), error.field) from error

    async def _nothing_put(self, files: Files, upload: Upload, copy: str) -> Upload:
        """Whoever completed it just now has taken away what was put. Raises ClientError if nobody did."""
        await self._not_looked_at(files, upload, copy)
        found = await self._own(upload.user, upload.id)
        if found.state is UploadState.PENDING:
            raise ClientError(codes.BAD_REQUEST, "its file was not put yet: send the bytes to put.url first", "upload")
        return found

    async def _not_looked_at(self, files: Files, upload: Upload, copy: str) -> None:
        """It does not count as one of the times that an upload may be checked."""
        await files.drop_copy(upload.id, copy)
        with told():
            await self._store.uploads.forget_copy(upload.id, copy)

    async def _completed_meanwhile(self, upload: Upload) -> Upload:
        """What became of it, by us or by somebody who did the same."""
        found = await self._own(upload.user, upload.id)
        if found.state is UploadState.PENDING:
            raise ClientError(codes.LIMIT_EXCEEDED, "it was checked too often: announce a new upload")
        return found

    async def _require_used(self, user: str, upload: Upload, conversation: str | None) -> None:
        """Raises ClientError unless the user may read a message that uses the upload."""
        with told():
            used = await self._store.uploads.used_in(upload.id, USES_LOOKED_AT)
        if conversation is not None:
            # The claim is looked at by itself: it may be beyond what was looked at.
            standing = await self._access.standing(user, conversation)
            if standing is not None and (conversation in used or await self._is_used_in(upload.id, conversation)):
                return
            raise _unknown()
        with told():
            member = await self._store.uploads.is_member_of_any(user, {parent_of(one) or one for one in used})
        if not member:
            raise _unknown()

    async def _is_used_in(self, upload: str, conversation: str) -> bool:
        with told():
            return await self._store.uploads.is_used_in(upload, conversation)


def _check_put(size: int, upload: Upload) -> None:
    if size != upload.size_bytes:
        raise Unacceptable(f"its file has {size} bytes, announced were {upload.size_bytes}: put it again")


def _is_pending(upload: Upload, since: int) -> bool:
    return upload.state is UploadState.PENDING and upload.created_at > since


def _parsed(attachment: Mapping[str, Any], index: int) -> _Given:
    try:
        return msgspec.convert(attachment, _Given)
    except msgspec.ValidationError as error:
        rule, _, path = str(error).partition(" - at `$")
        raise ClientError(codes.BAD_REQUEST, rule, f"attachments[{index}]{path.rstrip('`')}") from None


def _attachment(asked: _Given, upload: Upload) -> dict[str, Any]:
    known = {
        "upload": upload.id,
        "name": asked.name or upload.name,
        "content_type": upload.content_type,
        "size_bytes": upload.size_bytes,
        "width": upload.width,
        "height": upload.height,
        "preview": upload.preview,
        "custom": asked.custom,
    }
    return {name: value for name, value in known.items() if value is not None}


def _shown(upload: Upload) -> words.Upload:
    return words.Upload(
        id=upload.id,
        state=upload.state.value,
        name=upload.name,
        content_type=upload.content_type,
        size_bytes=upload.size_bytes,
        created_at=upload.created_at,
        width=upload.width,
        height=upload.height,
        preview=upload.preview,
    )


def _put_link(signed: SignedPut, expires_at: int) -> words.PutLink:
    return words.PutLink(url=signed.url, method="PUT", headers=dict(signed.headers), expires_at=expires_at)


def _unknown() -> ClientError:
    """Foreign and missing are the same answer."""
    return Unseen("no such upload, or it is not yours to see", "upload")
