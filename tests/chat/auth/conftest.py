"""Key pairs, which take their time to make."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.tokens import pems


@pytest.fixture(scope="session")
def rsa_pems() -> tuple[str, str]:
    return pems(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def ec_pems() -> tuple[str, str]:
    return pems(ec.generate_private_key(ec.SECP256R1()))
