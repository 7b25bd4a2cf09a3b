"""The commands: names, flags, help. What they do is imported when one runs, so that `--help` answers at once."""

from pathlib import Path
from typing import Annotated

import typer

from chat.cli import push_commands

HELP = """\
Self-hosted real-time chat and push backend that speaks the Centrifugo client protocol.

\b
Try it:            hubbub dev
Run it:            hubbub migrate && hubbub serve --workers 4   (and: hubbub worker)
What is in force:  hubbub config show --origin
What is wrong:     hubbub doctor

Settings come from defaults, config.toml, the environment and flags; docs/configuration.md has all of them.

\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 a server does not answer.
Data goes to stdout, words for people to stderr. NO_COLOR is respected.
"""

app = typer.Typer(name="hubbub", help=HELP, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)
config_app = typer.Typer(help="Show the configuration.", rich_markup_mode=None, no_args_is_help=True)
admin_app = typer.Typer(help="The admin page.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(admin_app, name="admin")
app.add_typer(push_commands.app, name="push")

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Configuration file. Else $HUBBUB_CONFIG, else ./config.toml."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
As = Annotated[str, typer.Option("--as", metavar="USER", help="Who speaks.")]
Url = Annotated[
    str | None, typer.Option("--url", help="Where the server answers. Else server.public_url or its port here.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="A token to use, instead of one signed with the configured secret."
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on (server.host).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (server.port).", min=0, max=65535)]


@app.command()
def dev(
    host: Host = None,
    port: Port = None,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is kept.")] = Path(".hubbub"),
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing: a directory that is removed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready.")] = False,
    phones: Annotated[
        bool, typer.Option("--phones/--no-phones", help="Emulators of push services, and a phone per demo user.")
    ] = True,
    config: ConfigPath = None,
) -> None:
    """Start everything here, with demo users, to try it.

    MongoDB and Redis included, as child processes that are gone when this is.

    \b
    Examples:
      hubbub dev
      hubbub dev --port 9000 --ephemeral
    """
    from chat.cli import dev as local
    from chat.cli.outcome import reporting

    with reporting():
        code = local.run(local.Options(host, port, data, ephemeral, as_json, config, phones))
    raise typer.Exit(code)


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port.", min=1, max=256)] = None,
    config: ConfigPath = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Serve connections, REST and the API until SIGTERM.

    Refuses to start with insecure options that are not confirmed, and with a database that was not migrated.

    \b
    Examples:
      hubbub serve
      PORT=8080 MONGODB_URL=mongodb://db/?replicaSet=rs0 REDIS_URL=redis://cache hubbub serve --workers 4
    """
    from chat.cli.outcome import reporting
    from chat.cli.serving import ServeOptions
    from chat.cli.serving import serve as run

    with reporting():
        code = run(ServeOptions(config, host, port, workers, supervised))
    raise typer.Exit(code)


@app.command()
def worker(config: ConfigPath = None) -> None:
    """Keep what is derived from the log right.

    Also after a server was killed. One worker is active, more stand by.

    \b
    Example:
      hubbub worker
    """
    from chat.cli.outcome import reporting
    from chat.cli.serving import work

    with reporting():
        code = work(config)
    raise typer.Exit(code)


@app.command()
def migrate(
    config: ConfigPath = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing, only say whether it is needed.")] = False,
    as_json: Json = False,
) -> None:
    """Make the collections and indexes this version needs.

    May be repeated, also while servers run.

    \b
    Examples:
      hubbub migrate
      hubbub migrate --check
    """
    from chat.cli.outcome import reporting
    from chat.cli.serving import migrate as run

    with reporting():
        run(config, check=check, as_json=as_json)


@app.command("check-config")
def check_config(config: ConfigPath = None, as_json: Json = False) -> None:
    """Check the configuration without starting anything.

    Unknown keys, wrong values, insecure options that are not confirmed, keys and certificates that cannot be used. A
    server that runs takes over token keys, certificate and log settings on SIGHUP, if they pass this.

    \b
    Examples:
      hubbub check-config && kill -HUP <pid>
      hubbub check-config --config /etc/hubbub/config.toml --json
    """
    from chat.cli.configuring import check_config as run
    from chat.cli.outcome import reporting

    with reporting():
        code = run(config, as_json=as_json)
    raise typer.Exit(code)


@config_app.command("show")
def config_show(
    config: ConfigPath = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not the default.")] = False,
    as_json: Json = False,
) -> None:
    """Show every value in force. Secrets are shown as ***.

    \b
    Examples:
      hubbub config show --origin --changed
      hubbub config show --json | jq .\\"server.port\\"
    """
    from chat.cli.configuring import show
    from chat.cli.outcome import reporting

    with reporting():
        show(config, origin=origin, changed=changed, as_json=as_json)


@config_app.command("default")
def config_default() -> None:
    """Print a configuration file that documents every key with its default.

    \b
    Example:
      hubbub config default > config.toml
    """
    from chat.cli.configuring import default
    from chat.cli.outcome import reporting

    with reporting():
        default()


@config_app.command("reference")
def config_reference() -> None:
    """Print the reference of all keys in Markdown.

    \b
    Example:
      hubbub config reference > docs/configuration.md
    """
    from chat.cli.configuring import reference
    from chat.cli.outcome import reporting

    with reporting():
        reference()


@app.command()
def token(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose token.")],
    ttl: Annotated[str, typer.Option(help='How long it is good: "15m", "24h", or "never".')] = "24h",
    info: Annotated[str, typer.Option(metavar="JSON", help="The info claim: name, avatar_url, …")] = "",
    channel: Annotated[str, typer.Option(help="Make a subscription token for this channel.")] = "",
    private_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sign with this private key in PEM, not with the configured secret."),
    ] = None,
    algorithm: Annotated[str, typer.Option(help="With --private-key: RS256, ES256, EdDSA, …")] = "EdDSA",
    kid: Annotated[str, typer.Option(help="With --private-key: the kid in the header.")] = "",
    config: ConfigPath = None,
) -> None:
    """Print a token that the server accepts. Applications make theirs with any JWT library.

    \b
    Examples:
      hubbub token alice
      hubbub token alice --ttl 15m --info '{"name": "Alice"}'
      hubbub token alice --channel 'news:sport'
    """
    from chat.cli.minting import TokenOptions
    from chat.cli.minting import token as run
    from chat.cli.outcome import reporting

    with reporting():
        run(config, TokenOptions(user, ttl, info, channel, private_key, algorithm, kid))


@app.command()
def keys(
    path: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A new file, mode 0600. Else stdout.")] = None,
    env: Annotated[bool, typer.Option("--env", help="As environment variables instead of TOML.")] = False,
) -> None:
    """Make the secrets that a deployment needs.

    For tokens, the server API and the admin page.

    \b
    Examples:
      hubbub keys keys.toml
      hubbub keys --env > .env
    """
    from chat.cli.minting import keys as run
    from chat.cli.outcome import reporting

    with reporting():
        run(path, as_env=env)


@admin_app.command("link")
def admin_link(url: Url = None, config: ConfigPath = None, as_json: Json = False) -> None:
    """Print a link that signs you in to the admin page. It works once, for ten minutes (admin.link_ttl).

    \b
    Example:
      hubbub admin link
    """
    from chat.cli.minting import admin_link as run
    from chat.cli.outcome import reporting

    with reporting():
        run(config, url=url, as_json=as_json)


@app.command()
def send(
    conversation: Annotated[
        str, typer.Argument(metavar="CONVERSATION", help="Its id, external id, title or other member.")
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say; - reads stdin.")],
    user: As,
    url: Url = None,
    token_file: TokenFile = None,
    config: ConfigPath = None,
    as_json: Json = False,
) -> None:
    """Send a message. Prints its id once it is stored.

    \b
    Examples:
      hubbub send Lunch "Who is in?" --as alice
      uptime | hubbub send ops - --as monitor
    """
    from chat.cli.outcome import reporting
    from chat.cli.talking import Speaker
    from chat.cli.talking import send as run

    with reporting():
        run(conversation, text, Speaker(user, config, url, token_file), as_json=as_json)


@app.command()
def tail(
    conversation: Annotated[
        str, typer.Argument(metavar="CONVERSATION", help="Its id, external id, title or other member.")
    ],
    user: As,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Messages to begin with.", min=0, max=200)] = 20,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on with new ones until Ctrl-C.")] = True,
    url: Url = None,
    token_file: TokenFile = None,
    config: ConfigPath = None,
    as_json: Json = False,
) -> None:
    """Print a conversation as it goes on. Survives restarts of the server without losing or doubling a message.

    \b
    Examples:
      hubbub tail Lunch --as alice
      hubbub tail ops --as monitor --json | jq -r .text
    """
    from chat.cli.outcome import reporting
    from chat.cli.talking import Speaker
    from chat.cli.talking import tail as run

    with reporting():
        run(conversation, Speaker(user, config, url, token_file), limit=limit, follow=follow, as_json=as_json)


@app.command()
def doctor(config: ConfigPath = None, url: Url = None, as_json: Json = False) -> None:
    """Say what is wrong, why it matters and what helps.

    Looks at the configuration, files, MongoDB, Redis and the running server.

    \b
    Examples:
      hubbub doctor
      hubbub doctor --json
    """
    from chat.cli.doctor import doctor as run
    from chat.cli.outcome import reporting

    with reporting():
        code = run(config, url=url, as_json=as_json)
    raise typer.Exit(code)


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version.

    \b
    Example:
      hubbub version --json
    """
    import platform

    from chat import __version__
    from chat.cli.outcome import put, put_json

    if as_json:
        put_json({"version": __version__, "python": platform.python_version(), "platform": platform.platform()})
    else:
        put(__version__)


def main() -> None:
    """The entry point of `hubbub`."""
    app(prog_name="hubbub")
