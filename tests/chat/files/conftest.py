"""The two stores of files: a directory, and a bucket of a server that is not ours."""

import pytest

from chat.files.disk import DiskFiles
from chat.files.links import Links
from chat.files.s3 import Bucket, s3_files
from chat.files.signing import Signer
from support.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, s3_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3") / "data") as server:
        yield server


@pytest.fixture
def disk(tmp_path):
    return DiskFiles(tmp_path / "files", Links(b"k" * 32, "http://hub"))


@pytest.fixture
def bucket(s3):
    return Bucket(s3.endpoint, s3.endpoint, BUCKET, "hub/", path_style=True)


@pytest.fixture
async def remote(bucket):
    async with s3_files(bucket, Signer(ACCESS_KEY, SECRET_KEY, "us-east-1")) as files:
        yield files
