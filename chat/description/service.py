"""Health, metrics and the descriptions themselves. Pure."""

from typing import Final

from chat.description import words
from chat.description.schemas import Schema, Schemas
from chat.health import Readiness

_TAGS: Final = [words.SERVICE_TAG[0]]
OPENAPI_PATH: Final = "/openapi.json"
ASYNCAPI_PATH: Final = "/asyncapi.json"


def paths(schemas: Schemas) -> dict[str, Schema]:
    """What operators and tools ask for."""
    readiness = {"application/json": {"schema": schemas.ref(Readiness, "out")}}
    alive: Schema = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
    text: Schema = {"schema": {"type": "string"}}
    return {
        "/livez": _get("livez", "Whether the process lives", {"200": _answer("It does.", _json(alive))}),
        "/readyz": _get(
            "readyz",
            "Whether to send traffic to this process",
            {
                "200": _answer("Yes; it may be without Redis, which `degraded` says.", readiness),
                "503": _answer("No: a database is away, or it is closing.", readiness),
            },
        ),
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "summary": "The samples of this node, as Prometheus reads them",
                "tags": _TAGS,
                "security": [{}, {"metricsToken": []}],
                "responses": {
                    "200": _answer("The samples.", {"text/plain": text, "application/openmetrics-text": text}),
                    "401": _answer("A token is configured, and this is none.", {"text/plain": text}),
                    "503": _answer("The samples cannot be read.", {"text/plain": text}),
                },
            }
        },
        OPENAPI_PATH: _get("openapi", "This document", {"200": _answer("OpenAPI 3.1.", _json({"type": "object"}))}),
        ASYNCAPI_PATH: _get(
            "asyncapi",
            "The socket, described",
            {"200": _answer("AsyncAPI 3.0.", _json({"type": "object"}))},
        ),
    }


def _get(name: str, summary: str, responses: Schema) -> Schema:
    return {"get": {"operationId": name, "summary": summary, "tags": _TAGS, "security": [], "responses": responses}}


def _answer(description: str, content: Schema) -> Schema:
    return {"description": description, "content": content}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
