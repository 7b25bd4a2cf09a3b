"""The commands `push …`: names, flags, help. What they do is imported when one runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Push notifications.", rich_markup_mode=None, no_args_is_help=True)
apps = typer.Typer(
    help="Credentials of apps, sealed in the database.\n\nAn app has at most two keys with a provider, newest first.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
adding = typer.Typer(
    help="Add a key, checked with the provider first.\n\nSecrets are read from files, or - for stdin.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(apps, name="app")
apps.add_typer(adding, name="add")


class ProviderName(StrEnum):
    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"
    WEBHOOK = "webhook"


class EnvironmentName(StrEnum):
    PRODUCTION = "production"
    SANDBOX = "sandbox"


AppName = Annotated[str, typer.Argument(metavar="APP", help="The name by which devices ask for it.")]
ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Configuration file. Else $HUBBUB_CONFIG, else ./config.toml."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Check = Annotated[bool, typer.Option("--check/--no-check", help="Ask the provider whether the key is good.")]


@adding.command("apns")
def add_apns(
    name: AppName,
    key: Annotated[Path, typer.Option("--private-key", metavar="FILE", help="The .p8 file.")],
    key_id: Annotated[str, typer.Option("--key-id", help="Its 10 characters.")],
    team: Annotated[str, typer.Option("--team", help="The team's 10 characters.")],
    topic: Annotated[str | None, typer.Option("--topic", help="The bundle id. Else APP.")] = None,
    environment: Annotated[
        EnvironmentName | None, typer.Option("--environment", help="The only one that the key is for. Else both.")
    ] = None,
    ask: Check = True,
    config: ConfigPath = None,
    as_json: Json = False,
) -> None:
    """iPhones, iPads and Macs.

    \b
    Example:
      hubbub push app add apns org.example.chat --private-key AuthKey.p8 --key-id ABC1234567 --team DEF1234567
    """
    from chat.cli import push
    from chat.cli.outcome import reporting
    from chat.push.credentials import ApnsCredentials
    from chat.push.sending import Environment

    with reporting():
        secret = push.read_secret(key, "--private-key")
        only: Environment | None = None
        if environment is not None:
            only = "sandbox" if environment is EnvironmentName.SANDBOX else "production"
        push.add(config, name, ApnsCredentials(team, key_id, topic or name, secret, only), ask=ask, as_json=as_json)


@adding.command("fcm")
def add_fcm(
    name: AppName,
    account: Annotated[
        Path, typer.Option("--account", metavar="FILE", help="The JSON of a service account, from Firebase's console.")
    ],
    ask: Check = True,
    config: ConfigPath = None,
    as_json: Json = False,
) -> None:
    """Android, and whatever else Firebase reaches.

    \b
    Example:
      hubbub push app add fcm org.example.chat --account service-account.json
    """
    from chat.cli import push
    from chat.cli.outcome import reporting
    from chat.push.credentials import FcmCredentials

    with reporting():
        push.add(config, name, FcmCredentials(push.read_secret(account, "--account")), ask=ask, as_json=as_json)


@adding.command("webpush")
def add_webpush(
    name: AppName,
    subject: Annotated[str, typer.Option("--subject", help="How push services reach you: mailto:… or https://…")],
    key: Annotated[
        Path | None,
        typer.Option("--private-key", metavar="FILE", help="A VAPID key that there is (base64url). Else a new one."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", metavar="HOST", help="A push service besides the usual ones: ntfy.example.org"),
    ] = None,
    ask: Check = True,
    config: ConfigPath = None,
    as_json: Json = False,
) -> None:
    """Browsers, UnifiedPush and ntfy. Prints the public key that browsers subscribe with.

    \b
    Examples:
      hubbub push app add webpush default --subject mailto:push@example.com
      hubbub push app add webpush default --subject https://example.com/ --origin ntfy.example.org
    """
    import secrets

    from chat.cli import push
    from chat.cli.outcome import reporting
    from chat.push.credentials import WebPushCredentials
    from chat.push.webpush.vapid import generate

    with reporting():
        private, public = generate(secrets.token_bytes)
        if key is not None:
            private, public = push.read_secret(key, "--private-key").strip(), ""
        credentials = WebPushCredentials(private, public, subject, tuple(origin or ()))
        push.add(config, name, credentials, ask=ask, as_json=as_json)


@adding.command("webhook")
def add_webhook(
    name: AppName,
    url: Annotated[Path, typer.Option("--url", metavar="FILE", help="A file with the URL to post to.")],
    secret: Annotated[
        Path, typer.Option("--secret", metavar="FILE", help="A file with what requests are signed with: whsec_…")
    ],
    inside: Annotated[
        bool, typer.Option("--inside", help="The URL may lead to a private address, and be plain HTTP.")
    ] = False,
    ask: Check = True,
    config: ConfigPath = None,
    as_json: Json = False,
) -> None:
    """A service of your own.

    \b
    Example:
      hubbub push app add webhook default --url url.txt --secret secret.txt
    """
    from chat.cli import push
    from chat.cli.outcome import reporting
    from chat.push.credentials import WebhookCredentials

    with reporting():
        to, signed = push.read_secret(url, "--url").strip(), push.read_secret(secret, "--secret").strip()
        push.add(config, name, WebhookCredentials(to, signed, inside), ask=ask, as_json=as_json)


@apps.command("list")
def list_apps(config: ConfigPath = None, as_json: Json = False) -> None:
    """Show the keys there are, without what is secret; of one app the newest first.

    \b
    Example:
      hubbub push app list
    """
    from chat.cli import push
    from chat.cli.outcome import reporting

    with reporting():
        push.show(config, as_json=as_json)


@apps.command("remove")
def remove_app(
    provider: Annotated[ProviderName, typer.Argument(metavar="PROVIDER", help="apns, fcm, webpush or webhook.")],
    name: AppName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its name in the list.")],
    config: ConfigPath = None,
) -> None:
    """Forget a key. Its devices stay; nothing is sent to them until the app has a key again.

    \b
    Example:
      hubbub push app remove apns org.example.chat ABC1234567
    """
    from chat.cli import push
    from chat.cli.outcome import reporting
    from chat.push.sending import Provider

    with reporting():
        push.remove(config, Provider(provider.value), name, key)


@app.command("check")
def check(
    name: Annotated[str | None, typer.Argument(metavar="[APP]", help="Only this one.")] = None,
    config: ConfigPath = None,
    as_json: Json = False,
) -> None:
    """Ask every provider whether it takes the keys there are. Nobody is sent anything.

    \b
    Examples:
      hubbub push check
      hubbub push check org.example.chat --json
    """
    from chat.cli import push
    from chat.cli.outcome import reporting

    with reporting():
        code = push.check(config, app=name, as_json=as_json)
    raise typer.Exit(code)
