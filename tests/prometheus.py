"""A real Prometheus, for tests and benchmarks, with the alerts of deploy/kubernetes."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from tests.nginx import free_port
from tests.serving import ROOT, end


@contextlib.contextmanager
def watched(services: Sequence[str]) -> Iterator[str]:
    """Its address. It asks services, given by their addresses, each second, and alerts wait a second where they else
    wait for minutes."""
    rules = yaml.safe_load((ROOT / "deploy/kubernetes/monitoring/prometheusrule.yaml").read_text())["spec"]
    for rule in rules["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = "1s"
    targets = [url.removeprefix("http://") for url in services]
    conf = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "mmer", "static_configs": [{"targets": targets}]}],
    }
    url = f"127.0.0.1:{free_port()}"
    command = ["prometheus", "--config.file=conf.yaml", "--storage.tsdb.path=data", f"--web.listen-address={url}"]
    with tempfile.TemporaryDirectory(prefix="mmer-") as name:
        folder = Path(name)
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        (folder / "conf.yaml").write_text(yaml.safe_dump(conf))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield f"http://{url}"
        finally:
            end(process)
