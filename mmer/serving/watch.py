"""Metrics (Prometheus, at /metrics) and the log (one JSON line an event). Neither holds anything of people."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmer.runtime.results import Step

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
"""Borders of the histograms."""


class Watch:
    """The counters of one process. Made when the service starts, not on import: the workers' counters are only added up
    if prometheus_client is imported after BentoML has named the folder that they share."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._steps = Counter("mmer_steps", "Steps recognised.", ["of", "model"])
        self._labels = Counter("mmer_labels", "Labels given, one a step.", ["label", "model"])
        self.faces_lost = Counter("mmer_faces_lost", "Steps of streams at which a face that was there is gone.")
        self.skipped = Counter("mmer_skipped", "Steps of streams skipped, for they were too far behind.")
        self.network_lost = Counter("mmer_network_lost", "Times that passes were made without the network's process.")
        self._refused = Counter("mmer_refused", "Uploads, sessions and messages refused.", ["code"])
        for code in ("busy", "failed"):  # there from the start: Prometheus sees no rise to a counter's first value
            self._refused.labels(code=code)
        self._sessions = Gauge("mmer_sessions", "Live streams open now.", ["model"], multiprocess_mode="livesum")
        self._share = Gauge("mmer_model_share", "Of new streams, for a model.", ["model"], multiprocess_mode="livemax")
        self._model_refused = Gauge(
            "mmer_model_refused", "1 while another model is asked for than can be served.", multiprocess_mode="livemax"
        )
        self._shared: set[str] = set()
        self._phase = Histogram("mmer_phase_seconds", "Time spent.", ["of", "phase", "model"], buckets=SECONDS)
        self._log = logging.getLogger("mmer.serving")
        if not self._log.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(message)s"))
            self._log.addHandler(handler)
            self._log.setLevel(logging.INFO)
            self._log.propagate = False

    def served(self, shares: Mapping[str, float]) -> None:
        """The models that are served now, each with its share of new streams."""
        self.log("models", shares={model: round(share, 4) for model, share in shares.items()})
        for model in self._shared | set(shares):
            self._share.labels(model=model).set(shares.get(model, 0))
            self._sessions.labels(model=model)  # there from the start
        self._shared |= set(shares)

    def model_refused(self, reason: str | None) -> None:
        """Why something else is not served that was asked for; None: nothing else is."""
        self._model_refused.set(reason is not None)
        if reason is not None:
            self.log("model_refused", reason=reason)

    @contextmanager
    def session(self, model: str) -> Iterator[None]:
        """A stream is open."""
        self._sessions.labels(model=model).inc()
        try:
            yield
        finally:
            self._sessions.labels(model=model).dec()

    def step(self, of: str, model: str, step: Step) -> None:
        """A step of a `stream` or a `file`."""
        self._steps.labels(of=of, model=model).inc()
        self._labels.labels(label=step.label or "none", model=model).inc()

    def refused(self, code: str) -> None:
        """Something was refused."""
        self._refused.labels(code=code).inc()

    def phase(self, of: str, model: str, phase: str, seconds: float) -> None:
        """`decode`, `detect` or `network` of a step; the `whole` of a file, or of a step from what reached it on."""
        self._phase.labels(of=of, phase=phase, model=model).observe(seconds)

    def log(self, event: str, **facts: Any) -> None:
        """One line: no addresses, names of files or results."""
        self._log.info(json.dumps({"time": round(time.time(), 3), "event": event, **facts}))
