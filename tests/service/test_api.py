"""What is promised beside recognising: queries, the API's description, keys, origins, limits, figures to watch."""

import concurrent.futures
import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from safetensors.numpy import save

from mmer.labels import EMOTIONS
from mmer.params import load_params
from mmer.runtime.config import Input
from mmer.runtime.recognizer import Recognizer
from mmer.serving.predict import Query
from tests.conftest import ROOT
from tests.graphs import drawn_clips, write_model
from tests.service.test_infer import tensors
from tests.service.test_service import refusal, request_head
from tests.service.test_stream import OTHERS
from tests.serving import Served, serve

KEY = {"X-API-Key": "open-sesame"}
ORIGIN = "https://app.example.org"


def post(service: Served, query: str = "", **options: object) -> httpx.Response:
    with drawn_clips()["happy"].open("rb") as file:
        return httpx.post(f"{service.url}/predict{query}", files={"file": file}, timeout=60, **options)  # type: ignore[arg-type]


def test_a_part_of_a_clip_can_be_asked_for(service: Served) -> None:
    whole, part = post(service).json(), post(service, "?start=0.4&end=1.0").json()
    assert len(part["steps"]) == 3
    assert len(whole["steps"]) > 5


def test_the_likeliest_and_no_timeline_can_be_asked_for(service: Served) -> None:
    told = post(service, "?top=2&steps=false").json()
    assert "steps" not in told
    assert [row["label"] for row in told["top"]] == sorted(
        told["probabilities"], key=told["probabilities"].get, reverse=True
    )[:2]


def test_each_line_of_curl_in_the_docs_works_and_no_option_is_without_one(
    service: Served, strict: Served, tmp_path: Path
) -> None:
    page = (ROOT / "docs/serving.md").read_text().partition("## With curl")[2].partition("\n## ")[0]
    lines = re.findall(r"^\$ (.+)$", page, re.MULTILINE)
    assert {f"{name}=" for name in Query.__dataclass_fields__} <= set(re.findall(r"\w+=", " ".join(lines)))
    for path in httpx.get(f"{service.url}/docs.json").json()["paths"]:
        assert any(f"localhost:3000{path}" in line for line in lines), path
    inputs = (load_params(ROOT / "release" / "params.yaml").input, Input())
    widths = [f"(1, 5, {round(given.voice_window_s * 16_000)})" for given in inputs]
    shorter = ["ffmpeg", "-v", "error", "-i", drawn_clips()["happy"], "-t", "1.4", tmp_path / "clip.mp4"]
    subprocess.run(shorter, check=True)
    shutil.copy(tmp_path / "clip.mp4", tmp_path / "rest.mp4")
    (tmp_path / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    python = str(Path(sys.executable).parent)
    told = os.environ | {
        "CURL_HOME": str(tmp_path),
        "MMER_KEY": KEY["X-API-Key"],
        "MMER_MODEL": str(service.model),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{python}:{os.environ['PATH']}",
    }
    for line in lines:
        url = (strict if "MMER_KEY" in line else service).url
        command = line.replace("http://localhost:3000", url)
        if "save_file" in line:  # the model here has other windows, and knows scenes
            assert widths[0] in line
            command = command.replace(widths[0], widths[1]).replace(
                "{'faces'", "{'scenes': np.zeros((1, 5, 64, 64, 3), 'u1'), 'faces'"
            )
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=told, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout or "-o out" in line or "save_file" in line or "> rest" in line, line


def test_what_somebody_is_like_at_rest_is_taken_off(service: Served) -> None:
    kept = Recognizer.load(service.model).calibrate(drawn_clips()["sad"]).model_dump_json()
    plain, as_text = post(service).json(), post(service, data={"calibration": kept}).json()
    with drawn_clips()["happy"].open("rb") as clip:
        files = {"file": clip, "calibration": ("rest.json", kept.encode())}
        as_file = httpx.post(f"{service.url}/predict", files=files, timeout=60).json()
    assert [told["calibrated"] for told in (plain, as_text, as_file)] == [False, True, True]
    assert as_text["probabilities"] == as_file["probabilities"] != plain["probabilities"]
    for none in ("null", ""):
        assert post(service, data={"calibration": none}).json()["calibrated"] is False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "no JSON"),
        ("[" * 9000, "no JSON"),
        ("{}", "no calibration"),
        ("5", "no calibration"),
        (json.dumps(OTHERS), "another model"),
        (json.dumps(OTHERS | {"more": 1}), "more"),
    ],
)
def test_what_is_no_calibration_is_refused_and_said_why(service: Served, given: str, said: str) -> None:
    answer = post(service, data={"calibration": given})
    assert refusal(answer) == (422, "bad_calibration")
    assert said in answer.json()["error"]["message"]


def test_smoothed_steps_change_more_slowly(service: Served) -> None:
    def way(steps: list[dict[str, dict[str, float]]]) -> float:
        rows = [list(step["probabilities"].values()) for step in steps]
        return sum(abs(a - b) for one, other in itertools.pairwise(rows) for a, b in zip(one, other, strict=True))

    plain, smooth = post(service).json(), post(service, "?smooth=true").json()
    assert way(smooth["steps"]) < 0.7 * way(plain["steps"])
    assert smooth["probabilities"] == plain["probabilities"]


@pytest.mark.parametrize(
    "query",
    ["?top=0", "?top=8", "?top=x", "?start=-1", "?start=nan", "?end=0", "?start=2&end=1", "?smooth=perhaps", "?to=3"],
)
def test_a_query_that_makes_no_sense_is_refused(service: Served, query: str) -> None:
    assert refusal(post(service, query)) == (422, "bad_query")


def test_a_part_after_the_end_is_refused(service: Served) -> None:
    assert refusal(post(service, "?start=100")) == (422, "truncated")


def test_the_description_is_complete(service: Served) -> None:
    told = httpx.get(f"{service.url}/docs.json").json()
    assert told["openapi"].startswith("3.1")
    assert {"/predict", "/infer", "/livez", "/readyz"} <= set(told["paths"])
    responses = told["paths"]["/predict"]["post"]["responses"]
    assert {"200", "401", "408", "413", "415", "422", "503"} == set(responses)
    for status, response in responses.items():
        content = response["content"]["application/json"]
        assert content["example"], status
    answer = post(service).json()
    schema = told["components"]["schemas"]["Prediction"]
    assert set(schema["required"]) <= set(answer) <= set(schema["properties"])
    step = told["components"]["schemas"]["Step"]
    assert set(answer["steps"][0]) == set(step["properties"])


def test_it_is_ready_once_the_graph_has_answered(service: Served) -> None:
    assert httpx.get(f"{service.url}/readyz").status_code == 200


def metric(service: Served, name: str, **labels: str) -> float:
    """The sum over a metric's samples with these labels."""
    found = 0.0
    for line in httpx.get(f"{service.url}/metrics").text.splitlines():
        match = re.match(rf"{name}(\{{.*\}})? (\S+)$", line)
        if match and all(f'{k}="{v}"' in (match[1] or "") for k, v in labels.items()):
            found += float(match[2])
    return found


def test_what_happens_can_be_watched(service: Served) -> None:
    before = {name: metric(service, name, of="file") for name in ("mmer_steps_total", "mmer_phase_seconds_count")}
    refused = {code: metric(service, "mmer_refused_total", code=code) for code in ("bad_query", "method")}
    steps = len(post(service).json()["steps"])
    post(service, "?top=0")
    httpx.get(f"{service.url}/predict")
    assert metric(service, "mmer_steps_total", of="file") == before["mmer_steps_total"] + steps
    assert metric(service, "mmer_phase_seconds_count", of="file") == before["mmer_phase_seconds_count"] + 1
    for code, before_it in refused.items():
        assert metric(service, "mmer_refused_total", code=code) == before_it + 1
    assert sum(metric(service, "mmer_labels_total", label=label) for label in EMOTIONS) > 0


def test_passes_of_different_clients_form_batches(service: Served) -> None:
    """By BentoML's own metric."""

    def batches() -> tuple[float, float]:
        name = "bentoml_service_adaptive_batch_size"
        return metric(service, f"{name}_sum"), metric(service, f"{name}_count")

    body = save(tensors(1, 1))
    with concurrent.futures.ThreadPoolExecutor(8) as pool, httpx.Client(base_url=service.url, timeout=60) as client:
        summed, counted = batches()
        answers = list(pool.map(lambda _: client.post("/infer", content=body).status_code, range(400)))
    after = batches()
    assert set(answers) == {200}
    assert after[0] - summed == 400
    assert 400 / (after[1] - counted) > 1.5


def test_without_the_key_nothing_is_taken(strict: Served) -> None:
    assert refusal(post(strict)) == (401, "key")
    assert refusal(post(strict, headers={"X-API-Key": "open-barley"})) == (401, "key")
    assert refusal(httpx.post(f"{strict.url}/infer", content=b"")) == (401, "key")
    assert post(strict, "?end=1", headers=KEY).status_code == 200
    assert post(strict, "?end=1", headers={"Authorization": "Bearer open-sesame"}).status_code == 200


def test_only_allowed_origins_may_read_the_answer(strict: Served) -> None:
    allowed = post(strict, "?end=1", headers=KEY | {"Origin": ORIGIN})
    other = post(strict, "?end=1", headers=KEY | {"Origin": "https://elsewhere.example"})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in other.headers
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{strict.url}/predict", headers=asked).headers["access-control-allow-origin"] == ORIGIN


def test_too_long_a_clip_is_refused(strict: Served) -> None:
    assert refusal(post(strict, headers=KEY)) == (413, "too_long")


def test_other_methods_are_refused(service: Served) -> None:
    answer = httpx.get(f"{service.url}/predict")
    assert refusal(answer) == (405, "method")
    assert answer.headers["allow"] == "POST"


def test_where_nothing_is_the_answer_says_what_there_is(service: Served) -> None:
    assert refusal(httpx.get(f"{service.url}/nothing")) == (404, "not_found")


def test_bodies_that_do_not_come_leave_room_for_no_more_than_their_number(strict: Served) -> None:
    """Who sends slowly cannot fill the disk with many bodies at once; when they are given up there is room again."""
    url = httpx.URL(strict.url)
    with contextlib.ExitStack() as stack:
        for _ in range(9):
            line = stack.enter_context(socket.create_connection((url.host, url.port or 80), timeout=30))
            line.sendall(request_head("X-API-Key: open-sesame\r\nContent-Length: 100000"))
            line.sendall(b"--x\r\nContent-Disposition: form-data")
        time.sleep(0.5)
        answer = post(strict, "?end=1", headers=KEY)
        assert refusal(answer) == (503, "busy")
        assert answer.headers["retry-after"]
    time.sleep(2)
    assert post(strict, "?end=1", headers=KEY).status_code == 200


def test_a_body_that_never_comes_is_given_up(strict: Served) -> None:
    url = httpx.URL(strict.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as line:
        line.sendall(request_head("X-API-Key: open-sesame\r\nContent-Length: 100000"))
        line.sendall(b"--x\r\nContent-Disposition: form-data")
        start = time.monotonic()
        assert line.recv(4096).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - start < 10


def test_more_files_than_there_is_room_for_are_told_to_come_back(strict: Served) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(strict, "?end=1.2", headers=KEY), range(8)))
    codes = {answer.status_code for answer in answers}
    assert codes <= {200, 503}
    assert 503 in codes
    assert next(a for a in answers if a.status_code == 503).headers["retry-after"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MMER_SESION_S", "5", "did you mean MMER_SESSION_S"),
        ("MMER_SESSIONS", "many", "MMER_SESSIONS: "),
        ("MMER_ORIGINS", "app.example.org/page", "no origin"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start(
    tmp_path_factory: pytest.TempPathFactory, variable: str, value: str, said: str
) -> None:
    home = tmp_path_factory.mktemp("home")
    with (
        pytest.raises(RuntimeError, match=said),
        serve(write_model(tmp_path_factory.mktemp("model")), home, **{variable: value}),
    ):
        pass
