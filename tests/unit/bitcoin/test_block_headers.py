"""Headers and what a branch of them must obey, on real headers and on mined ones."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.hashing import sha256d
from watcher.bitcoin.headers import (
    bits_of,
    header_hash,
    median_time_past,
    next_bits,
    parse_header,
    target_of,
    validate_chunk,
    validate_headers,
    work_of,
)
from watcher.bitcoin.networks import PARAMS, Network, Params
from watcher.bitcoin.types import BlockHash, Malformed

MAINNET, TESTNET3, REGTEST = (PARAMS[name] for name in (Network.MAINNET, Network.TESTNET3, Network.REGTEST))
EASY = 0x207FFFFF  # every second hash meets it
# the rules of the real networks at a difficulty a test can mine
EASY_MAINNET = replace(MAINNET, pow_limit_bits=EASY)
EASY_TESTNET = replace(TESTNET3, pow_limit_bits=EASY)
START = 1_600_000_000
SPACING = 600


def mined(previous: bytes, *, time: int, bits: int = EASY, meets: bool = True) -> bytes:
    """A header on top of another whose hash meets its target, or just does not."""
    for nonce in range(100_000):
        raw = struct.pack("<I32s32sIII", 4, sha256d(previous), bytes(32), time, bits, nonce)
        if (int.from_bytes(sha256d(raw), "little") <= target_of(bits)) is meets:
            return raw
    raise AssertionError("a test asked for more work than a test can do")


def first_header(bits: int = EASY, time: int = START) -> bytes:
    return struct.pack("<I32s32sIII", 4, bytes(32), bytes(32), time, bits, 0)


def chain(length: int, *, spacing: int = SPACING) -> list[bytes]:
    """A header and `length` more on top of it, at the easiest difficulty."""
    raws = [first_header()]
    for number in range(1, length + 1):
        raws.append(mined(raws[-1], time=START + number * spacing))
    return raws


def validated(params: Params, raws: list[bytes], at: int = 1) -> int:
    """Validates what follows the first `at` headers of a chain that begins at height 0."""
    return validate_headers(params, start_height=at, raws=raws[at:], before=raws.__getitem__)


def real_branch(real_headers: Any, name: str) -> tuple[int, list[bytes], Callable[[int], bytes]]:
    """The linked headers of a real set by height, with a `before` that knows them and the period's start.

    The sets have too few headers for the first median: where one is missing its place is taken by the
    oldest linked one, which is later, so the median can only be stricter or the same.
    """
    linked, known = {}, {}
    for entry in real_headers["sets"][name]:
        if entry["height"] is None or entry["label"].startswith("orphan"):
            continue
        raw = bytes.fromhex(entry["header_hex"])
        known[entry["height"]] = raw
        if entry["label"] != "oldPeriodStart":
            linked[entry["height"]] = raw
    oldest = min(linked)

    def before(height: int) -> bytes:
        return known[height] if height in known else known[oldest]

    return oldest, [linked[height] for height in sorted(linked)], before


def orphan(real_headers: Any, name: str) -> Any:
    return next(entry for entry in real_headers["sets"][name] if entry["label"].startswith("orphan"))


REAL_SETS = ["headers", "headersReorgAndRetarget", "headersWithRetarget"]


def test_a_real_header_has_the_fields_the_vectors_say(block: Any) -> None:
    fields = block["block"]
    header = parse_header(bytes.fromhex(fields["header_hex"]))
    assert header.hash == fields["hash"]
    assert header.previous == fields["prev"]
    assert header.merkle_root == fields["merkle_root"]
    assert header.time == fields["time"]
    assert header.bits == int(fields["bits"], 16)
    assert header.raw.hex() == fields["header_hex"]
    assert int(header.hash, 16) <= target_of(header.bits)


def test_every_real_header_hashes_to_its_hash(real_headers: Any) -> None:
    for entries in real_headers["sets"].values():
        for entry in entries:
            header = parse_header(bytes.fromhex(entry["header_hex"]))
            assert (header.hash, header.previous) == (entry["hash"], entry["prev"])
            assert (header.time, f"{header.bits:08x}") == (entry["time"], entry["bits"])


@pytest.mark.parametrize("length", [0, 79, 81, 160])
def test_a_header_has_80_bytes(length: int) -> None:
    with pytest.raises(Malformed, match=f"{length} bytes"):
        parse_header(bytes(length))
    with pytest.raises(Malformed, match=f"{length} bytes"):
        header_hash(bytes(length))


# Bitcoin Core, src/test/arith_uint256_tests.cpp (MIT), bignum_SetCompact
@pytest.mark.parametrize(
    ("bits", "target", "back"),
    [
        (0x01123456, 0x12, 0x01120000),
        (0x02123456, 0x1234, 0x02123400),
        (0x03123456, 0x123456, 0x03123456),
        (0x04123456, 0x12345600, 0x04123456),
        (0x02008000, 0x80, 0x02008000),
        (0x05009234, 0x92340000, 0x05009234),
        (0x20123456, 0x123456 << 232, 0x20123456),
        (0x1D00FFFF, 0xFFFF << 208, 0x1D00FFFF),
    ],
)
def test_the_compact_form_is_bitcoin_cores(bits: int, target: int, back: int) -> None:
    assert target_of(bits) == target
    assert bits_of(target) == back


@pytest.mark.parametrize(
    ("bits", "sentence"),
    [
        (0, "zero"),
        (0x01003456, "zero"),
        (0x04000000, "zero"),
        (0x00123456, "zero"),
        (0x01FEDCBA, "negative"),
        (0x04923456, "negative"),
        (0x1D80FFFF, "negative"),
        (0xFF123456, "256 bits"),
        (0x22000100, "256 bits"),
        (0x21010000, "256 bits"),
    ],
)
def test_a_target_that_no_header_may_state_is_refused(bits: int, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        target_of(bits)


@given(target=st.integers(1, (1 << 255) - 1))
def test_the_compact_form_rounds_down_and_is_its_own_fixed_point(target: int) -> None:
    bits = bits_of(target)
    rounded = target_of(bits)
    assert rounded <= target
    assert target - rounded < max(1, target >> 15)
    assert bits_of(rounded) == bits


def test_the_work_of_the_easiest_mainnet_block_is_the_known_one() -> None:
    assert work_of(0x1D00FFFF) == 0x100010001
    assert work_of(EASY) == 2


def test_bitcoin_cores_retarget_vectors_hold(real_headers: Any) -> None:
    for vector in real_headers["bitcoin_core_pow_tests"]["vectors"]:
        assert next_bits(
            MAINNET, int(vector["bits"], 16), vector["last_retarget_time"], vector["last_time"]
        ) == int(vector["expected"], 16), vector["name"]


@given(times=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30))
def test_the_median_is_of_the_last_eleven(times: list[int]) -> None:
    last = times[-11:]
    median = median_time_past(times)
    assert sum(time < median for time in last) <= len(last) // 2
    assert sum(time <= median for time in last) > len(last) // 2


@pytest.mark.parametrize("name", REAL_SETS)
def test_real_branches_are_valid_across_their_retarget_and_have_their_work(
    real_headers: Any, name: str
) -> None:
    oldest, raws, before = real_branch(real_headers, name)
    work = validate_headers(MAINNET, start_height=oldest + 1, raws=raws[1:], before=before)
    assert work == sum(work_of(parse_header(raw).bits) for raw in raws[1:])


@pytest.mark.parametrize("name", REAL_SETS[1:])
def test_the_old_difficulty_after_a_retarget_is_refused_at_its_height(real_headers: Any, name: str) -> None:
    oldest, raws, before = real_branch(real_headers, name)
    check = next(entry for entry in real_headers["retarget_checks"] if entry["set"] == name)
    at = check["first_new"] - oldest
    old_bits = struct.pack("<I", int(check["old_bits"], 16))
    raws[at] = raws[at][:72] + old_bits + raws[at][76:]
    rule = f"it states bits {check['old_bits']}, and {check['new_bits']} are due"
    with pytest.raises(Malformed, match=f"mainnet header {check['first_new']}: {rule}"):
        validate_headers(MAINNET, start_height=oldest + 1, raws=raws[1:], before=before)


@pytest.mark.parametrize("name", REAL_SETS[:2])
def test_a_real_orphan_is_a_valid_branch_with_less_work_than_the_chain(real_headers: Any, name: str) -> None:
    oldest, raws, before = real_branch(real_headers, name)
    lost = orphan(real_headers, name)
    at = lost["height"] - oldest
    branch = [*raws[:at], bytes.fromhex(lost["header_hex"])]
    work = validate_headers(MAINNET, start_height=oldest + 1, raws=branch[1:], before=before)
    assert work == validate_headers(MAINNET, start_height=oldest + 1, raws=raws[1 : at + 1], before=before)
    assert work < validate_headers(MAINNET, start_height=oldest + 1, raws=raws[1:], before=before)
    # the chain goes on from the other block of that height, and never from the orphan
    with pytest.raises(Malformed, match=f"header {lost['height'] + 1}: it does not link"):
        validate_headers(MAINNET, start_height=oldest + 1, raws=[*branch[1:], raws[at + 1]], before=before)


def test_a_real_header_from_elsewhere_does_not_link(real_headers: Any) -> None:
    oldest, raws, before = real_branch(real_headers, "headers")
    elsewhere = next(
        bytes.fromhex(entry["header_hex"])
        for entry in real_headers["sets"]["headers"]
        if entry["label"] == "badHeader"
    )
    with pytest.raises(Malformed, match=f"mainnet header {oldest + len(raws)}: it does not link"):
        validate_headers(MAINNET, start_height=oldest + 1, raws=[*raws[1:], elsewhere], before=before)


@given(at=st.integers(0, 79), flip=st.integers(1, 255), which=st.integers(0, 17))
def test_one_changed_byte_anywhere_in_a_real_branch_is_refused(
    real_headers: Any, at: int, flip: int, which: int
) -> None:
    oldest, raws, before = real_branch(real_headers, "headers")
    branch = raws[1:]
    changed = bytearray(branch[which])
    changed[at] ^= flip
    branch[which] = bytes(changed)
    with pytest.raises(Malformed, match="mainnet header 5626"):
        validate_headers(MAINNET, start_height=oldest + 1, raws=branch, before=before)


@pytest.mark.parametrize("name", REAL_SETS)
def test_a_real_header_without_its_nonce_proves_no_work(real_headers: Any, name: str) -> None:
    oldest, raws, before = real_branch(real_headers, name)
    for nonce in range(64):
        forged = raws[1][:76] + struct.pack("<I", nonce)
        with pytest.raises(Malformed, match=f"mainnet header {oldest + 1}: its hash does not meet"):
            validate_headers(MAINNET, start_height=oldest + 1, raws=[forged], before=before)


@pytest.mark.parametrize("length", [0, 79, 81])
def test_a_branch_with_a_header_of_another_length_is_refused(real_headers: Any, length: int) -> None:
    oldest, _, before = real_branch(real_headers, "headers")
    with pytest.raises(Malformed, match=f"mainnet header {oldest + 1}: {length} bytes"):
        validate_headers(MAINNET, start_height=oldest + 1, raws=[bytes(length)], before=before)


def test_the_first_mainnet_block_follows_the_genesis_block(electrum_examples: Any) -> None:
    genesis, first = (bytes.fromhex(raw) for raw in electrum_examples["headers_0_1"]["headers"])
    assert (
        validate_headers(MAINNET, start_height=1, raws=[first], before={0: genesis}.__getitem__)
        == 0x100010001
    )
    assert validate_headers(MAINNET, start_height=1, raws=[], before={0: genesis}.__getitem__) == 0
    with pytest.raises(Malformed, match="genesis"):
        validate_headers(MAINNET, start_height=0, raws=[genesis], before={0: genesis}.__getitem__)
    with pytest.raises(Malformed, match="it does not link"):
        validate_headers(TESTNET3, start_height=1, raws=[first], before=lambda _: TESTNET3.genesis_header)


@pytest.mark.parametrize("params", [EASY_MAINNET, EASY_TESTNET, REGTEST], ids=["retarget", "stated", "limit"])
def test_a_mined_branch_is_valid_and_a_hash_above_its_target_is_not(params: Params) -> None:
    raws = chain(20)
    assert validated(params, raws) == 20 * work_of(EASY)
    raws[7] = mined(raws[6], time=START + 7 * SPACING, meets=False)
    with pytest.raises(Malformed, match=f"{params.network} header 7: its hash does not meet its target"):
        validated(params, raws)


@pytest.mark.parametrize("params", [EASY_MAINNET, EASY_TESTNET], ids=["retarget", "stated"])
@pytest.mark.parametrize("height", [2, 5, 12, 20])
def test_a_time_must_be_after_the_median_of_the_eleven_before(params: Params, height: int) -> None:
    raws = chain(height - 1)
    times = [parse_header(raw).time for raw in raws]
    median = median_time_past(times)
    assert validated(params, [*raws, mined(raws[-1], time=median + 1)])
    with pytest.raises(Malformed, match=f"header {height}: its time is not after the median"):
        validated(params, [*raws, mined(raws[-1], time=median)])


def test_the_median_also_counts_the_headers_before_the_branch() -> None:
    raws = chain(30)
    raws.append(mined(raws[-1], time=START + 25 * SPACING))
    for at in (1, 15, 24, 30, 31):
        with pytest.raises(Malformed, match="header 31: its time is not after"):
            validated(EASY_MAINNET, raws, at)


@pytest.mark.parametrize("at", [1, 11, 12, 21, 31])
def test_the_window_before_a_branch_is_eleven_wide(at: int) -> None:
    raws = chain(30)
    median = median_time_past([parse_header(raw).time for raw in raws])
    raws.append(mined(raws[-1], time=median + 1))
    assert validated(EASY_MAINNET, raws, at) == (len(raws) - at) * work_of(EASY)


def test_regtest_states_the_limit_and_nothing_else() -> None:
    raws = chain(3)
    harder = 0x201FFFFF
    raws.append(mined(raws[-1], time=START + 4 * SPACING, bits=harder))
    with pytest.raises(Malformed, match="regtest header 4: it states bits 201fffff, and 207fffff are due"):
        validated(REGTEST, raws)


def test_a_testnet_may_state_any_difficulty_up_to_its_limit() -> None:
    limited = replace(TESTNET3, pow_limit_bits=0x203FFFFF)
    raws = [first_header()]
    for bits in (0x201FFFFF, 0x203FFFFF, 0x200FFFFF):
        raws.append(mined(raws[-1], time=START + len(raws) * SPACING, bits=bits))
    assert validated(limited, raws) == work_of(0x201FFFFF) + work_of(0x203FFFFF) + work_of(0x200FFFFF)
    raws.append(mined(raws[-1], time=START + 10 * SPACING, bits=0x20400000))
    with pytest.raises(Malformed, match="testnet3 header 4: its target is easier than the network's limit"):
        validated(limited, raws)


@pytest.mark.parametrize("bits", [0, 0x04923456, 0xFF123456])
def test_an_impossible_target_is_refused_at_its_height(bits: int) -> None:
    raws = chain(2)
    raws.append(struct.pack("<I32s32sIII", 4, sha256d(raws[-1]), bytes(32), START + 3 * SPACING, bits, 0))
    with pytest.raises(Malformed, match="testnet3 header 3: a "):
        validated(EASY_TESTNET, raws)


@pytest.mark.parametrize(
    ("spacing", "share"),
    [(600, (2015, 2016)), (60, (1, 4)), (300, (2015, 4032)), (1200, None), (10_000, None)],
    ids=["on time", "clamped", "twice as fast", "slow, at the limit", "very slow, at the limit"],
)
def test_a_period_is_measured_over_its_2015_intervals_with_clamps_and_the_limit(
    spacing: int, share: tuple[int, int] | None
) -> None:
    raws = chain(2015, spacing=spacing)
    due = bits_of(target_of(EASY) * share[0] // share[1]) if share else EASY
    at_retarget = START + 2016 * spacing
    assert validated(EASY_MAINNET, [*raws, mined(raws[-1], time=at_retarget, bits=due)])
    # the same header alone: the period's first block is asked of `before`
    alone = [*raws, mined(raws[-1], time=at_retarget, bits=due)]
    assert validated(EASY_MAINNET, alone, 2016) == work_of(due)
    wrong = due - 1
    with pytest.raises(Malformed, match=f"header 2016: it states bits {wrong:08x}, and {due:08x} are due"):
        validated(EASY_MAINNET, [*raws, mined(raws[-1], time=at_retarget, bits=wrong)])


def test_a_difficulty_changed_within_a_period_is_refused() -> None:
    raws = chain(4)
    raws.append(mined(raws[-1], time=START + 5 * SPACING, bits=EASY - 1))
    with pytest.raises(Malformed, match="header 5: it states bits"):
        validated(EASY_MAINNET, raws)


def test_a_chunk_below_a_checkpoint_links_and_ends_in_it() -> None:
    raws = chain(10)
    ends = {"previous_hash": header_hash(raws[0]), "last_hash": header_hash(raws[10])}
    validate_chunk(MAINNET, 1, raws[1:], **ends)
    with pytest.raises(Malformed, match="header 1: it does not link"):
        validate_chunk(MAINNET, 1, raws[2:], **ends)
    with pytest.raises(Malformed, match="header 9: it is not the checkpoint's"):
        validate_chunk(MAINNET, 1, raws[1:-1], **ends)
    with pytest.raises(Malformed, match="header 5: it does not link"):
        validate_chunk(MAINNET, 1, [*raws[1:5], *raws[6:]], **ends)
    with pytest.raises(Malformed, match="header 1: it does not link"):
        validate_chunk(MAINNET, 1, [raws[1] + b"\0", *raws[2:]], **ends)
    with pytest.raises(Malformed, match="no headers"):
        validate_chunk(MAINNET, 1, [], **ends)


def test_a_real_chunk_ends_in_the_real_checkpoint(real_headers: Any) -> None:
    oldest, raws, _ = real_branch(real_headers, "headersReorgAndRetarget")
    until = 437_471 - oldest + 1
    validate_chunk(
        MAINNET,
        oldest,
        raws[:until],
        previous_hash=parse_header(raws[0]).previous,
        last_hash=BlockHash("00000000000000000364a23184b8a2c009d13172094421c22e4d9bc85dcf90a5"),
    )
