"""What the tests of Bitcoin's rules share: the real data."""

import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "vectors"


def _read(name: str) -> Any:
    return json.loads((VECTORS / name).read_bytes())


@pytest.fixture(params=["block_702861.json", "block_951658.json"])
def block(request: pytest.FixtureRequest) -> Any:
    """One mainnet block: header, txids, and some raw transactions with their branches."""
    return _read(request.param)


@pytest.fixture
def whole_block() -> Any:
    """The block whose vectors list all its txids."""
    return _read("block_951658.json")


@pytest.fixture(scope="session")
def real_headers() -> Any:
    """Mainnet headers across two retargets, two orphans, and Bitcoin Core's retarget vectors."""
    return _read("headers_retarget.json")


@pytest.fixture(scope="session")
def electrum_examples() -> Any:
    """The examples of Electrum's protocol documentation that were verified."""
    return _read("electrum_protocol_examples.json")


@pytest.fixture(scope="session")
def checkpoint_sample() -> Any:
    """Some checkpoints by height, the next period's target in compact form."""
    return _read("electrum_checkpoints_sample.json")["sample"]


@pytest.fixture(scope="session")
def sighash_vectors() -> Any:
    """The examples of BIP 143, and some of Bitcoin Core's digests from before it."""
    return _read("sighash_vectors.json")


@pytest.fixture(scope="session")
def bip_341() -> Any:
    """The vectors of BIP 341."""
    return _read("bip_vectors.json")["bip341"]["data"]
