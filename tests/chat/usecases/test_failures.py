"""The ladder from what storage raises to what a client is told."""

import pytest

from chat.usecases.failures import Unseen, client_error, told
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage import errors


@pytest.mark.parametrize(
    ("error", "code", "temporary"),
    [
        (errors.Unavailable("mongodb://secret@host"), codes.UNAVAILABLE, True),
        (errors.Contended("x"), codes.UNAVAILABLE, True),
        (errors.Overloaded("x"), codes.TOO_MANY_REQUESTS, True),
        (errors.NotFound("no conversation of alice"), codes.PERMISSION_DENIED, False),
        (errors.Conflict("why"), codes.CONFLICT, False),
        (errors.Invalid("why"), codes.BAD_REQUEST, False),
        (errors.PreconditionFailed("x"), codes.INTERNAL, True),
        (errors.StorageError("x"), codes.INTERNAL, True),
    ],
)
def test_every_storage_error_has_its_answer(error, code, temporary):
    answer = client_error(error)
    assert answer.code is code
    assert answer.temporary is temporary
    assert ("why" in answer.message) is (str(error) == "why")
    assert "secret" not in answer.message
    assert "alice" not in answer.message


def test_missing_and_foreign_are_one():
    assert isinstance(client_error(errors.NotFound("x")), Unseen)


def test_what_storage_did_not_raise_passes():
    with pytest.raises(ClientError) as raised, told():
        raise errors.Conflict("why")
    assert isinstance(raised.value.__cause__, errors.Conflict)
    with pytest.raises(ZeroDivisionError), told():
        raise ZeroDivisionError
