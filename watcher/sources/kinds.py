"""Every kind of source there is, as one type: what all of them can be asked and tell of themselves."""

from __future__ import annotations

from typing import TypeAlias

from watcher.sources.electrum import ElectrumSource
from watcher.sources.esplora import EsploraSource

AnySource: TypeAlias = ElectrumSource | EsploraSource  # a MempoolSource is an EsploraSource
