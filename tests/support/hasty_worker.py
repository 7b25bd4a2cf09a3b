"""A worker whose leases are short, to be run by its path: what it holds when it is killed is taken over within seconds.

The argument is the file of its configuration.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import patch

from chat.cli.logs import configure_logs
from chat.config import load
from chat.push.dispatcher import DispatcherSettings
from chat.worker import main
from storage.mongo.follower import Follower

FOLLOWER_LEASE_MS: Final = 1_500
JOB_LEASE_MS: Final = 4_000


def run(path: str) -> int:
    config = load(Path(path), {}, {}).config
    configure_logs(config.log)
    with (
        patch("storage.store.Follower", partial(Follower, lease_ttl_ms=FOLLOWER_LEASE_MS)),
        patch("chat.push.opening.DispatcherSettings", partial(DispatcherSettings, lease_ms=JOB_LEASE_MS)),
    ):
        return main(config)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
