"""Samples of one metric family, from the list of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from watcher.web.distribution import BOUNDS, Distribution
from watcher.web.series import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric

Labels = TypeVar("Labels", bound=tuple[str, ...])


def seconds(ms: int | None) -> float | None:
    """Milliseconds as seconds."""
    return None if ms is None else ms / 1000


def gauge(name: str, values: Mapping[Labels, float | None]) -> Metric:
    """None is what never happened or is not known: no sample."""
    series = SERIES[name]
    family = GaugeMetricFamily(name, series.help, labels=series.labels)
    for labels, value in values.items():
        if value is not None:
            family.add_metric(labels, value)
    return family


def counter(name: str, values: Mapping[Labels, int]) -> Metric:
    """Counts; the name is as scraped."""
    series = SERIES[name]
    family = CounterMetricFamily(name.removesuffix("_total"), series.help, labels=series.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def info(name: str, rows: Iterable[tuple[str, ...]]) -> Metric:
    """One sample for each row of label values."""
    series = SERIES[name]
    family = InfoMetricFamily(name.removesuffix("_info"), series.help, labels=())
    for row in rows:
        family.add_metric((), dict(zip(series.labels, row, strict=True)))
    return family


def histogram(name: str, values: Mapping[Labels, Distribution]) -> Metric:
    """Durations, by bucket."""
    series = SERIES[name]
    family = HistogramMetricFamily(name, series.help, labels=series.labels)
    bounds = [*(str(float(bound)) for bound in BOUNDS), "+Inf"]
    for labels, value in values.items():
        family.add_metric(labels, list(zip(bounds, value.counts, strict=True)), value.seconds)
    return family
