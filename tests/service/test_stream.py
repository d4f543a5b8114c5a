"""Live sessions over real WebSockets: the answers, the order of things, every way to be refused."""

import asyncio
import contextlib
import json
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx_ws import WebSocketNetworkError
from starlette.websockets import WebSocket
from wsproto.utilities import LocalProtocolError

from mmer.labels import EMOTIONS, MODALITIES
from mmer.runtime.graph import Graph
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.recognizer import Recognizer
from mmer.serving import stream
from mmer.serving.models import Models, Pass, Source
from mmer.serving.settings import Settings
from mmer.serving.watch import Watch
from tests.graphs import drawn_clips, write_model
from tests.service.live import HELLO, Live, live, play
from tests.serving import Served, serve

PIECE = SAMPLE_RATE // 10
OTHERS = {
    "type": "calibration",
    "model": "other",
    "rest": {"face": {"seconds": 5, "logits": dict.fromkeys(EMOTIONS, 0)}},
}
NO_AUDIO, NO_VIDEO = HELLO | {"audio": False}, HELLO | {"video": False}


def send(session: Live, path: Path, answer: str = "step", pieces: int = 2) -> list[dict[str, Any]]:
    """A whole clip, each step as soon as the one before is answered; pictures before the voice that makes it due.

    Args:
        answer: what is waited for …
        pieces: … once so many tenths of a second are sent.
    """
    frames, voice = play(path)
    frames, heard = list(frames), []
    for piece in range(len(voice) // 2 // PIECE):
        end = (piece + 1) * PIECE
        while frames and frames[0][0] * SAMPLE_RATE <= end:
            session.frame(frames[0][1], frames[0][0])
            frames.pop(0)
        session.voice(voice[2 * piece * PIECE : 2 * end], piece * PIECE / SAMPLE_RATE)
        if piece % pieces == pieces - 1:
            heard += session.until(answer)
    return heard + session.end()


def test_it_says_who_it_is_and_what_it_allows(service: Served) -> None:
    with live(service.url) as session:
        ready = session.ready
    assert (ready["type"], ready["protocol"], ready["step_s"]) == ("ready", 2, 0.2)
    assert ready["labels"] == list(EMOTIONS)
    assert ready["modalities"] == list(MODALITIES)
    assert ready["model"]["drawings"] is True
    assert {"message_bytes", "messages_per_s", "bytes_per_s", "session_s", "idle_s"} == set(ready["limits"])


def test_a_clip_played_live_gets_the_steps_of_the_clip(
    service: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """To the JPEGs' losses: the model sums up every picture and window that it ever saw."""
    path = drawn_clips()["happy"]
    with live(service.url) as session:
        *heard, closing, closed = send(session, path)
    whole = Recognizer.load(write_model(tmp_path_factory.mktemp("same"))).predict(path)
    steps = [m for m in heard if m["type"] == "step"]
    assert [m["n"] for m in steps] == list(range(len(steps)))
    assert len(steps) >= len(whole.steps) - 1
    for told, step in zip(steps, whole.steps, strict=False):
        assert told["present"] == step.present
        assert told["voice_dbfs"] == pytest.approx(step.voice_dbfs, abs=0.2)
        assert told["box"] == pytest.approx(step.box, abs=0.02)
        assert (told["followed"], told["more_people"]) == (1, 0)
        (person,) = told["people"]
        assert 0.5 < person.pop("quality") <= 1
        assert person == {"id": 1, **{key: told[key] for key in ("box", "label", "probabilities")}}
    first, expected = steps[0]["raw"], whole.steps[0].to_json()["probabilities"]
    assert list(first.values()) == pytest.approx(list(expected.values()), abs=0.05)
    assert set(steps[0]["alone"]) == set(MODALITIES)
    assert sum(steps[0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert 0 <= steps[5]["t"] * 1000 - steps[5]["frame_ms"] <= 110
    assert (closing["type"], closing["code"], closed["code"]) == ("closing", "done", 1000)


def test_utterances_are_told_as_of_the_clip(service: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = drawn_clips()["happy"]
    with live(service.url) as session:
        heard = send(session, path)
    whole = Recognizer.load(write_model(tmp_path_factory.mktemp("same"))).predict(path).to_json()["utterances"]
    told = [m for m in heard if m["type"].startswith("utterance")]
    assert [m["type"] for m in told] == ["utterance_start", "utterance"] * len(whole)
    assert whole
    for begun, ended, other in zip(told[::2], told[1::2], whole, strict=True):
        assert set(ended) == {"type", *other}
        assert begun["start"] == ended["start"] == pytest.approx(other["start"], abs=0.03)
        assert ended["end"] == pytest.approx(other["end"], abs=0.03)
        assert ended["seen"] == 1
        assert set(ended["alone"]) == set(MODALITIES)


def test_a_client_of_version_1_gets_what_it_always_got(service: Served) -> None:
    with live(service.url, HELLO | {"protocol": 1, "interval_s": 2}) as session:
        assert session.ready["protocol"] == 1
        *heard, closing, _ = send(session, drawn_clips()["happy"])
    with live(service.url) as session:
        steps = [m for m in send(session, drawn_clips()["happy"]) if m["type"] == "step"]
    assert {m["type"] for m in heard} == {"step"}
    assert closing["code"] == "done"
    clock = ("ms", "frame_ms")
    assert [{k: v for k, v in m.items() if k not in clock} for m in heard] == [
        {k: v for k, v in m.items() if k not in clock} for m in steps
    ]


def test_one_who_asks_for_an_unknown_version_is_told_which_there_are(service: Served) -> None:
    with live(service.url, HELLO | {"protocol": 7}) as session:
        assert session.ready["versions"] == [1, 2]
        assert "7" in session.ready["message"]


def test_instead_of_steps_there_may_be_summaries(service: Served) -> None:
    with live(service.url, HELLO | {"interval_s": 1}) as session:
        heard = send(session, drawn_clips()["happy"], "summary", pieces=10)
    summaries = [m for m in heard if m["type"] == "summary"]
    assert {m["type"] for m in heard} == {"summary", "utterance_start", "utterance", "closing", "closed"}
    assert [m["start"] for m in summaries] == [0, *(m["end"] for m in summaries[:-1])]
    assert [m["end"] for m in summaries[:-1]] == [1, 2, 3][: len(summaries) - 1]
    assert len(summaries) > 1
    assert summaries[0]["seen"] == 1
    assert sum(summaries[0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_with_the_microphone_an_utterance_ends(service: Served) -> None:
    _, voice = play(drawn_clips()["happy"])
    with live(service.url, NO_VIDEO) as session:
        session.voice(voice[: 2 * SAMPLE_RATE], 0)
        session.until("utterance_start")
        session.off(4, 1.0)
        assert session.until("utterance")[-1]["end"] <= 1.0


def test_somebody_is_calibrated_and_what_is_kept_is_used_in_another_session(service: Served) -> None:
    clip = drawn_clips()["sad"]
    with live(service.url) as session:
        session.say(type="calibrate", seconds=1.6)
        heard = send(session, clip)
    (found,) = [m for m in heard if m["type"] == "calibration"]
    assert found["model"] == session.ready["model"]["id"]
    assert set(found["rest"]) == set(MODALITIES)
    said = [m["calibrated"] for m in heard if m["type"] == "step"]
    assert said == [False] * 8 + [True] * (len(said) - 8)
    with live(service.url) as session:
        session.say(type="calibrate", calibration=found)
        again = send(session, clip)
    assert all(m["calibrated"] for m in again if m["type"] in ("step", "utterance"))
    last, before = ([m for m in told if m["type"] == "step"][-1]["raw"] for told in (again, heard))
    assert last == before, "the same, once it is in use"
    with live(service.url) as session:
        session.say(type="calibrate", calibration=found)
        session.say(type="calibrate", calibration=None)
        assert not any(m["calibrated"] for m in send(session, clip) if m["type"] == "step")


def test_of_a_calibration_that_cannot_be_it_is_said_why_and_the_session_goes_on(service: Served) -> None:
    with live(service.url, NO_VIDEO) as session:
        session.say(type="calibrate", seconds=1)
        for k in range(12):
            session.voice(bytes(2 * PIECE), k / 10)
        assert "neither a face nor a voice" in session.until("error")[-1]["message"]
        session.say(type="calibrate", seconds=30)
        session.voice(bytes(2 * PIECE), 1.2)
        session.until("step")
        *_, error, closing, _ = session.end()
    assert (error["code"], closing["code"]) == ("bad_calibration", "done")
    assert "the stream ended after" in error["message"]


def test_two_sessions_do_not_mix(service: Served) -> None:
    clips = [drawn_clips()["happy"], drawn_clips()["sad"]]
    alone, together = [], {}
    for path in clips:
        with live(service.url) as session:
            alone.append([m["raw"] for m in send(session, path) if m["type"] == "step"])

    def one(k: int) -> None:
        with live(service.url) as session:
            together[k] = [m["raw"] for m in send(session, clips[k]) if m["type"] == "step"]

    threads = [threading.Thread(target=one, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[0], together[1]] == alone


def test_voice_alone_and_pictures_alone_are_enough(service: Served) -> None:
    frames, voice = play(drawn_clips()["happy"])
    with live(service.url, NO_VIDEO) as session:
        session.voice(voice[: 2 * SAMPLE_RATE], 0)
        heard = [m for m in session.end() if m["type"] == "step"]
    assert len(heard) == 5
    assert not any(m["present"]["face"] or m["present"]["scene"] for m in heard)
    with live(service.url, NO_AUDIO) as session:
        for t, jpeg in frames[:10]:
            session.frame(jpeg, t)
        seen = [m for m in session.end() if m["type"] == "step"]
    assert len(seen) >= 4
    assert not any(m["present"]["voice"] for m in seen)
    assert seen[0]["alone"]["voice"] is None


def test_a_step_does_not_wait_for_ever_for_what_was_announced(service: Served) -> None:
    frames, _ = play(drawn_clips()["happy"])
    with live(service.url) as session:  # it promised voice
        for t, jpeg in frames[:10]:
            session.frame(jpeg, t)
        first = session.hear()
    assert (first["type"], first["n"], first["present"]["voice"]) == ("step", 0, False)


def test_a_camera_that_is_turned_off_shows_nothing_and_may_come_back(service: Served) -> None:
    frames, voice = play(drawn_clips()["happy"])
    with live(service.url) as session:
        session.frame(frames[0][1], 0.1)
        session.voice(voice[: 2 * PIECE * 2], 0)
        assert session.hear()["present"]["face"]
        session.off(3, 0.25)
        session.voice(voice[4 * PIECE : 8 * PIECE], 0.2)
        gone = session.hear()
        session.frame(frames[5][1], 0.5)
        session.voice(voice[8 * PIECE : 12 * PIECE], 0.4)
        back = session.until("step")[-1]  # the voice is told, too: an utterance begins
    assert gone["present"] == {"face": False, "scene": False, "voice": True}
    assert (gone["box"], gone["frame_ms"]) == (None, None)
    assert back["present"]["face"]


def test_late_and_disordered_messages_do_no_harm(service: Served) -> None:
    frames, voice = play(drawn_clips()["happy"])
    with live(service.url) as session:
        session.voice(voice[2 * PIECE : 4 * PIECE], 0.1)
        session.voice(voice[: 2 * PIECE], 0.0)
        session.frame(frames[1][1], 0.2)
        session.frame(frames[0][1], 0.1)
        first = session.hear()
        session.voice(voice[4 * PIECE : 8 * PIECE], 0.2)
        session.frame(frames[0][1], 0.05)  # of the past
        session.frame(frames[3][1], 0.4)
        second = session.hear()
    assert first["frame_ms"] == 200
    assert second["frame_ms"] == 400


def test_who_sends_too_fast_loses_the_oldest_and_is_told(service: Served) -> None:
    frames, voice = play(drawn_clips()["happy"])
    with live(service.url) as session:
        session.frame(frames[0][1], 0.1)
        session.voice(voice[: 2 * PIECE * 2], 0)
        assert session.hear()["n"] == 0
        session.frame(frames[1][1], 60.0)  # as after a computer's sleep
        session.voice(voice[:PIECE], 60.0)
        dropped = session.hear()
        session.voice(voice[: 2 * 4 * PIECE], 60.0)
        heard = session.hear()
        while heard["frame_ms"] != 60000:
            heard = session.hear()
    assert dropped["type"] == "dropped"
    assert dropped["steps"] > 290
    assert dropped["behind_s"] > 59
    assert heard["t"] == pytest.approx(60.0, abs=0.3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_message"),
        (b"\x01", "bad_message"),
        (struct.pack("<BI", 9, 0) + b"what", "bad_message"),
        (struct.pack("<BI", 2, 0) + b"odd", "bad_voice"),
        ('{"type": "calibrate"}', "bad_calibration"),
        ('{"type": "calibrate", "seconds": 5, "calibration": null}', "bad_calibration"),
        ('{"type": "calibrate", "seconds": 1e9}', "bad_calibration"),
        ('{"type": "calibrate", "seconds": NaN}', "bad_calibration"),
        ('{"type": "calibrate", "seconds": true}', "bad_calibration"),
        ('{"type": "calibrate", "seconds": "5"}', "bad_calibration"),
        ('{"type": "calibrate", "calibration": {}}', "bad_calibration"),
        ('{"type": "calibrate", "calibration": ' + "[" * 900 + "]" * 900 + "}", "bad_calibration"),
        (json.dumps({"type": "calibrate", "calibration": OTHERS}), "bad_calibration"),
        (struct.pack("<BI", 2, 0) + b"\0" * 100_000, "bad_voice"),
        ("no json", "bad_message"),
        ("[1]", "bad_message"),
        ('{"type": "sing"}', "bad_message"),
        ("[" * 50_000, "bad_message"),
    ],
)
def test_a_bad_message_is_told_and_the_session_lives_on(service: Served, data: bytes | str, code: str) -> None:
    frames, _ = play(drawn_clips()["happy"])
    with live(service.url, NO_AUDIO) as session:
        if isinstance(data, bytes):
            session.socket.send_bytes(data)
        else:
            session.socket.send_text(data)
        error = session.hear()
        session.frame(frames[1][1], 0.2)
        step = session.hear()
    assert (error["type"], error["code"]) == ("error", code)
    assert error["message"]
    assert error["hint"]
    assert step["type"] == "step"


@pytest.mark.parametrize("jpeg", [b"no picture", b"\xff\xd8\xff\xe0 cut", b""])
def test_a_picture_that_is_none_is_told_with_its_step(service: Served, jpeg: bytes) -> None:
    with live(service.url, NO_AUDIO) as session:
        session.frame(jpeg, 0.2)
        heard = [session.hear(), session.hear()]
    assert [m["type"] for m in heard] == ["error", "step"]
    assert heard[0]["code"] == "bad_picture"
    assert heard[1]["present"]["face"] is False


def test_a_picture_with_too_many_pixels_is_not_decoded(service: Served) -> None:
    import cv2

    jpeg = cv2.imencode(".jpg", np.zeros((4000, 4000, 3), np.uint8))[1].tobytes()
    with live(service.url, NO_AUDIO) as session:
        session.frame(jpeg, 0.2)
        assert session.hear()["code"] == "too_large"


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        ({"type": "hallo"}, "bad_hello"),
        (HELLO | {"protocol": 3}, "protocol"),
        (HELLO | {"interval_s": 0.1}, "bad_hello"),
        (HELLO | {"interval_s": "often"}, "bad_hello"),
        (HELLO | {"rate": 44100}, "bad_hello"),
        (HELLO | {"video": False, "audio": False}, "bad_hello"),
        (HELLO | {"video": "yes"}, "bad_hello"),
    ],
)
def test_a_hello_that_is_none_is_refused(service: Served, hello: dict[str, object], code: str) -> None:
    with live(service.url, hello) as session:
        assert (session.ready["type"], session.ready["code"]) == ("closing", code)
        assert session.hear() == {"type": "closed", "code": 1008}


def test_media_before_the_hello_is_refused(service: Served) -> None:
    with live(service.url, None) as session:
        session.frame(b"", 0)
        assert session.hear()["code"] == "no_hello"


def test_a_page_of_another_origin_is_refused(service: Served) -> None:
    with live(service.url, HELLO, origin="https://elsewhere.example") as session:
        assert session.ready["code"] == "origin"
    with live(service.url, HELLO, origin=service.url) as session:
        assert session.ready["type"] == "ready"


KEYED = HELLO | {"key": "open-sesame"}


def test_the_key_is_asked_for(strict: Served) -> None:
    with live(strict.url, HELLO) as session:
        assert session.ready["code"] == "key"
    with live(strict.url, KEYED) as session:
        assert session.ready["type"] == "ready"
    with live(strict.url, HELLO, **{"x-api-key": "open-sesame"}) as session:
        assert session.ready["type"] == "ready"


def test_an_origin_that_is_allowed_may_come(strict: Served) -> None:
    with live(strict.url, KEYED, origin="https://app.example.org") as session:
        assert session.ready["type"] == "ready"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with few places, whose sessions may be silent for long."""
    limits = {"MMER_SESSIONS": "3", "MMER_SESSIONS_PER_ADDRESS": "2"}
    with serve(write_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("home"), **limits) as served:
        yield served


def test_one_address_gets_its_share_of_the_sessions(narrow: Served) -> None:
    with live(narrow.url) as one, live(narrow.url) as two:
        assert (one.ready["type"], two.ready["type"]) == ("ready", "ready")
        with live(narrow.url) as three:
            assert three.ready["code"] == "busy_address"
            assert three.hear() == {"type": "closed", "code": 1013}
    for _ in range(50):  # their places are free again
        with live(narrow.url) as four:
            if four.ready["type"] == "ready":
                return
        time.sleep(0.1)
    raise AssertionError("the places of ended sessions were not freed")


def test_only_so_many_sessions_are_open_in_all(narrow: Served) -> None:
    """Addresses as a proxy on the same machine tells them."""

    def of(address: str) -> contextlib.AbstractContextManager[Live]:
        return live(narrow.url, HELLO, **{"x-forwarded-for": address})

    with of("192.0.2.1") as one, of("192.0.2.1") as two, of("192.0.2.2") as three:
        assert {session.ready["type"] for session in (one, two, three)} == {"ready"}
        with of("192.0.2.3") as four:
            assert four.ready["code"] == "busy"
            assert four.hear() == {"type": "closed", "code": 1013}


@pytest.mark.slow
def test_of_64_at_once_those_beyond_the_limit_are_refused_and_the_others_served(tmp_path: Path) -> None:
    clip, all_told = drawn_clips()["happy"], threading.Barrier(64)

    def come(number: int) -> str:
        with live(served.url, HELLO, **{"x-forwarded-for": f"192.0.2.{number}"}) as session:
            all_told.wait(120)  # nobody goes before everybody has an answer
            if session.ready["type"] == "ready":
                steps = [told for told in send(session, clip) if told["type"] == "step"]
                assert [told["n"] for told in steps] == list(range(len(steps)))
                assert len(steps) > 5
                return "served"
            assert session.hear() == {"type": "closed", "code": 1013}
            return str(session.ready["code"])

    with serve(write_model(tmp_path / "model"), tmp_path, MMER_SESSIONS="16") as served:
        with ThreadPoolExecutor(64) as everybody:
            answers = Counter(everybody.map(come, range(64)))
        assert answers == {"served": 16, "busy": 48}
        with live(served.url) as one:
            assert one.ready["type"] == "ready", "there is room again"


def test_who_does_not_read_is_sent_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Here the line is the test's own: after the greeting nothing goes out any more."""
    monkeypatch.setattr(stream, "SEND_S", 0.2)
    refused: list[str] = []
    watch, graph = Watch(), Graph(write_model(tmp_path) / "mmer.onnx")
    models = Models(Source(graph.path), lambda one: graph(one.arrays), watch)
    monkeypatch.setattr(watch, "refused", refused.append)
    coming = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": json.dumps(NO_VIDEO)},
        {"type": "websocket.receive", "bytes": struct.pack("<BI", 2, 0) + bytes(2 * 4 * PIECE)},
    ]
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop(0)

    async def send(message: Any) -> None:
        if len(sent) == 2:  # accepted, and ready
            await asyncio.Event().wait()
        sent.append(message["type"])

    async def network(one: Pass) -> Any:
        return one.graph(one.arrays)

    scope = {"type": "websocket", "path": "/stream", "headers": [], "client": ("192.0.2.1", 1), "query_string": b""}
    asyncio.run(stream.Streams(models, network, Settings(), watch)(WebSocket(scope, receive, send)))
    assert refused == ["slow_reader"]


def test_who_says_nothing_is_sent_away(strict: Served) -> None:
    with live(strict.url, KEYED) as session:
        assert session.hear()["code"] == "idle"


def test_a_session_has_an_end(strict: Served) -> None:
    with live(strict.url, KEYED) as session:
        for k in range(60):
            try:
                session.voice(bytes(2 * PIECE), k / 10)
            except (WebSocketNetworkError, LocalProtocolError):
                break
            time.sleep(0.1)
        assert session.until("closing")[-1]["code"] == "session_over"


def test_a_message_that_is_too_large_ends_the_session(strict: Served) -> None:
    with live(strict.url, KEYED) as session:
        session.frame(b"\0" * 70_000, 0)
        assert session.hear()["code"] == "message_size"
        assert session.hear() == {"type": "closed", "code": 1009}


def test_a_flood_of_messages_ends_the_session(strict: Served) -> None:
    with live(strict.url, KEYED) as session:
        for k in range(400):
            try:
                session.voice(bytes(20), k / 1000)
            except (WebSocketNetworkError, LocalProtocolError):
                break
        assert session.until("closing")[-1]["code"] == "rate"


def test_nothing_but_nonsense_ends_the_session(strict: Served) -> None:
    with live(strict.url, KEYED) as session:
        for _ in range(20):
            session.socket.send_text("nonsense")
        assert session.until("closing")[-1]["code"] == "errors"


def test_the_log_tells_of_sessions_and_nothing_of_people(service: Served) -> None:
    with live(service.url) as session:
        send(session, drawn_clips()["happy"])
    lines = [line for line in service.log.read_text().splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    ended = [e for e in events if e["event"] == "session"]
    assert ended
    assert set(ended[-1]) == {"time", "event", "code", "seconds", "steps", "model"}
    assert "127.0.0.1" not in "".join(lines)
