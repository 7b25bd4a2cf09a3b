"""URLs and addresses that a request of ours may not go to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.outgoing.rules import Forbidden, Rules, check_address, check_url, is_public

ANYWHERE = Rules()
PUSH = Rules(hosts=("fcm.googleapis.com", "*.push.example"))
INSIDE = Rules(ports=frozenset(), inside=True)

INTERNAL = [
    pytest.param("http://169.254.169.254/latest/meta-data/", id="A12-the-metadata-of-a-cloud"),
    pytest.param("https://169.254.169.254/", id="A12-the-same-by-https"),
    pytest.param("https://127.0.0.1:9200/", id="A12-a-port-of-this-machine"),
    pytest.param("https://127.0.0.1/", id="A12-this-machine"),
    pytest.param("https://127.8.9.1/", id="A12-another-loopback"),
    pytest.param("https://0.0.0.0/", id="A12-any-address"),
    pytest.param("https://10.0.0.1/", id="A12-private-10"),
    pytest.param("https://172.16.0.1/", id="A12-private-172"),
    pytest.param("https://192.168.1.1/", id="A12-private-192"),
    pytest.param("https://100.64.0.1/", id="A12-carrier-grade-nat"),
    pytest.param("https://224.0.0.1/", id="A12-multicast"),
    pytest.param("https://255.255.255.255/", id="A12-broadcast"),
    pytest.param("https://[::1]/", id="A12-loopback-of-ipv6"),
    pytest.param("https://[::]/", id="A12-any-address-of-ipv6"),
    pytest.param("https://[fe80::1]/", id="A12-link-local"),
    pytest.param("https://[fd00::1]/", id="A12-unique-local"),
    pytest.param("https://[ff02::1]/", id="A12-multicast-of-ipv6"),
    pytest.param("https://[::ffff:10.0.0.1]/", id="A12-ipv4-mapped"),
    pytest.param("https://[::ffff:7f00:1]/", id="A12-ipv4-mapped-in-hex"),
    pytest.param("https://[::127.0.0.1]/", id="A12-ipv4-compatible"),
    pytest.param("https://[64:ff9b::10.0.0.1]/", id="A12-nat64"),
    pytest.param("https://[64:ff9b:1::7f00:1]/", id="A12-local-nat64"),
    pytest.param("https://[2002:7f00:1::]/", id="A12-6to4"),
    pytest.param("https://[2001:0:7f00:1::]/", id="A12-teredo"),
    pytest.param("http://example.com/", id="A12-plain-http"),
    pytest.param("https://user:pass@example.com/", id="A12-a-user-and-a-password"),
    pytest.param("https://example.com@127.0.0.1/", id="A12-a-host-as-the-user"),
    pytest.param("https://@example.com/", id="A12-an-empty-user"),
    pytest.param("https://example.com:22/", id="A12-the-port-of-ssh"),
    pytest.param("https://example.com:0/", id="A12-port-zero"),
    pytest.param("https://example.com:99999/", id="A12-a-port-that-there-is-not"),
    pytest.param("https://example.com\\@127.0.0.1/", id="A12-a-backslash"),
    pytest.param("https://example.com/\r\nX: y", id="A12-a-line-break"),
    pytest.param("https://exam ple.com/", id="A12-a-space"),
    pytest.param("https://①②⑦.0.0.1/", id="A12-digits-of-another-kind"),
    pytest.param("https://", id="A12-no-host"),
    pytest.param("//example.com/", id="A12-no-scheme"),
    pytest.param("https://" + "a" * 2100 + ".example/", id="A12-too-long"),
    pytest.param("", id="A12-nothing"),
    pytest.param("gopher://example.com/", id="A15-gopher"),
    pytest.param("file:///etc/passwd", id="A15-file"),
    pytest.param("ftp://example.com/", id="A15-ftp"),
    pytest.param("data:text/plain,x", id="A15-data"),
    pytest.param("javascript:alert(1)", id="A15-javascript"),
    pytest.param("unix:///run/docker.sock", id="A15-a-socket"),
    pytest.param("https://10.1.2.3/hook", id="A15-a-webhook-inside"),
]


@pytest.mark.parametrize("url", INTERNAL)
def test_a_url_that_leads_inside_or_is_none_is_refused_as_it_is_given(url: str) -> None:
    with pytest.raises(Forbidden) as refused:
        check_url(url, ANYWHERE)
    assert url == "" or url not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?x=1",
        "https://example.com:443/",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "HTTPS://EXAMPLE.COM/",
    ],
)
def test_a_url_of_the_internet_is_fine(url: str) -> None:
    assert check_url(url, ANYWHERE).scheme == "https"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://fcm.googleapis.com/fcm/send/x", True),
        ("https://FCM.googleapis.com./fcm/send/x", True),
        ("https://eu.push.example/", True),
        ("https://push.example/", False),
        ("https://evilpush.example/", False),
        ("https://fcm.googleapis.com.evil.example/", False),
        ("https://evil.example/fcm.googleapis.com", False),
        ("https://fcm.googleapis.com:8443/", False),
    ],
)
def test_where_hosts_are_listed_there_are_no_others(url: str, allowed: bool) -> None:
    if allowed:
        check_url(url, PUSH)
    else:
        with pytest.raises(Forbidden):
            check_url(url, PUSH)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/jwks", "https://10.0.0.5/jwks", "http://keys.internal/"])
def test_what_the_operator_wrote_down_may_be_inside(url: str) -> None:
    check_url(url, INSIDE)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "https://user@keys.internal/", "gopher://keys.internal/"])
def test_but_it_is_a_web_address(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url, INSIDE)


@pytest.mark.parametrize(
    "url",
    [
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAAB%2bab%2fcd%3d%3d",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAA-_=~%7e%41/x:y",
        "https://example.com/QA+b/%2e%2e/./a//b",
    ],
)
def test_path_and_query_stay_as_they_were_given(url: str) -> None:
    checked = check_url(url, ANYWHERE)
    assert url == f"https://{checked.raw_host}{checked.raw_path_qs}"


LOOPBACK = Rules(ports=frozenset(), loopback=True)


@pytest.mark.parametrize("url", ["https://127.0.0.1:8443/x", "https://[::1]/x", "https://localhost:8443/x"])
def test_where_a_test_says_so_this_machine_is_fine_as_well(url: str) -> None:
    check_url(url, LOOPBACK)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8443/x", "https://10.0.0.1/", "https://169.254.169.254/", "https://0.0.0.0/"]
)
def test_but_no_other_private_address_and_nothing_unencrypted(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url, LOOPBACK)


@pytest.mark.parametrize("host", ["2130706433", "127.1", "017700000001", "0.0.0.0.0"])
def test_a_number_is_no_name(host: str) -> None:
    with pytest.raises(Forbidden):
        check_url(f"https://{host}/", ANYWHERE)


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7"))
def test_no_address_of_a_private_network_is_public(address: object) -> None:
    assert not is_public(str(address))
    with pytest.raises(Forbidden):
        check_address(str(address), ANYWHERE)


@given(st.ip_addresses(v=4))
def test_an_address_in_a_disguise_is_never_more_public_than_without(address: object) -> None:
    if is_public(f"::ffff:{address}"):
        assert is_public(str(address))
    assert not is_public(f"64:ff9b::{address}")


@given(st.text(max_size=60))
def test_whatever_is_given_is_checked_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com{text}"):
        try:
            checked = check_url(url, ANYWHERE)
        except Forbidden:
            continue
        assert (checked.scheme, checked.port, checked.user) == ("https", 443, None)
