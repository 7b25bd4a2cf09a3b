"""The keys of `[server]`: the process, its port, and how it begins and ends."""

from dataclasses import dataclass, field
from typing import Annotated

from chat.config.keys import Rule, Table
from chat.config.values import NO_SECRET, Seconds, Secret


@dataclass(frozen=True, slots=True)
class TlsSection:
    certificate: Annotated[
        str,
        Rule(
            "File with the certificate in PEM, those of the intermediate authorities after it. With it the port speaks"
            " TLS and nothing else. A file that changes is loaded within seconds, on SIGHUP at once; connections live"
            " on. Empty: no TLS here, as behind a proxy that does it."
        ),
    ] = ""
    key: Annotated[str, Rule("File with the certificate's private key in PEM, without a password.")] = ""
    min_version: Annotated[str, Rule("Oldest version of TLS that is spoken.", choices=("1.2", "1.3"))] = "1.2"


@dataclass(frozen=True, slots=True)
class ServerSection:
    host: Annotated[
        str, Rule("Address to listen on. Put 127.0.0.1 here when a proxy on the same machine is the only visitor.")
    ] = "0.0.0.0"  # noqa: S104 - a server in a container has to be reachable
    port: Annotated[int, Rule("Port to listen on. The variable `PORT` sets it too.", minimum=0, maximum=65535)] = 8000
    workers: Annotated[
        int,
        Rule(
            "Processes that share the port, one per core as a rule. The variable `WEB_CONCURRENCY` sets it too.",
            minimum=1,
            maximum=256,
        ),
    ] = 1
    public_url: Annotated[
        str,
        Rule(
            "How browsers reach this server, for example `https://chat.example.com`. Used in links that are "
            "printed, and allowed as an origin. Empty: `http://` and the host and port above.",
            pattern=r"https?://[^/?#\s]+/?",
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Rule(
            "Addresses and networks of the proxies in front, such as `10.0.0.0/8`. What they say of a client's address "
            "(`proxy_header`) is believed, read from its end; from everybody else it is not. Limits by address and the "
            "admin page need it to tell clients apart."
        ),
    ] = ()
    proxy_header: Annotated[
        str,
        Rule(
            "The header in which those proxies name whoever connected to them. The other one is ignored: clients may "
            "write it.",
            choices=("X-Forwarded-For", "Forwarded"),
        ),
    ] = "X-Forwarded-For"
    node_name: Annotated[str, Rule("Name of this node in metrics and on the admin page. Empty: the host name.")] = ""
    shutdown_timeout: Annotated[
        Seconds,
        Rule(
            "Longest time from SIGTERM to the end. Sockets are closed with 3001, which reconnects elsewhere, "
            "and what is being written is finished. Keep it below the 30 s that most platforms wait before they"
            " kill.",
            minimum=1.0,
            maximum=600.0,
        ),
    ] = 25.0
    termination_delay: Annotated[
        Seconds,
        Rule(
            "Part of the above, at most half of it: from SIGTERM on `/readyz` answers 503 for so long while everything "
            "is still served, so that balancers send new clients elsewhere. SIGINT skips it.",
            minimum=0.0,
            maximum=300.0,
        ),
    ] = 5.0
    metrics_token: Annotated[
        Secret,
        Rule("What a scraper must send to `/metrics` as `Authorization: Bearer`. Empty: open to whoever reaches it."),
    ] = NO_SECRET
    allow_insecure_options: Annotated[
        bool,
        Rule(
            "The second yes. `hubbub serve` refuses to start while an option that lets strangers in is set "
            "(`client.insecure`, anonymous connects, `token.require_exp = false`, short keys) unless this is "
            "true as well."
        ),
    ] = False
    tls: Annotated[TlsSection, Table("TLS on the port itself, where no proxy in front does it.")] = field(
        default_factory=TlsSection
    )

    @property
    def secure(self) -> bool:
        """Whether browsers reach this server by TLS, here or at a proxy."""
        return bool(self.tls.certificate) or self.public_url.startswith("https://")
