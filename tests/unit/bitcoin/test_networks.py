"""The five networks' constants."""

from typing import Any

import pytest

from watcher.bitcoin.headers import parse_header, target_of
from watcher.bitcoin.networks import PARAMS, Network

GENESIS = {
    Network.MAINNET: "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    Network.TESTNET3: "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    Network.TESTNET4: "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    Network.SIGNET: "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    Network.REGTEST: "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
}


@pytest.mark.parametrize("network", list(Network))
def test_each_genesis_header_hashes_to_its_known_hash_and_meets_the_limit(network: Network) -> None:
    params = PARAMS[network]
    header = parse_header(params.genesis_header)
    assert header.hash == params.genesis == GENESIS[network]
    assert header.previous == "00" * 32
    assert header.bits == params.pow_limit_bits
    assert int(header.hash, 16) <= target_of(params.pow_limit_bits)


def test_mainnets_genesis_header_is_the_documented_one(electrum_examples: Any) -> None:
    first = electrum_examples["headers_0_1"]["headers"][0]
    assert PARAMS[Network.MAINNET].genesis_header.hex() == first


def test_the_retarget_is_checked_where_difficulty_means_work() -> None:
    assert {network for network in Network if PARAMS[network].retargets} == {Network.MAINNET, Network.SIGNET}
