"""What an address costs in memory, held by a count of the bytes that are kept for it."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from tests.bench.place import scripts
from watcher.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

_MORE = 2_000
_CONFIG = """network = "regtest"
state_directory = "state"
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:9"
[[treasuries]]
name = "bench"
[[treasuries.watch]]
addresses_file = "list.csv"
"""


def _kept(folder: Path, count: int) -> int:
    """Bytes of a config with so many addresses."""
    folder.mkdir()
    (folder / "watcher.toml").write_text(_CONFIG)
    addresses = [one.address for one in scripts(count, "bytes")]
    (folder / "list.csv").write_text("\n".join(["address", *addresses]) + "\n")
    gc.collect()
    tracemalloc.start()
    config = load_config(folder / "watcher.toml", environ={})
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(config.treasuries[0].scripts) == count
    return kept


def test_a_config_keeps_an_address_its_script_and_a_few_pointers(tmp_path: Path) -> None:
    _kept(tmp_path / "warm", 1)  # what is imported and compiled on the way
    each = (_kept(tmp_path / "many", _MORE) - _kept(tmp_path / "few", 1)) / _MORE
    assert each < 300  # 235 with CPython 3.11; the script's hash alone would be 113 more
