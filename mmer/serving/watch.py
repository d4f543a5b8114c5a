"""Metrics (Prometheus, at /metrics) and the log (one JSON line an event). Neither holds anything of people."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from mmer.runtime.results import Step

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
"""Borders of the histograms."""


class Watch:
    """The counters of one process. Made when the service starts, not on import: the workers' counters are only added up
    if prometheus_client is imported after BentoML has named the folder that they share."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._steps = Counter("mmer_steps", "Steps recognised.", ["of"])
        self._labels = Counter("mmer_labels", "Labels given, one a step.", ["label"])
        self.faces_lost = Counter("mmer_faces_lost", "Steps of streams at which a face that was there is gone.")
        self.skipped = Counter("mmer_skipped", "Steps of streams skipped, for they were too far behind.")
        self.network_lost = Counter("mmer_network_lost", "Times that passes were made without the network's process.")
        self._refused = Counter("mmer_refused", "Uploads, sessions and messages refused.", ["code"])
        for code in ("busy", "failed"):  # there from the start: Prometheus sees no rise to a counter's first value
            self._refused.labels(code=code)
        self.sessions = Gauge("mmer_sessions", "Live streams open now.", multiprocess_mode="livesum")
        self._phase = Histogram("mmer_phase_seconds", "Time spent.", ["of", "phase"], buckets=SECONDS)
        self._log = logging.getLogger("mmer.serving")
        if not self._log.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(message)s"))
            self._log.addHandler(handler)
            self._log.setLevel(logging.INFO)
            self._log.propagate = False

    def step(self, of: str, step: Step) -> None:
        """A step of a `stream` or a `file`."""
        self._steps.labels(of=of).inc()
        self._labels.labels(label=step.label or "none").inc()

    def refused(self, code: str) -> None:
        """Something was refused."""
        self._refused.labels(code=code).inc()

    def phase(self, of: str, phase: str, seconds: float) -> None:
        """`decode`, `detect` or `network` of a step; the `whole` of a file, or of a step from what reached it on."""
        self._phase.labels(of=of, phase=phase).observe(seconds)

    def log(self, event: str, **facts: Any) -> None:
        """One line: no addresses, names of files or results."""
        self._log.info(json.dumps({"time": round(time.time(), 3), "event": event, **facts}))
