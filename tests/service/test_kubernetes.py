"""The manifests of deploy/kubernetes: put together by kubectl, against Kubernetes's own schemas; its alerts by
promtool; and that they name what the service has."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mmer.serving.settings import SettingsError, read_settings
from tests.graphs import drawn_clips
from tests.service.live import live
from tests.serving import ROOT, Served

BIN = Path(sys.executable).parent
OPERATOR = "monitoring.coreos.com/v1"
"""Prometheus's operator brings its own kinds, whose schemas are not Kubernetes's."""


@pytest.fixture(scope="module")
def manifests() -> str:
    return subprocess.check_output([BIN / "kubectl", "kustomize", ROOT / "deploy" / "kubernetes"], text=True)


@pytest.fixture(scope="module")
def by_kind(manifests: str) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in yaml.safe_load_all(manifests)}


@pytest.fixture(scope="module")
def pod(by_kind: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = by_kind["Deployment"]["spec"]["template"]["spec"]
    return found


def test_they_are_what_kubernetes_takes(manifests: str, by_kind: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(manifests)
    command = [BIN / "kubernetes-validate", "--strict", tmp_path / "all.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    unknown = re.findall(r"find schema for kind (\w+)", done.stdout + done.stderr)
    assert set(unknown) == {kind for kind, one in by_kind.items() if one["apiVersion"] == OPERATOR}


def test_a_mistake_is_seen(manifests: str, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(manifests.replace("maxSurge", "maxSurges"))
    command = [BIN / "kubernetes-validate", "--strict", tmp_path / "all.yaml"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_its_settings_are_the_service_s(pod: dict[str, Any]) -> None:
    settings = {one["name"]: one.get("value", "a key of some length") for one in pod["containers"][0]["env"]}
    assert read_settings(settings).sessions == 8 * int(pod["containers"][0]["resources"]["requests"]["cpu"])
    with pytest.raises(SettingsError):  # what Kubernetes sets for a Service called mmer, unless told not to
        read_settings(settings | {"MMER_PORT": "tcp://10.0.0.1:80"})
    assert pod["enableServiceLinks"] is False


def test_its_probes_are_answered(service: Served, pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    for probe in probes:
        assert httpx.get(f"{service.url}{probe['path']}").status_code == 200
        assert probe["port"] in [port["name"] for port in container["ports"]]


def test_it_writes_only_where_there_is_room(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    uploads = 2 * read_settings({}).uploads * read_settings({}).max_upload_mb
    (tmp,) = [volume for volume in pod["volumes"] if volume["name"] == "tmp"]
    assert tmp["emptyDir"]["sizeLimit"] == f"{uploads / 1024:g}Gi"
    grace, asked = pod["terminationGracePeriodSeconds"], read_settings({}).upload_s + 180
    assert grace > asked + container["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_alerts_fire_when_they_should(by_kind: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool is installed (apt-get install prometheus)")
    rules = by_kind["PrometheusRule"]["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(Path(__file__).with_name("alerts.yaml"), tmp_path)
    done = subprocess.run(["promtool", "test", "rules", "alerts.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    tests = yaml.safe_load((tmp_path / "alerts.yaml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if "exp_alerts" in one}
    assert fired == alerts


def test_dashboard_and_alerts_ask_for_what_the_service_tells(
    service: Served, by_kind: dict[str, dict[str, Any]]
) -> None:
    httpx.post(f"{service.url}/predict", files={"file": drawn_clips()["happy"].read_bytes()}, timeout=60)
    httpx.get(f"{service.url}/predict")  # is refused
    with live(service.url) as session:
        session.voice(bytes(6400), 0)
        session.off(3, 0.2)
        assert session.hear()["type"] == "step"
        told = httpx.get(f"{service.url}/metrics").text
    dashboard = json.loads(by_kind["ConfigMap"]["data"]["dashboard.json"])
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in by_kind["PrometheusRule"]["spec"]["groups"] for rule in group["rules"]]
    names = set(re.findall(r"\b((?:mmer|bentoml)_\w+)\b", " ".join(asked)))
    missing = {
        name
        for name in names
        if not re.search(rf"^(# HELP )?{name.removesuffix('_total')}(_total)?\b", told, re.MULTILINE)
    }
    assert names
    assert missing == set()
    assert re.search(r'mmer_phase_seconds_count{model="\w+",of="stream",phase="whole"} [1-9]', told)
