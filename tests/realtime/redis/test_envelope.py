import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from realtime.ports import Delivery
from realtime.protocol.messages import EMPTY, MAX_OFFSET, ClientInfo, Publication
from realtime.redis import envelope
from realtime.redis.envelope import EnvelopeError

payloads = st.one_of(st.just(EMPTY), st.binary(min_size=1, max_size=200).map(Raw))
ascii_names = st.text("abcXYZ019-_.", max_size=20)
infos = st.builds(ClientInfo, st.text(max_size=20), st.text(max_size=20), payloads, payloads)
publications = st.builds(
    Publication,
    data=payloads,
    info=st.none() | infos,
    offset=st.integers(0, MAX_OFFSET),
    tags=st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3),
    time=st.integers(-(2**63), 2**63 - 1),
)
deliveries = st.builds(Delivery, st.just("news"), st.sampled_from(["pub", "join", "leave"]), publications, ascii_names)


@given(deliveries, ascii_names)
def test_what_is_encoded_is_decoded_again(delivery: Delivery, holder: str) -> None:
    assert envelope.decode("news", envelope.encode(delivery, holder=holder)) == replace(delivery, holder=holder)


@given(publications, ascii_names)
def test_a_header_put_in_front_of_a_body_later_makes_the_same_message(publication: Publication, epoch: str) -> None:
    by_script = f"{publication.offset}:{epoch}::".encode() + envelope.body("pub", publication)

    assert by_script == envelope.encode(Delivery("news", "pub", publication, epoch))


@given(publications)
def test_a_body_alone_gets_its_offset_from_where_it_is_kept(publication: Publication) -> None:
    assert envelope.decode_body(envelope.body("pub", publication), publication.offset) == publication


@given(infos)
def test_an_info_is_decoded_again(info: ClientInfo) -> None:
    assert envelope.decode_info(envelope.encode_info(info)) == info


@given(deliveries)
def test_a_holder_drops_what_it_has_without_reading_the_body(delivery: Delivery) -> None:
    message = envelope.encode(delivery, holder="a1")
    header = envelope.header(delivery.publication.offset, delivery.epoch, "a1")

    assert message.startswith(header)
    assert envelope.decode("news", header + b"\xc1 no body", own=b"a1") is None
    assert envelope.decode("news", message, own=b"a2") == replace(delivery, holder="a1")


def test_without_a_holder_everybody_takes_it() -> None:
    delivery = Delivery("news", "pub", Publication(Raw(b"1")))

    assert envelope.decode("news", envelope.encode(delivery), own=b"") == delivery


@given(st.binary(max_size=300))
def test_junk_is_refused_and_nothing_else_happens(junk: bytes) -> None:
    with pytest.raises(EnvelopeError):
        envelope.decode("news", junk)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b":::",
        b"1:e::",
        b'{"type":"message.created"}',
        b"\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00\x8c\x04test\x94.",
        b"-1:e::" + envelope.body("pub", Publication()),
        b"1_0:e::" + envelope.body("pub", Publication()),
        b" 1:e::" + envelope.body("pub", Publication()),
        b"9" * 5_000 + b":e::" + envelope.body("pub", Publication()),
        "1:é::".encode() + envelope.body("pub", Publication()),
        b"1:e::" + envelope.body("pub", Publication()) + b"\x00",
        b"1:e::" + envelope.body("other", Publication()),
        b"1:e::" + msgspec.msgpack.encode([envelope.VERSION + 1, "pub", b"1"]),
        b"1:e::" + msgspec.msgpack.encode([envelope.VERSION, "pub", "text, not bytes"]),
        b"1:e::" + msgspec.msgpack.encode({"version": envelope.VERSION, "kind": "pub"}),
        b"1:e::" + b"\x91" * 5_000,
        b"1:e::" + b"\x92\x01\xa3\xff\xff\xff",
    ],
)
def test_poison_is_refused(message: bytes) -> None:
    with pytest.raises(EnvelopeError):
        envelope.decode("news", message)


def test_elements_of_a_later_version_at_the_end_are_ignored() -> None:
    body = msgspec.msgpack.encode([envelope.VERSION, "pub", b"1", None, {}, 5, "new", {"and": "more"}])

    delivery = envelope.decode("news", b"7:e::" + body)

    assert delivery == Delivery("news", "pub", Publication(Raw(b"1"), None, 7, {}, 5), "e")


@pytest.mark.parametrize(("epoch", "holder"), [("a:b", ""), ("", "a:b"), ("é", "")])
def test_a_name_that_would_break_the_header_is_refused(epoch: str, holder: str) -> None:
    with pytest.raises(ValueError, match="without colons"):
        envelope.header(1, epoch, holder)


@pytest.mark.parametrize("packed", [b"", b"junk", msgspec.msgpack.encode(["u"])])
def test_what_is_no_info_is_refused(packed: bytes) -> None:
    with pytest.raises(EnvelopeError):
        envelope.decode_info(packed)
