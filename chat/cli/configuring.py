"""`check-config` and `config`: what is in force, where it came from, and whether one may serve with it."""

from pathlib import Path

from chat.cli.loading import load_config
from chat.cli.outcome import EXIT_CONFIG, EXIT_OK, colored, put, put_json, say
from chat.cli.servable import unservable
from chat.config import ConfigError, Loaded, Problem, refuse_insecure
from chat.config.checks import remarks
from chat.config.render import default_toml, reference_markdown, shown, shown_lines


def check_config(path: Path | None, *, as_json: bool) -> int:
    """Check everything that can be checked without a server. Returns the exit code."""
    loaded: Loaded | None = None
    try:
        loaded = load_config(path)
        problems = check_all(loaded)
    except ConfigError as error:
        problems = list(error.problems)
    notes = [] if loaded is None else remarks(loaded.config)
    if as_json:
        put_json(
            {
                "ok": not problems,
                "problems": [_plain(one) for one in problems],
                "remarks": [_plain(one) for one in notes],
            }
        )
    else:
        for problem in problems:
            say(f"{colored('wrong', 'red')} {problem}")
        for note in notes:
            say(f"{colored('note', 'yellow')}  {note}")
        if not problems:
            put("the configuration can be served")
    return EXIT_CONFIG if problems else EXIT_OK


def check_all(loaded: Loaded) -> list[Problem]:
    """What keeps `serve` from starting with a configuration that was loaded: insecure options, unusable keys."""
    from chat.auth.verifier import check_keys
    from chat.sealing import Sealer

    problems: list[Problem] = []
    try:
        refuse_insecure(loaded.config, loaded.origins)
    except ConfigError as error:
        problems += error.problems
    try:
        check_keys(loaded.config)
    except ConfigError as error:
        problems += error.problems
    try:
        Sealer.from_config(loaded.config)
    except ConfigError as error:
        problems += error.problems
    return [*problems, *unservable(loaded.config)]


def show(path: Path | None, *, origin: bool, changed: bool, as_json: bool) -> None:
    """Every value in force, secrets masked."""
    loaded = load_config(path)
    if as_json:
        put_json(shown(loaded) if origin else {key: entry["value"] for key, entry in shown(loaded).items()})
        return
    for line in shown_lines(loaded, origin=origin, changed=changed):
        put(line)


def default() -> None:
    """The configuration file that documents every key."""
    put(default_toml().removesuffix("\n"))


def reference() -> None:
    """The reference in Markdown."""
    put(reference_markdown().removesuffix("\n"))


def _plain(problem: Problem) -> dict[str, str]:
    return {"key": problem.key, "rule": problem.rule, "origin": str(problem.origin)}
