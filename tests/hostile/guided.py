"""A coverage-guided run over one parser: `python -m tests.hostile.guided PARSER [SECONDS]`.

Needs atheris, which has wheels for few Pythons; what it finds is a frame on which the parser crashes, or
which it reads against a law of `parsers`.
"""

from __future__ import annotations

import importlib
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.hostile.mutants import Mutants

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS: Final = 60
atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["watcher"]):
    from tests.hostile.parsers import PARSERS


def main(words: Sequence[str]) -> None:
    """Never returns: the process ends with 0 when the time is over, with another code for a finding."""
    parser = PARSERS[words[1]]
    seconds = int(words[2]) if len(words) > 2 else SECONDS

    def one(frame: bytes) -> None:
        try:
            parser.read(frame)
        except parser.refusals:
            return

    draw = random.Random(seconds)

    def mutated(frame: bytes, most: int, seed: int) -> bytes:
        """By pieces or by atheris' own ways; both know which frames led to new code."""
        if seed % 2:
            return next(Mutants([frame], draw, binary=parser.binary))[:most]
        return bytes(atheris.Mutate(frame, most))

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(parser.seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", "-verbosity=0"]
        atheris.Setup([words[0], *options, corpus], one, custom_mutator=mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
