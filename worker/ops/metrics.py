"""What the worker counts and measures, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

COUNTERS = {
    "undertone_packets": ("Packets of sound, by what became of them.", "fate"),
    "undertone_datagrams_dropped": ("Datagrams that were not taken, by reason.", "reason"),
    "undertone_sound_dropped_seconds": ("Sound that nobody heard because a speaker's queue was full.", "room"),
    "undertone_windows_skipped": ("Windows that newer ones replaced because the engine was busy.", "room"),
    "undertone_model_windows": ("Windows that the engine hybrid answered, by who did.", "by"),
    "undertone_drift_alarms": ("How often it was said that a measure drifted, by measure.", "measure"),
    "undertone_conversation_facts": ("Facts of who spoke when that came too late or not at all, by fate.", "fate"),
    "undertone_prompts": ("Prompts that were said, and reasons why others were not then, by fate.", "fate"),
    "undertone_events_delivered": ("Events that a sink took, by sink.", "sink"),
    "undertone_events_lost": ("Events that were dropped or refused, by sink.", "sink"),
}
"""Name (Prometheus adds `_total`), what it counts, and its label."""

GAUGES = {
    "undertone_drift_confidence": ("Mean confidence of the engine, by period.", "period"),
    "undertone_drift_voiced_ratio": ("Mean voiced part of a window, by period.", "period"),
    "undertone_drift_level_dbfs": ("Mean level of the windows in dB of full scale, by period.", "period"),
    "undertone_drift_class_mix": ("Stability index of the mix of classes, and what chance explains.", "figure"),
}
"""Name, what it measures, and its label."""

Reading: TypeAlias = Callable[[], Mapping[str, float]]
"""Gives the number for each value of the label; counts never fall."""
Family = TypeVar("Family", CounterMetricFamily, GaugeMetricFamily)


class Metrics(Collector):
    """Reads counters and gauges where they are kept, when it is asked for them; nothing is counted twice."""

    def __init__(self) -> None:
        self._readings: dict[str, list[Reading]] = {name: [] for name in COUNTERS | GAUGES}
        self._registry = CollectorRegistry()
        for collect in (ProcessCollector, PlatformCollector, GCCollector):
            collect(registry=self._registry)
        self._registry.register(self)

    def read(self, name: str, reading: Reading) -> None:
        """Tell this one of COUNTERS or GAUGES from now on what `reading` gives."""
        self._readings[name].append(reading)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, (help_text, label) in COUNTERS.items():
            yield self._fill(CounterMetricFamily(name, help_text, labels=[label]), name)
        for name, (help_text, label) in GAUGES.items():
            yield self._fill(GaugeMetricFamily(name, help_text, labels=[label]), name)

    def _fill(self, family: Family, name: str) -> Family:
        for reading in self._readings[name]:
            for value, number in reading().items():
                family.add_metric([value], number)
        return family

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self._registry)
