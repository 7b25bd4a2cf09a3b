"""`hubbub push`: credentials come in from files, are checked before they are kept, and are never shown."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.cli import push
from chat.cli.outcome import Failed
from chat.push.credentials import AppKey
from chat.push.senders import Opener
from chat.push.sending import Accepted, CredentialsAtFault, Environment, Later, Provider, Push, Sender, Verdict
from chat.push.vendors import VendorSettings
from chat.sealing import new_key
from support import push_keys
from support.command_line import Ran, hubbub, logs_restored

Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    with logs_restored():
        yield


@pytest.fixture
def configured(empty_directory: Path, mongodb_url: str, database_name: str) -> Path:
    path = empty_directory / "config.toml"
    path.write_text(
        f'[mongodb]\nurl = "{mongodb_url}"\ndatabase = "{database_name}"\n[secrets]\nkeys = ["{new_key()}"]\n'
    )
    assert hubbub("migrate").code == 0
    return path


@pytest.fixture
def files(empty_directory: Path) -> Path:
    for name, text in {
        "key.p8": push_keys.p8(),
        "account.json": push_keys.service_account(),
        "url.txt": push_keys.webhook().url,
        "secret.txt": push_keys.webhook().secret,
        "vapid.txt": push_keys.web_push().private,
    }.items():
        (empty_directory / name).write_text(f"{text}\n")
    return empty_directory


APNS = ("apns", "org.example.chat", "--private-key", "key.p8", "--key-id", "KEY0000001", "--team", "TEAM000001")
EVERY = (
    APNS,
    ("fcm", "org.example.chat", "--account", "account.json"),
    ("webpush", "default", "--subject", "mailto:push@example.com", "--origin", "ntfy.example.org"),
    ("webhook", "default", "--url", "url.txt", "--secret", "secret.txt"),
)


def test_keys_are_added_listed_without_secrets_and_removed(files: Path, configured: Path) -> None:
    for one in EVERY:
        ran = hubbub("push", "app", "add", *one, "--no-check")
        assert ran.code == 0, ran.err
    listed = hubbub("push", "app", "list").out
    assert "apns org.example.chat KEY0000001 team=TEAM000001 topic=org.example.chat environment=both\n" in listed
    assert "origins=ntfy.example.org" in listed
    for word in ("PRIVATE", "a-secret-path", push_keys.webhook().secret):
        assert word not in listed
    assert hubbub("push", "app", "remove", "apns", "org.example.chat", "KEY0000001").code == 0
    again = hubbub("push", "app", "remove", "apns", "org.example.chat", "KEY0000001")
    assert (again.code, "hubbub push app list" in again.err) == (1, True)
    assert len(hubbub("push", "app", "list", "--json").out.splitlines()) == 3


def test_a_new_pair_for_browsers_is_made_and_its_public_half_told(files: Path, configured: Path) -> None:
    ran = hubbub("push", "app", "add", "webpush", "default", "--subject", "mailto:push@example.com", "--json")
    assert ran.code == 0, ran.err
    assert len(ran.json["public"]) == 87
    known = hubbub(
        *(
            "push",
            "app",
            "add",
            "webpush",
            "default",
            "--subject",
            "https://example.com/",
            "--private-key",
            "vapid.txt",
        ),
        "--json",
    )
    assert known.json["public"] == push_keys.web_push().public
    # What Web Push has to say can be said without asking anybody.
    checked = hubbub("push", "check")
    assert (checked.code, checked.out.count(": good")) == (0, 2)
    third = hubbub("push", "app", "add", "webpush", "default", "--subject", "mailto:push@example.com")
    assert (third.code, "remove one first" in third.err) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*APNS[:2], "--private-key", "missing.p8", *APNS[4:]), "--private-key: missing.p8: No such file"),
        ((*APNS[:2], "--private-key", "account.json", *APNS[4:]), "--private-key: is no private key in PEM"),
        ((*APNS[:5], "short", *APNS[6:]), "--key-id: must be the 10 letters"),
        (("fcm", "a", "--account", "key.p8"), "--account: not the JSON of a service account"),
        (("fcm", "a b", "--account", "account.json"), "APP: is 1 to 128 letters"),
        (("webpush", "a", "--subject", "mailto:me@localhost"), "--subject: the contact must be"),
        (("webpush", "a", "--subject", "mailto:p@example.com", "--origin", "10.0.0.1"), "--origin: '10.0.0.1' is"),
        (("webhook", "a", "--url", "url.txt", "--secret", "url.txt"), "--secret: a secret is whsec_"),
        (("webhook", "a", "--url", "secret.txt", "--secret", "secret.txt"), "--url: the URL must begin with https"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_is_wrong_is_said_by_flag_without_the_secret(arguments: tuple[str, ...], words: str) -> None:
    ran = hubbub("push", "app", "add", *arguments, "--no-check")
    assert (ran.code, words in ran.err) == (2, True), ran.err
    assert "PRIVATE KEY" not in ran.err


def test_without_a_sealing_key_it_says_what_to_do(files: Path, configured: Path) -> None:
    configured.write_text(configured.read_text().partition("[secrets]")[0])
    # The database knows the key that was there.
    ran = hubbub("push", "app", "add", *APNS, "--no-check")
    assert (ran.code, "hubbub keys" in ran.err) == (3, True)


def test_when_mongodb_does_not_answer_it_says_so(files: Path, configured: Path) -> None:
    configured.write_text('[mongodb]\nurl = "mongodb://127.0.0.1:1/?timeoutMS=300"\n')
    ran = hubbub("push", "app", "list")
    assert (ran.code, "(mongodb.url)" in ran.err) == (4, True)


def test_with_nothing_there_there_is_nothing_to_check(configured: Path) -> None:
    ran = hubbub("push", "check")
    assert (ran.code, "hubbub push app add" in ran.err) == (3, True)


# --- with providers that say what they are told to ---


class Says:
    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    async def send(self, push: Push) -> Verdict:
        raise AssertionError("nobody is to be sent anything")

    async def check(self) -> Verdict:
        return self._verdict


def saying(**verdicts: Verdict) -> push.Vendors:
    """Providers of APNs that answer like this by environment."""

    @asynccontextmanager
    async def opened(keys: tuple[AppKey, ...], environment: Environment) -> AsyncIterator[Sender]:
        assert len(keys) == 1
        yield Says(verdicts[environment])

    @asynccontextmanager
    async def vendors(settings: VendorSettings) -> AsyncIterator[Mapping[Provider, Opener]]:
        yield {Provider.APNS: opened}

    return vendors


def test_a_key_that_the_provider_refuses_is_not_kept(configured: Path) -> None:
    bad = saying(production=CredentialsAtFault("InvalidProviderToken"), sandbox=Accepted())
    with pytest.raises(Failed, match=r"at fault: InvalidProviderToken.*nothing was kept"):
        push.add(configured, "chat", push_keys.apns(), ask=True, as_json=False, vendors=bad)
    assert hubbub("push", "app", "list").out == ""


@pytest.mark.parametrize("elsewhere", [Later("no connection"), CredentialsAtFault("BadEnvironmentKeyIdInToken")])
def test_one_that_cannot_be_asked_about_is_kept_with_a_warning(
    configured: Path, capsys: pytest.CaptureFixture[str], elsewhere: Verdict
) -> None:
    vendors = saying(production=Accepted(), sandbox=elsewhere)
    push.add(configured, "chat", push_keys.apns(), ask=True, as_json=False, vendors=vendors)
    assert "could not be checked (sandbox)" in capsys.readouterr().err
    assert "KEY0000001" in hubbub("push", "app", "list").out


def test_check_says_of_each_key_and_environment_how_it_is(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    push.add(configured, "chat", push_keys.apns(), ask=False, as_json=False)
    capsys.readouterr()
    mixed = saying(production=Accepted(), sandbox=CredentialsAtFault("InvalidProviderToken"))
    assert push.check(configured, app=None, as_json=False, vendors=mixed) == 1
    assert capsys.readouterr().out.splitlines() == [
        "apns chat KEY0000001 production: good",
        "apns chat KEY0000001 sandbox: at fault: InvalidProviderToken",
    ]
    good = saying(production=Accepted(), sandbox=Accepted())
    assert push.check(configured, app="chat", as_json=True, vendors=good) == 0
