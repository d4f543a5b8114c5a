"""The tensor API: what the graph says, in the safetensors format; and what is no tensor."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

from mmer.runtime.graph import Graph
from tests.graphs import write_model
from tests.serving import Served

RNG = np.random.default_rng(0)


def tensors(batch: int = 2, steps: int = 3) -> dict[str, np.ndarray]:
    return {
        "faces": RNG.integers(0, 256, (batch, steps, 64, 64, 3), np.uint8),
        "scenes": RNG.integers(0, 256, (batch, steps, 64, 64, 3), np.uint8),
        "voice": RNG.normal(0, 0.1, (batch, steps, 9600)).astype(np.float32),
        "present": np.ones((batch, steps, 3), np.float32),
        "state": np.zeros((batch, 7), np.float32),
    }


def ask(service: Served, body: bytes) -> httpx.Response:
    return httpx.post(f"{service.url}/infer", content=body, timeout=60)


def test_it_answers_as_the_graph_does(service: Served, tmp_path: Path) -> None:
    given = tensors()
    answer = ask(service, save(given))
    assert answer.status_code == 200
    found, expected = load(answer.content), Graph(write_model(tmp_path / "m") / "mmer.onnx")(given)
    assert set(found) == {"logits", "state_out", "alone"}
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_a_state_may_be_left_out_at_the_beginning_and_be_carried_on(service: Served) -> None:
    whole = tensors(1, 4)
    answers = load(ask(service, save(whole)).content)
    first = {name: array[:, :2].copy() for name, array in whole.items() if name != "state"}
    begun = load(ask(service, save(first)).content)
    second = {name: array[:, 2:].copy() for name, array in whole.items() if name != "state"}
    ended = load(ask(service, save(second | {"state": begun["state_out"]})).content)
    both = np.concatenate([begun["logits"], ended["logits"]], axis=1)
    np.testing.assert_allclose(both, answers["logits"], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"voice": np.zeros((2, 3, 100), np.float32)}, "voice"),
        ({"faces": np.zeros((2, 3, 64, 64, 3), np.float32)}, "faces"),
        ({"scenes": np.zeros((2, 2, 64, 64, 3), np.uint8)}, "scenes"),
        ({"state": np.zeros((2, 9), np.float32)}, "state"),
        ({"present": np.full((2, 3, 3), np.nan, np.float32)}, "present"),
        ({"present": np.zeros((2, 3), np.float32)}, "present"),
        ({"present": np.zeros((2, 0, 3), np.float32)}, "T 0"),
        ({"present": np.zeros((1000, 1, 3), np.float32)}, "B is 1000"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(service: Served, change: dict[str, np.ndarray], named: str) -> None:
    answer = ask(service, save(tensors() | change))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_tensors")
    assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"\x80\x04\x95pickle", b"\xff" * 64, b"PK\x03\x04zip", b"{}" * 10])
def test_a_body_that_is_no_tensors_is_refused(service: Served, body: bytes) -> None:
    answer = ask(service, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_tensors")


def test_a_missing_tensor_is_named(service: Served) -> None:
    given = tensors()
    del given["voice"]
    assert "voice" in ask(service, save(given)).json()["error"]["message"]
