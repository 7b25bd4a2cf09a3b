"""Signed links of the store on disk."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.files.links import LinkRefused, Links

LINKS = Links(b"k" * 32, "https://chat.example")
UPLOAD = "a" * 26
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


@given(st.dictionaries(st.sampled_from(["name", "type", "file"]), TEXT))
def test_a_link_says_what_was_put_into_it(fields):
    url = LINKS.make("GET", UPLOAD, fields, expires_at=1000)
    assert urlsplit(url).path == f"/uploads/{UPLOAD}"
    assert LINKS.check("GET", UPLOAD, query(url), now=999) == fields


def test_a_link_expires():
    said = query(LINKS.make("GET", UPLOAD, {}, expires_at=1000))
    with pytest.raises(LinkRefused, match=r"has expired: upload\.create"):
        LINKS.check("GET", UPLOAD, said, now=1000)


@given(st.sampled_from(["name", "expires", "signature", "more"]), TEXT)
def test_a_changed_link_is_refused(field, value):
    said = query(LINKS.make("GET", UPLOAD, {"name": "a"}, expires_at=1000))
    if said.get(field) == value:
        return
    with pytest.raises(LinkRefused, match="signature"):
        LINKS.check("GET", UPLOAD, {**said, field: value}, now=0)


def test_a_link_is_for_one_verb_one_upload_and_one_key():
    said = query(LINKS.make("GET", UPLOAD, {"name": "a"}, expires_at=1000))
    for links, verb, upload in (
        (LINKS, "PUT", UPLOAD),
        (LINKS, "GET", "b" * 26),
        (Links(b"x" * 32, "https://chat.example"), "GET", UPLOAD),
    ):
        with pytest.raises(LinkRefused, match="signature"):
            links.check(verb, upload, said, now=0)
    for name in said:
        with pytest.raises(LinkRefused, match="signature"):
            LINKS.check("GET", UPLOAD, {key: value for key, value in said.items() if key != name}, now=0)
