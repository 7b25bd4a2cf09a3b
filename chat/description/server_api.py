"""The operations under `/api`, for the application's own servers. Pure."""

from chat.description import refusals, words
from chat.description.rest import data_required, operation_id
from chat.description.schemas import Schema, Schemas, docstring
from chat.http.server_api import requests
from chat.http.server_api.api import API, BATCH, ApiMethod
from chat.http.server_api.results import BatchReplies, Error


def paths(schemas: Schemas) -> dict[str, Schema]:
    """Every path under `/api`."""
    found = {f"/api/{method.name}": {"post": _operation(method, schemas)} for method in API.values()}
    found[f"/api/{BATCH}"] = {"post": _batch(schemas)}
    return found


def _operation(method: ApiMethod, schemas: Schemas) -> Schema:
    # Results first: what both ways have keeps its name for the answer.
    result = schemas.ref(method.result, "out")
    error = schemas.ref(Error, "out")
    answer: Schema = {
        "oneOf": [
            {"type": "object", "properties": {"result": result}, "required": ["result"]},
            {"type": "object", "properties": {"error": error}, "required": ["error"]},
        ]
    }
    required = data_required(method.request)
    return _post(
        method.name,
        method.summary,
        docstring(method.request),
        schemas.ref(method.request, "in"),
        answer,
        required=required,
    )


def _batch(schemas: Schemas) -> Schema:
    replies = schemas.ref(BatchReplies, "out")
    error: Schema = {
        "type": "object",
        "properties": {"error": schemas.ref(Error, "out")},
        "required": ["error"],
    }
    request = schemas.ref(requests.Batch, "in")
    return _post(
        BATCH,
        "Several commands at once.",
        docstring(requests.Batch),
        request,
        {"oneOf": [replies, error]},
        required=True,
    )


def _post(name: str, summary: str, description: str, request: Schema, answer: Schema, *, required: bool) -> Schema:
    return {
        "operationId": f"api.{operation_id(name)}",
        "summary": summary.rstrip("."),
        **({"description": description} if description else {}),
        "tags": [words.API_TAG[0]],
        "security": [{"apiKey": []}],
        "requestBody": {"required": required, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {
                "description": "The result, or the error that the method ended with.",
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
                "content": {"application/json": {"schema": answer}},
            },
            "401": {"description": "The key is missing or another one. There is no body."},
            **refusals.of_server_api(),
        },
    }
