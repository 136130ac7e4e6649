"""A second opinion on what is watched: bitcoinlib's, which shares no code with ours, from a child process.

It is never the gate: its own decoding accepts much that must be refused. Where the two agree on a script,
neither is wrong by itself.
"""

from __future__ import annotations

from watcher.secondopinion.opinion import Difference, NoOpinionError, second_opinion

__all__ = ["Difference", "NoOpinionError", "second_opinion"]
