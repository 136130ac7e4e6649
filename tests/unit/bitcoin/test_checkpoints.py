"""The checkpoints that come with the package."""

from typing import Any

import pytest

from watcher.bitcoin.checkpoints import checkpoints
from watcher.bitcoin.headers import bits_of, target_of
from watcher.bitcoin.networks import PARAMS, Network


def test_there_is_one_at_the_end_of_each_period_up_to_the_last() -> None:
    known = checkpoints(Network.MAINNET)
    assert [point.height for point in known] == list(range(2015, 953_568, 2016))
    assert len(known) == 473
    assert known[-1].hash == "00000000000000000001b315e72169bef4867bf780527aa97c625ee9c001dc5d"


def test_the_sample_holds(checkpoint_sample: Any) -> None:
    by_height = {point.height: point for point in checkpoints(Network.MAINNET)}
    for height, (block_hash, bits) in checkpoint_sample.items():
        point = by_height[int(height)]
        assert point.hash == block_hash
        assert bits_of(point.next_target) == int(bits, 16)


def test_every_target_is_one_that_a_header_can_state_and_every_hash_meets_the_one_before() -> None:
    known = checkpoints(Network.MAINNET)
    in_force = target_of(PARAMS[Network.MAINNET].pow_limit_bits)
    for point in known:
        assert int(point.hash, 16) <= in_force
        assert target_of(bits_of(point.next_target)) == point.next_target
        in_force = point.next_target


@pytest.mark.parametrize("network", sorted(set(Network) - {Network.MAINNET}))
def test_the_other_networks_have_none(network: Network) -> None:
    assert checkpoints(network) == ()


def test_the_real_period_that_follows_a_checkpoint_states_its_target(real_headers: Any) -> None:
    by_height = {point.height: point for point in checkpoints(Network.MAINNET)}
    for check in real_headers["retarget_checks"]:
        assert bits_of(by_height[check["last"]].next_target) == int(check["new_bits"], 16)
