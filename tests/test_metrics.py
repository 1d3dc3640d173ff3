"""What /metrics says."""

from prometheus_client.parser import text_string_to_metric_families

from worker.ops.metrics import COUNTERS, GAUGES, Metrics


def samples(metrics):
    families = text_string_to_metric_families(metrics.text().decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_counters_are_read_when_they_are_asked_for():
    metrics, packets = Metrics(), {"decoded": 1, "lost": 0}
    metrics.read("undertone_packets", lambda: packets)
    assert samples(metrics)["undertone_packets_total", "decoded"] == 1
    packets["decoded"] = 5
    assert samples(metrics)["undertone_packets_total", "decoded"] == 5
    assert samples(metrics)["undertone_packets_total", "lost"] == 0


def test_gauges_may_fall_and_have_no_value_before_there_is_one():
    metrics, means = Metrics(), {}
    metrics.read("undertone_drift_confidence", lambda: means)
    assert ("undertone_drift_confidence", "last") not in samples(metrics)
    for now in (0.7, 0.6):
        means["last"] = now
        assert samples(metrics)["undertone_drift_confidence", "last"] == now


def test_the_process_is_told_of_too():
    assert samples(Metrics())[("process_cpu_seconds_total",)] > 0


def test_each_says_what_it_is():
    text = Metrics().text().decode()
    for name, (help_text, _) in COUNTERS.items():
        assert f"# HELP {name}_total {help_text}" in text
    for name, (help_text, _) in GAUGES.items():
        assert f"# HELP {name} {help_text}" in text
        assert f"# TYPE {name} gauge" in text
