"""How a command ends when it does not end well."""

from __future__ import annotations

from enum import IntEnum

import click


class ExitCode(IntEnum):
    """CONTRACT's exit codes."""

    FINE = 0
    DOES_NOT_HOLD = 1
    USAGE = 2
    LEDGER = 3
    UNEXPECTED = 4


class Failure(click.ClickException):
    """Ends the command with `code` after these lines on standard error."""

    def __init__(self, code: ExitCode, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.code = code
        self.lines = lines


class NoAnswer(Failure):
    """The daemon that was there does not answer, or not as it should; asking again may help."""

    def __init__(self, why: str) -> None:
        super().__init__(ExitCode.DOES_NOT_HOLD, why)
