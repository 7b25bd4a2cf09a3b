"""A MongoDB that is reached by TLS and asks for a password: real, and nothing is believed that is not proven."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pymongo import MongoClient

from storage.errors import StorageError, Unavailable
from storage.local.mongod import Mongod, mongod
from storage.mongo.client import connect, translated
from support.certificates import Authority
from support.servers import short_directory

PASSWORD = "a secret/with:signs@"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def server(authority: Authority, tmp_path: Path) -> AsyncIterator[Mongod]:
    """Shows a certificate of 127.0.0.1 alone, and has the user `hubbub`."""
    key = tmp_path / "key"
    key.write_text("c2VjcmV0IG9mIHRoZSBtZW1iZXJz" * 4)
    key.chmod(0o600)
    files = authority.issue("mongod", host="", address="127.0.0.1")
    arguments = (
        *("--tlsMode", "preferTLS", "--tlsCertificateKeyFile", str(files.both), "--tlsCAFile", str(authority.path)),
        *("--tlsAllowConnectionsWithoutCertificates", "--keyFile", str(key), "--transitionToAuth"),
    )
    with short_directory() as directory:
        async with mongod(directory, ephemeral=True, arguments=arguments) as server:
            with MongoClient[dict[str, object]](server.url, tls=False) as client:
                client.admin.command("createUser", "hubbub", pwd=PASSWORD, roles=["readWriteAnyDatabase"])
            yield server


def url(server: Mongod, *, host: str = "127.0.0.1", user: str = "", **options: object) -> str:
    text = "&".join(f"{name}={value}" for name, value in {"serverSelectionTimeoutMS": 1500, **options}.items())
    return f"mongodb://{user}{host}:{server.port}/?{text}"


def signed_in(password: str) -> str:
    return f"hubbub:{quote(password, safe='')}@"


async def test_an_authority_and_a_password_in_the_url_are_enough(server: Mongod, authority: Authority) -> None:
    good = url(server, user=signed_in(PASSWORD), replicaSet="rs0", tls="true", tlsCAFile=authority.path)
    async with connect(good, "chat") as database:
        await database["things"].insert_one({"_id": 1})
        status = await database.command("connectionStatus")
        assert [user["user"] for user in status["authInfo"]["authenticatedUsers"]] == ["hubbub"]


async def test_a_wrong_password_is_refused_and_not_repeated_to_anybody(server: Mongod, authority: Authority) -> None:
    wrong = url(server, user=signed_in("guessed"), replicaSet="rs0", tls="true", tlsCAFile=authority.path)
    async with connect(wrong, "chat") as database:
        with pytest.raises(StorageError, match="Authentication failed") as refused, translated():
            await database["things"].insert_one({"_id": 1})
    assert "guessed" not in str(refused.value)


@pytest.mark.parametrize("case", ["another name", "an authority nobody knows", "no authority at all"])
async def test_a_certificate_that_proves_nothing_is_refused(
    server: Mongod, authority: Authority, tmp_path: Path, case: str
) -> None:
    stranger = Authority(tmp_path, "stranger")
    bad = {
        "another name": url(server, host="localhost", directConnection="true", tls="true", tlsCAFile=authority.path),
        "an authority nobody knows": url(server, replicaSet="rs0", tls="true", tlsCAFile=stranger.path),
        "no authority at all": url(server, replicaSet="rs0", tls="true"),
    }[case]
    async with connect(bad, "chat") as database:
        with pytest.raises(Unavailable, match=r"(?i)certificate.verify.failed"), translated():
            await database["things"].insert_one({"_id": 1})
