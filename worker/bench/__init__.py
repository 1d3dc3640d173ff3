"""Figures about the worker: each bench is a function `run(quick) -> dict` of numbers and words, fit for JSON."""

BENCHES = {
    "ear": "worker.bench.ear:run",
    "replay": "worker.bench.replay:run",
    "latency": "worker.bench.latency:run",
    "forward": "worker.bench.forward:run",
    "janus": "worker.bench.janus:run",
    "dashboard": "worker.bench.dashboard:run",
    "coaching": "worker.bench.coaching:run",
    "audit": "worker.bench.audit:run",
    "consent": "worker.bench.consent:run",
}
