"""The paths of files that are on this machine's disk, where signed links lead. Pure."""

from http import HTTPStatus
from typing import Final

from chat.description import refusals, words
from chat.description.schemas import Schema
from chat.files.links import PATH

_FILE: Final[Schema] = {"schema": {"type": "string", "format": "binary"}}
_NOTE: Final = "A deployment that keeps files in an object store has links to that instead."


def paths() -> dict[str, Schema]:
    """`PUT` and `GET` of a file."""
    request_id: Schema = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    shared: Schema = {"tags": [words.TAGS["upload"][0]], "security": [], "parameters": _parameters()}
    put = (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    get = (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    return {
        f"{PATH}{{upload}}": {
            "put": {
                "operationId": "uploadPut",
                "summary": "Put the bytes of a file where `upload.create` said",
                "description": f"With the method and the headers of the link, and exactly the announced size. {_NOTE}",
                **shared,
                "requestBody": {"required": True, "content": {"*/*": _FILE}},
                "responses": {
                    "204": {"description": "It has arrived; `upload.complete` is next.", "headers": request_id},
                    **_refused(put),
                },
            },
            "get": {
                "operationId": "uploadRead",
                "summary": "The file, or a range of it",
                "description": f"`upload.get` makes the link. {_NOTE}",
                **shared,
                "responses": {
                    "200": {"description": "The file.", "headers": request_id, "content": {"*/*": _FILE}},
                    "206": {"description": "The range.", "headers": request_id, "content": {"*/*": _FILE}},
                    "304": {"$ref": "#/components/responses/NotModified"},
                    "416": {"description": "There is no such range."},
                    **_refused(get),
                },
            },
        }
    }


def _parameters() -> list[Schema]:
    return [
        {
            "name": "upload",
            "in": "path",
            "required": True,
            "description": words.FIELDS["upload"],
            "schema": {"type": "string", "pattern": "^[a-z2-7]{26}$"},
        },
        {
            "name": "signature",
            "in": "query",
            "description": "With the other parameters of the link, which are to be sent as they are.",
            "schema": {"type": "string"},
        },
    ]


def _refused(statuses: tuple[HTTPStatus, ...]) -> Schema:
    return {str(status.value): refusals.ref(status) for status in statuses}
