"""The reference page is what the types say."""

from chat.describe import TARGET, reference
from chat.methods import METHODS
from realtime.protocol.codes import DISCONNECTS, ERRORS, UNSUBSCRIBES


def test_the_committed_page_is_up_to_date():
    assert TARGET.read_text() == reference(), "run: python -m chat.describe"


def test_every_method_and_every_code_is_described():
    page = reference()
    for name in METHODS:
        assert f"### `{name}`" in page
    for one in (*ERRORS, *DISCONNECTS, *UNSUBSCRIBES):
        assert f"| {one.code} |" in page
