"""What the worker counts, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

COUNTERS = {
    "undertone_packets": ("Packets of sound, by what became of them.", "fate"),
    "undertone_datagrams_dropped": ("Datagrams that were not taken, by reason.", "reason"),
    "undertone_sound_dropped_seconds": ("Sound that nobody heard because a speaker's queue was full.", "room"),
    "undertone_events_delivered": ("Events that a sink took, by sink.", "sink"),
    "undertone_events_lost": ("Events that were dropped or refused, by sink.", "sink"),
}
"""Name (Prometheus adds `_total`), what it counts, and its label."""

Reading: TypeAlias = Callable[[], Mapping[str, float]]
"""Gives the count of each value of a counter's label; counts never fall."""


class Metrics(Collector):
    """Reads counters where they are kept, when it is asked for them; nothing is counted twice."""

    def __init__(self) -> None:
        self._readings: dict[str, list[Reading]] = {name: [] for name in COUNTERS}
        self._registry = CollectorRegistry()
        for collect in (ProcessCollector, PlatformCollector, GCCollector):
            collect(registry=self._registry)
        self._registry.register(self)

    def read(self, name: str, reading: Reading) -> None:
        """Tell this counter of COUNTERS from now on what `reading` gives."""
        self._readings[name].append(reading)

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, (help_text, label) in COUNTERS.items():
            family = CounterMetricFamily(name, help_text, labels=[label])
            for reading in self._readings[name]:
                for value, count in reading().items():
                    family.add_metric([value], count)
            yield family

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self._registry)
