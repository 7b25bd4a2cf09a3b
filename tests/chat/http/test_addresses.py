"""The address of a client is what trusted proxies say of it, and nobody else can say anything."""

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chat.config import ConfigError, load
from chat.http.addresses import FORWARDED, X_FORWARDED_FOR, ClientAddresses, client_of
from chat.limits.networks import group, is_private, networks, parse

TRUSTED = networks(["10.0.0.0/8", "2001:db8:ffff::/48"])
PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["8.8.8.8"], "8.8.8.8"),
        (["  8.8.8.8  "], "8.8.8.8"),
        (["8.8.8.8:4711"], "8.8.8.8"),
        (["2a00::1"], "2a00::1"),
        (["[2a00::1]:443"], "2a00::1"),
        (["::ffff:8.8.8.8"], "8.8.8.8"),
        (["fe80::1%eth0"], "fe80::1"),
        # What stands before the client's own address is the client's invention.
        (["1.1.1.1, 8.8.8.8"], "8.8.8.8"),
        (["127.0.0.1, 10.0.0.9, 8.8.8.8"], "8.8.8.8"),
        (["1.1.1.1", "8.8.8.8"], "8.8.8.8"),
        # Proxies in a row, each trusted.
        (["8.8.8.8, 10.1.1.1"], "8.8.8.8"),
        (["1.1.1.1, 8.8.8.8, 10.1.1.1, 2001:db8:ffff::7"], "8.8.8.8"),
        (["8.8.8.8", "10.1.1.1"], "8.8.8.8"),
        # A client in the proxies' own network.
        (["10.9.9.9"], "10.9.9.9"),
        (["10.9.9.9, 10.1.1.1"], "10.9.9.9"),
        # What is no address ends it at the proxy that wrote it.
        (["8.8.8.8, unknown"], PROXY),
        (["8.8.8.8, unknown, 10.1.1.1"], "10.1.1.1"),
        (["8.8.8.8,"], PROXY),
        ([""], PROXY),
        (["999.1.1.1"], PROXY),
        (["8.8.8.8\tjunk"], PROXY),
        (["٨.٨.٨.٨"], PROXY),
        (["0x8080808"], PROXY),
        (["134744072"], PROXY),
        (["1.1.1.1, " * 10_000 + "8.8.8.8"], "8.8.8.8"),
    ],
)
def test_the_list_is_read_from_its_end(values, expected):
    assert client_of(PROXY, values, TRUSTED, X_FORWARDED_FOR) == expected


def test_more_proxies_than_anybody_has_are_not_followed():
    hops = ["8.8.8.8", *(f"10.0.1.{number}" for number in range(40))]
    assert client_of(PROXY, [", ".join(hops)], TRUSTED) == "10.0.1.8"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["for=8.8.8.8"], "8.8.8.8"),
        (["For=8.8.8.8;proto=https;by=10.0.0.1"], "8.8.8.8"),
        (["proto=https; for=8.8.8.8"], "8.8.8.8"),
        (['for="8.8.8.8:4711"'], "8.8.8.8"),
        (['for="[2a00::1]:4711"'], "2a00::1"),
        (['for="[2a00::1]"'], "2a00::1"),
        (["for=1.1.1.1, for=8.8.8.8"], "8.8.8.8"),
        (["for=1.1.1.1", "for=8.8.8.8, for=10.1.1.1"], "8.8.8.8"),
        (["for=8.8.8.8, for=unknown"], PROXY),
        (["for=8.8.8.8, for=_hidden"], PROXY),
        (["for=8.8.8.8, proto=https"], PROXY),
        (['for="8.8.8.8, for=1.1.1.1"'], PROXY),
        (["xfor=8.8.8.8"], PROXY),
        (["8.8.8.8"], PROXY),
        ([""], PROXY),
    ],
)
def test_so_is_the_standard_header(values, expected):
    assert client_of(PROXY, values, TRUSTED, FORWARDED) == expected


@given(st.lists(st.text(max_size=60), max_size=4), st.sampled_from([X_FORWARDED_FOR, FORWARDED]))
def test_whatever_is_written_there_an_address_comes_out(values, header):
    assert parse(client_of(PROXY, values, TRUSTED, header)) is not None


@given(st.text(alphabet='0123456789.,:abcdefor=" []', max_size=200))
def test_nobody_moves_who_is_named_last(forged):
    assert client_of(PROXY, [f"{forged}, 8.8.8.8"], TRUSTED) == "8.8.8.8"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::9"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("fe80::1%eth0", "fe80::2"),
        ("", "no address"),
    ],
)
def test_addresses_of_one_host_are_counted_as_one(one, other):
    assert group(one) == group(other)


def test_hosts_are_counted_apart():
    assert len({group(each) for each in ("2001:db8::1", "2001:db8:0:1::1", "8.8.8.8", "8.8.8.9", "")}) == 5


@pytest.mark.parametrize(
    ("address", "private"),
    [
        *((private, True) for private in ("127.0.0.1", "::1", "10.2.3.4", "192.168.1.1", "fd00::1", "")),
        *((public, False) for public in ("8.8.8.8", "203.0.113.9", "2a00::1", "172.32.0.1")),
    ],
)
def test_private_addresses_are_known(address, private):
    assert is_private(address) is private


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_what_is_no_network_is_refused_at_the_start(wrong):
    with pytest.raises(ConfigError, match="trusted_proxies"):
        load(None, {}, {"server.trusted_proxies": [wrong]})


class FakeTransport:
    def __init__(self, peer: str) -> None:
        self.peer = peer

    def get_extra_info(self, name, default=None):
        return (self.peer, 4711) if name == "peername" else default


def request_from(peer: str, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/", named, transport=FakeTransport(peer))


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("8.8.8.8", {}, "8.8.8.8"),
        (PROXY, {}, PROXY),
        (PROXY, {"X_Forwarded_For": "8.8.8.8"}, "8.8.8.8"),
        # Who is no proxy of ours says nothing about anybody.
        ("9.9.9.9", {"X_Forwarded_For": "8.8.8.8"}, "9.9.9.9"),
        ("192.168.1.1", {"X_Forwarded_For": "8.8.8.8"}, "192.168.1.1"),
        # The header that our proxies do not write is the client's.
        (PROXY, {"Forwarded": "for=8.8.8.8"}, PROXY),
        (PROXY, {"Forwarded": "for=1.1.1.1", "X_Forwarded_For": "8.8.8.8"}, "8.8.8.8"),
    ],
)
def test_only_the_header_of_a_trusted_proxy_counts(peer, headers, expected):
    assert ClientAddresses(["10.0.0.0/8"]).of(request_from(peer, **headers)) == expected


def test_a_proxy_that_nobody_named_is_told_of_once():
    addresses = ClientAddresses([])
    with capture_logs() as logs:
        for _ in range(3):
            assert addresses.of(request_from("10.0.0.1", X_Forwarded_For="8.8.8.8")) == "10.0.0.1"
            assert addresses.of(request_from("9.9.9.9", X_Forwarded_For="8.8.8.8")) == "9.9.9.9"
    assert [line["event"] for line in logs] == ["proxy_not_trusted"]
