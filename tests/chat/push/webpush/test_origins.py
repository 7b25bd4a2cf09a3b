"""Where a subscription may lead: hosts of a list, by https, and never a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.outgoing import Forbidden
from chat.push.webpush.origins import Origins, allowed_origins, check_endpoint, vendor_of

USUAL = allowed_origins()
WITH_NTFY = allowed_origins(("ntfy.example.com", "*.up.example.org", "push.example.net:8443"))
LAB = allowed_origins(("localhost:9443",), loopback=True)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc:APA91-_x", "https://fcm.googleapis.com"),
        ("https://fcm.googleapis.com/wp/abc", "https://fcm.googleapis.com"),
        ("https://web.push.apple.com/QGuQyavXutnMH_-x", "https://web.push.apple.com"),
        ("https://updates.push.services.mozilla.com/wpush/v2/gAAAA", "https://updates.push.services.mozilla.com"),
        ("https://wns2-by3p.notify.windows.com/w/?token=BQY%2bA%3d%3d", "https://wns2-by3p.notify.windows.com"),
        ("https://FCM.GoogleAPIs.com:443/fcm/send/abc", "https://fcm.googleapis.com"),
    ],
)
def test_the_push_services_of_browsers_are_fine(url: str, origin: str) -> None:
    assert check_endpoint(url, USUAL) == origin


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://ntfy.example.com/upAbc?up=1", "https://ntfy.example.com"),
        ("https://eu.up.example.org/x", "https://eu.up.example.org"),
        ("https://push.example.net:8443/x", "https://push.example.net:8443"),
    ],
)
def test_an_extra_host_is_fine_at_its_port(url: str, origin: str) -> None:
    assert check_endpoint(url, WITH_NTFY) == origin
    with pytest.raises(Forbidden):
        check_endpoint(url, USUAL)


REFUSED = [
    pytest.param("http://fcm.googleapis.com/x", id="plain-http"),
    pytest.param("ftp://fcm.googleapis.com/x", id="another-scheme"),
    pytest.param("https://169.254.169.254/x.google.com/", id="the-hole-of-a-regex-over-the-url"),
    pytest.param("https://169.254.169.254/?fcm.googleapis.com", id="an-allowed-name-in-the-query"),
    pytest.param("https://fcm.googleapis.com@169.254.169.254/", id="an-allowed-name-as-the-user"),
    pytest.param("https://evil.example/https://fcm.googleapis.com/", id="an-allowed-name-in-the-path"),
    pytest.param("https://evil.example#fcm.googleapis.com/", id="an-allowed-name-in-the-fragment"),
    pytest.param("https://fcm.googleapis.com.evil.example/", id="an-allowed-name-in-front"),
    pytest.param("https://evilgoogleapis.com/", id="an-allowed-name-behind"),
    pytest.param("https://googleapis.com/", id="the-name-itself-where-all-below-are"),
    pytest.param("https://fcm.googleapis.com./x", id="a-dot-behind-the-name"),
    pytest.param("https://fcm.googleapis.com:8443/x", id="another-port"),
    pytest.param("https://ntfy.example.com:8443/x", id="the-port-of-another-host"),
    pytest.param("https://push.example.net/x", id="not-the-port-of-that-host"),
    pytest.param("https://fcm.googleapis.com/x#y", id="a-fragment"),
    pytest.param("https://fcm.googleapis.com\\@evil.example/", id="a-backslash"),
    pytest.param("https://fcm.googleapis.com/\r\nHost: x", id="a-line-break"),
    pytest.param("https://127.0.0.1/", id="this-machine"),
    pytest.param("https://[::1]/", id="this-machine-by-ipv6"),
    pytest.param("https://localhost/", id="this-machine-by-name"),
    pytest.param("https://8.8.8.8/", id="a-public-address"),
    pytest.param("https://[2001:4860:4860::8888]/", id="a-public-address-of-ipv6"),
    pytest.param("https://2130706433/", id="an-address-as-a-number"),
    pytest.param("https://0x7f000001/", id="an-address-in-hex"),
    pytest.param("https://fcm.googleapis.com/" + "x" * 2048, id="too-long"),
    pytest.param("", id="nothing"),
]


@pytest.mark.parametrize("url", REFUSED)
def test_everything_else_is_refused_and_not_repeated(url: str) -> None:
    for allowed in (USUAL, WITH_NTFY):
        with pytest.raises(Forbidden) as refused:
            check_endpoint(url, allowed)
        assert not url or url not in str(refused.value)


def test_where_no_host_is_allowed_none_is() -> None:
    with pytest.raises(Forbidden):
        check_endpoint("https://fcm.googleapis.com/x", Origins(()))


@pytest.mark.parametrize(
    "extra",
    [
        *("", "*", "*.", "*a.example", "a.*.example", "a b.example", "https://a.example", "a.example/x"),
        *("localhost", "ntfy", "127.0.0.1", "*.0.0.1", "a.0x7f", "[::1]", "::1"),
        *("a.example:0", "a.example:99999", "a.example:x"),
    ],
)
def test_an_extra_that_is_no_name_is_refused(extra: str) -> None:
    with pytest.raises(ValueError):
        allowed_origins((extra,))


def test_a_test_may_say_that_this_machine_is_fine_and_then_only_that_port() -> None:
    assert check_endpoint("https://localhost:9443/x", LAB) == "https://localhost:9443"
    for url in (
        "https://localhost/x",
        "https://localhost:9444/x",
        "http://localhost:9443/x",
        "https://127.0.0.1:9443/",
    ):
        with pytest.raises(Forbidden):
            check_endpoint(url, LAB)


@pytest.mark.parametrize(
    ("origin", "vendor"),
    [
        ("https://fcm.googleapis.com", "google"),
        ("https://web.push.apple.com", "apple"),
        ("https://updates.push.services.mozilla.com", "mozilla"),
        ("https://wns2-by3p.notify.windows.com", "microsoft"),
        ("https://bucket.storage.googleapis.com", ""),
        ("https://ntfy.example.com", ""),
        ("https://fcm.googleapis.com:8443", ""),
    ],
)
def test_only_a_push_service_speaks_for_all_its_subscriptions(origin: str, vendor: str) -> None:
    assert vendor_of(origin) == vendor


@given(st.text(max_size=80))
def test_whatever_is_given_leads_to_the_list_or_nowhere(text: str) -> None:
    for url in (text, f"https://{text}", f"https://fcm.googleapis.com{text}", f"https://{text}.googleapis.com/"):
        try:
            origin = check_endpoint(url, USUAL)
        except Forbidden:
            continue
        assert origin.endswith((".googleapis.com", ".push.apple.com", ".notify.windows.com", ".services.mozilla.com"))
