"""mempool.space's REST interface as a source, or one's own server of it.

It answers like Esplora, from which it grew. What differs is taken as it comes and needs no word here: pages
of another length (15 blocks, 10 to 50 transactions), refusals in HTML, script names as its backend has them.
"""

from __future__ import annotations

from watcher.sources.esplora import EsploraSource


class MempoolSource(EsploraSource):
    """A server of mempool/mempool at `http(s)://host/api`."""

    protocol = "mempool"
