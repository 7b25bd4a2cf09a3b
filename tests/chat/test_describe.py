"""The generated pages and documents are what the types say."""

import pytest

from chat.describe import CHANGELOG, TARGET, contract_line, made, reference
from chat.description import contract
from chat.methods import METHODS
from realtime.protocol.codes import DISCONNECTS, ERRORS, FRAME_CLOSES, UNSUBSCRIBES


@pytest.mark.parametrize("name", ["reference.md", "permissions.md", "openapi.json", "asyncapi.json"])
def test_what_is_committed_is_up_to_date(name: str):
    file = TARGET.parent / name
    # Compared outside of the assertion: a difference of two long documents is nothing to look at.
    up_to_date = file.exists() and file.read_bytes() == made()[name]
    assert up_to_date, f"docs/{name} is not what the code says now. Run: .venv/bin/python -m chat.describe"


def test_a_changed_contract_is_named_in_the_changelog():
    wanted = contract_line()
    assert contract.newest(CHANGELOG.read_text()) == wanted, contract.ASK.format(line=wanted)


def test_every_method_and_every_code_is_described():
    page = reference()
    for name in METHODS:
        assert f"### `{name}`" in page
    for one in (*ERRORS, *FRAME_CLOSES, *DISCONNECTS, *UNSUBSCRIBES):
        assert f"| {one.code} |" in page
