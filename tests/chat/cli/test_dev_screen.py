"""What `hubbub dev` says to people and to programs."""

import json
from dataclasses import replace

import pytest

from chat.cli.dev_screen import ForPeople, ForPrograms, Ready, happened
from storage.local.restarts import Event

READY = Ready(
    http="http://127.0.0.1:8000",
    websocket="ws://127.0.0.1:8000/connection/websocket",
    admin="http://127.0.0.1:8000/admin/login#" + "x" * 120,
    play="http://127.0.0.1:8000/play?as=alice",
    phones="http://127.0.0.1:8000/play/phones",
    docs="http://127.0.0.1:8000/docs",
    api_key="k[e]y",
    tokens={"alice": "a", "bob": "b", "carol": "c"},
    mongodb_url="mongodb://127.0.0.1:20000/?replicaSet=rs0",
    redis_url="unix:///tmp/redis.sock",
    pids={"hub": 1, "worker": 2, "mongod": 3, "redis": 4},
    data=".hubbub",
    stays=True,
    open_to_others=False,
)


def test_programs_get_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    screen = ForPrograms()
    screen.event(Event("ready", "mongod", 3, "6.0.5"))
    screen.step("keys", "made")
    screen.ready(READY)
    screen.stopping()
    out, err = capsys.readouterr()
    line = json.loads(out)
    assert out.count("\n") == 1
    assert err == ""
    links = ["http", "websocket", "admin", "play", "phones", "docs"]
    assert list(line) == ["ready", *links, "api_key", "tokens", "mongodb_url", "redis_url", "pids"]


def test_links_are_never_broken_nor_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    ForPeople().ready(READY)
    words = capsys.readouterr().out.split()
    links = (READY.admin, READY.play, READY.play.replace("alice", "bob"), READY.phones, READY.websocket)
    for text in (*links, READY.api_key):
        assert text in words


def test_steps_say_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter((10.0, 11.25))
    ForPeople(lambda: next(times)).event(Event("ready", "mongod", 7, "6.0.5 from wheel"))
    assert capsys.readouterr().out == "  ✔ mongod     pid 7 · 6.0.5 from wheel  1.2 s\n"


@pytest.mark.parametrize("screen", [ForPeople(), ForPrograms()])
def test_what_happens_later_is_said_on_stderr(
    screen: ForPeople | ForPrograms, capsys: pytest.CaptureFixture[str]
) -> None:
    screen.ready(READY)
    capsys.readouterr()
    screen.event(Event("died", "redis", detail="killed by SIGKILL", again_in_s=0.1))
    screen.event(Event("ready", "redis", 9))
    said = capsys.readouterr()
    assert said.out == ""
    assert "redis died (killed by SIGKILL) and is started again in 0.1 s" in said.err
    assert "redis is back (pid 9)" in said.err


def test_a_failure_is_one_line_and_the_end_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    ForPrograms().failed("mongod: ended", ("No space left",))
    assert capsys.readouterr().err == "hubbub dev: mongod: ended\n    No space left\n"


def test_a_start_that_failed_again_is_said() -> None:
    event = Event("failed", "mongod", detail="not ready after 60 s", again_in_s=5)
    assert happened(event) == "mongod could not be started again (not ready after 60 s); the next attempt is in 5 s"


def test_others_who_can_reach_the_address_are_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    ForPeople().ready(replace(READY, open_to_others=True, stays=False))
    out = capsys.readouterr().out
    assert "Whoever can reach this address can sign in as a demo user." in out
    assert "The data goes with it." in out
