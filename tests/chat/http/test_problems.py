"""Refusals as problem documents."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.http.problems import STATUSES, Refusal, encode, fault, headers_of, pointer, problem, status_of
from chat.usecases.access import foreign
from chat.usecases.failures import Unseen, client_error
from realtime.protocol import codes
from realtime.protocol.codes import ERRORS, ClientError
from storage.errors import Conflict, Invalid, NotFound, Overloaded, Unavailable


def document(error: ClientError) -> dict[str, object]:
    return json.loads(encode(problem(error, request_id="r1", docs_url="/docs/reference")))


def test_every_error_of_the_catalogue_has_a_status():
    assert set(STATUSES) == set(ERRORS)
    assert all(400 <= status < 600 and status != 500 for status in STATUSES.values())


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: code.slug)
def test_a_problem_has_all_that_rfc_9457_and_we_promise(code):
    told = document(ClientError(code, "is wrong", "field"))
    assert told["type"] == f"/docs/reference#{code.slug}"
    assert told["status"] == STATUSES[code]
    assert told["code"] == code.slug
    assert told["instance"] == "r1"
    assert told["title"]
    assert told["detail"] == "field: is wrong"


def test_a_problem_without_detail_says_what_the_catalogue_says():
    assert document(ClientError(codes.UNAVAILABLE))["detail"] == codes.UNAVAILABLE.when


def test_a_bad_request_points_at_the_field():
    told = document(ClientError(codes.BAD_REQUEST, "expected `str`", "members[2]"))
    assert told["errors"] == [{"pointer": "/members/2", "detail": "expected `str`"}]


def test_only_bad_requests_point_at_fields():
    assert "errors" not in document(ClientError(codes.CONFLICT, "taken", "external_id"))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (foreign(), 404),
        (Unseen("no such user", "user"), 404),
        (client_error(NotFound("row")), 404),
        (ClientError(codes.PERMISSION_DENIED, "a reader may not send", "conversation"), 403),
        (client_error(Conflict("taken")), 409),
        (client_error(Invalid("too large")), 400),
        (client_error(Overloaded()), 429),
        (client_error(Unavailable()), 503),
    ],
)
def test_statuses_follow_from_what_was_raised(error, status):
    assert status_of(error) == status


def test_foreign_and_missing_are_one_answer():
    assert document(foreign()) == document(foreign())
    assert isinstance(foreign(), Unseen)


def test_who_must_wait_is_told_how_long():
    error = ClientError(codes.TOO_MANY_REQUESTS, retry_after_ms=2_300)
    assert headers_of(error)["Retry-After"] == "3"
    assert document(error)["retry_after_ms"] == 2_300
    assert headers_of(ClientError(codes.UNAVAILABLE))["Retry-After"] == "1"
    assert "Retry-After" not in headers_of(ClientError(codes.BAD_REQUEST))


def test_401_names_the_scheme():
    assert headers_of(ClientError(codes.UNAUTHORIZED))["WWW-Authenticate"].startswith("Bearer")


def test_a_refusal_has_its_own_status_and_headers():
    error = Refusal(405, codes.METHOD_NOT_FOUND, "no", headers={"Allow": "GET"})
    assert status_of(error) == 405
    assert headers_of(error) == {"Allow": "GET"}


def test_details_are_bounded():
    told = document(ClientError(codes.BAD_REQUEST, "x" * 10_000, "y" * 10_000))
    assert len(json.dumps(told)) < 3_000


def test_a_fault_says_nothing_but_its_id():
    told = json.loads(encode(fault(request_id="r1", docs_url="/docs")))
    assert told["status"] == 500
    assert told["instance"] == "r1"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", ""),
        ("limit", "/limit"),
        ("members[2].user", "/members/2/user"),
        ("cursors[...]", "/cursors"),
        ("[3][0]", "/3/0"),
        ("a/b.c~d", "/a~1b/c~0d"),
    ],
)
def test_pointers(field, expected):
    assert pointer(field) == expected


@given(st.text(max_size=50))
def test_a_pointer_of_anything_is_a_pointer(field):
    made = pointer(field)
    assert made == "" or made.startswith("/")
