"""Which codec a client gets."""

import pytest

from realtime.protocol.subprotocol import JSON, PROTOBUF, negotiate


def test_without_a_header_a_client_speaks_json_and_nothing_is_echoed() -> None:
    assert negotiate([]) == (JSON, None)


@pytest.mark.parametrize("header", ["", " ", ","])
def test_an_empty_header_is_tolerated(header: str) -> None:
    assert negotiate([header]) == (JSON, None)


@pytest.mark.parametrize(("name", "codec"), [("centrifuge-json", JSON), ("centrifuge-protobuf", PROTOBUF)])
def test_an_offered_subprotocol_is_echoed(name: str, codec: object) -> None:
    assert negotiate([name]) == (codec, name)


def test_the_first_offer_that_is_known_counts() -> None:
    assert negotiate(["graphql-ws, centrifuge-protobuf , centrifuge-json"]) == (PROTOBUF, "centrifuge-protobuf")
    assert negotiate(["graphql-ws", "centrifuge-json"]) == (JSON, "centrifuge-json")


def test_an_unknown_offer_is_not_echoed() -> None:
    assert negotiate(["graphql-ws"]) == (JSON, None)
