"""Calls every operation of the OpenAPI document with what its schemas allow, and with what they do not, as each kind of
caller; says what was not answered as described.

The same calls every time: nothing is random. `examples` scales how many there are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chat.description.openapi import openapi
from support.app import API_KEY, App

_CHECKS: Final = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_ALLOWED: Final = 2
"""Calls of each operation with what its schemas allow, by every caller; one more breaks them. Making them up takes most
of the time.
"""

TRIES: Final = 10
"""How often a call is made that is answered with "not just now": a busy machine may keep the servers for a second."""

_REAL_OF_TEN: Final = 8
"""So many of ten cases are about what exists; the others about what the schemas alone come up with."""

_UNSEEN: Final = {"/metrics", "/uploads/{upload}"}
"""Not called: what is no JSON. Their own tests know what they are for."""


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of caller."""

    name: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Outcome:
    """What came of it: how many calls there were, and one line for each operation that failed for a role."""

    calls: int = 0
    failures: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


def roles(app: App) -> list[Role]:
    """Those who may do the least come first: what the others do changes what there is."""
    users = {"stranger": "mallory", "reader": "rita", "member": "bob", "owner": "alice"}
    signed_in = [Role(name, {"Authorization": f"Bearer {app.token(user, ttl_s=3600)}"}) for name, user in users.items()]
    return [Role("nobody", {}), *signed_in]


class Fuzzer:
    """Blocking: to be run in a thread beside the server."""

    def __init__(self, app: App, *, examples: int = 1) -> None:
        self._http = app.http
        self._scale = examples
        self._roles = roles(app)
        self._owner = self._roles[-1]
        self._servers = [Role("no key", {}), Role("server", {"X-API-Key": API_KEY})]
        self._session = requests.Session()
        self._upload = ""
        self.outcome = Outcome()

    def run(self, wanted: Callable[[str], bool]) -> Outcome:
        """All operations whose path is wanted."""
        document = openapi()
        for path in [path for path in document["paths"] if path in _UNSEEN or not wanted(path)]:
            del document["paths"][path]
        schema = schemathesis.openapi.from_dict(document)
        for result in schema.get_all_operations():
            operation = result.ok()
            callers = self._servers if operation.path.startswith("/api/") else self._roles
            if _is_rpc(operation):
                callers = [self._roles[1], self._owner]  # the resources have had all of them
            real = self._world()
            self._fuzz(operation, callers, real, broken=False)
            self._fuzz(operation, callers[-1:], real, broken=True)
        return self.outcome

    def _world(self) -> dict[str, Any]:
        """Something that exists, by the names of the fields that lead to it."""
        made = self._do("conversation.create", kind="group", members=["bob", "rita"], title="Fuzzing")
        conversation = made["conversation"]["id"]
        self._do("conversation.set_role", conversation=conversation, user="rita", role="reader")
        key = {"conversation": conversation, "idempotency_key": str(uuid4())}
        offset = self._do("message.send", **key, text="Something to read")["message"]["offset"]
        invite = self._do("invite.create", conversation=conversation)["invite"]
        if not self._upload:
            # One is enough: nobody may have many on their way.
            made = self._do("upload.create", name="one.txt", size_bytes=3, content_type="text/plain")
            self._upload = made["upload"]["id"]
        return {
            "code": invite["code"],
            "conversation": conversation,
            "invite": invite["id"],
            "thread": f"{conversation}~{offset}",
            "upload": self._upload,
            "offset": offset,
            "target": offset,
            "reply_to": offset,
            "user": "bob",
            "channel": f"conv:{conversation}",
        }

    def _do(self, method: str, **params: Any) -> Any:
        for _ in range(TRIES):
            answer = self._session.post(
                f"{self._http}/v1/rpc/{method}", json=params, headers=dict(self._owner.headers), timeout=30
            )
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _fuzz(self, operation: Any, callers: list[Role], real: Mapping[str, Any], *, broken: bool) -> None:
        """Every caller makes the same calls. `broken`: what the schemas do not allow."""
        mode = schemathesis.GenerationMode.NEGATIVE if broken else schemathesis.GenerationMode.POSITIVE

        @settings(
            max_examples=(1 if broken or _is_rpc(operation) else _ALLOWED) * self._scale,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode), st.integers(1, 10))
        def call(case: Any, die: int) -> None:
            if die <= _REAL_OF_TEN:
                _point(case, real)
            for caller in callers:
                self._call(case, caller)

        try:
            call()
        except Unsatisfiable:
            return  # there is nothing to break: no parameters and no body
        except Exception as error:  # noqa: BLE001  # whatever a check or a generator says is told at the end, with all
            # What is found once and not again comes wrapped in what was found.
            found = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            self.outcome.failures += [
                f"{operation.label}: {type(one).__name__}: {one} {getattr(one, '__notes__', '')}" for one in found
            ]

    def _call(self, case: Any, caller: Role) -> None:
        headers = dict(caller.headers)
        for _ in range(TRIES):
            response = case.call(base_url=self._http, session=self._session, headers=headers, timeout=30)
            if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        self.outcome.calls += 1
        status = response.status_code
        self.outcome.statuses[status] = self.outcome.statuses.get(status, 0) + 1
        try:
            case.validate_response(response, checks=_CHECKS, headers=headers)
        except Exception as error:
            error.add_note(f"as {caller.name}")
            raise


def _is_rpc(operation: Any) -> bool:
    return bool(operation.path.startswith("/v1/rpc/"))


def _point(case: Any, real: Mapping[str, Any]) -> None:
    """Have a call lead to what exists; where the description wants a thread, to one."""
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            wants_thread = "~" in str(part.get("conversation", ""))
            part.update({name: value for name, value in real.items() if name in part})
            if wants_thread:
                part["conversation"] = real["thread"]
