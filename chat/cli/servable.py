"""What is wrong with a configuration as one can tell before anything is started: URLs and files of no use."""

from collections.abc import Iterator

from chat.config import Config, Problem


def unservable(config: Config) -> Iterator[Problem]:
    """What keeps a process from ever serving with it, beyond the rules of its keys. Asks no server."""
    from chat.serving.tls import TlsUnusable, checked_context
    from realtime.redis.address import parse_address
    from storage.mongo.client import check_url

    try:
        check_url(config.mongodb.url.reveal())
    except ValueError as error:
        yield Problem("mongodb.url", str(error))
    for url in config.redis.urls:
        try:
            parse_address(url.reveal())
        except ValueError as error:
            yield Problem("redis.urls", str(error))
    if config.server.tls.certificate:
        try:
            checked_context(config.server.tls)
        except TlsUnusable as error:
            yield Problem(error.key, error.reason)
