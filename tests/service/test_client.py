"""`mmer stream` and the Python client, against the real service."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmer.cli import main
from mmer.client import AsyncClient, BlockingSession, Client, RefusedError
from mmer.client.listener import Listener
from mmer.client.playback import pieces
from mmer.client.stream import LostError, Session, StreamError, connect, stay, stream_url
from mmer.labels import EMOTIONS
from mmer.runtime.grid import SAMPLE_RATE
from tests.graphs import drawn_clips
from tests.serving import ROOT, Served


def test_a_clip_is_played_and_each_step_printed(service: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "--file", str(drawn_clips()["happy"]), service.url, "--speed", "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    lines = [line for line in told if "spoken from" not in line]
    assert len(lines) == len(told) - 1 >= 8
    assert lines[0].split()[0] == "0.2s"
    assert {line.split()[1] for line in lines} <= {*EMOTIONS, "–"}
    assert all(" ms " in line for line in lines)


def test_as_json_it_prints_the_messages_as_they_are(service: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "--json", "--file", str(drawn_clips()["sad"]), service.url, "--speed", "2"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [m for m in told if m["type"] == "step"]
    assert [m["n"] for m in steps] == list(range(len(steps)))
    assert [m["type"] for m in told if m["type"] != "step"] == ["utterance_start", "utterance"]


def test_an_image_is_shown_for_a_second(service: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "face.jpg"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-ss", "1", "-i", drawn_clips()["sad"], "-frames:v", "1", image], check=True
    )
    assert main(["stream", "--file", str(image), service.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all("face" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--file", "{clip}", "http://127.0.0.1:9"], "no service answers at ws://127.0.0.1:9/stream"),
        (["--file", "nowhere.mp4", "{url}"], "nowhere.mp4: does not exist"),
        (["--camera", "77", "{url}"], "camera 77 cannot be opened"),
        (["--camera", "{url}"], "camera 0 cannot be opened"),
        (["--camera", "http://127.0.0.1:9"], "no service answers at ws://127.0.0.1:9/stream"),
    ],
)
def test_what_cannot_be_done_is_said(
    service: Served, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    given = [a.format(clip=drawn_clips()["happy"], url=service.url) for a in arguments]
    assert main(["stream", *given]) == 1
    error = capfd.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_refusal_is_an_error_with_its_reason(service: Served) -> None:
    async def run() -> None:
        async with connect(service.url) as session:
            for _ in range(30):
                await session._socket.send_text("nonsense")
            async for _ in session:
                pass

    with pytest.raises(StreamError, match="messages in a row could not be used"):
        asyncio.run(run())


def test_whoever_stays_opens_the_next_session_when_one_is_lost(service: Served) -> None:
    sessions: list[Session] = []

    async def use(session: Session) -> None:
        sessions.append(session)
        if len(sessions) < 3:  # no word, as when a server dies
            await session._socket.stream.aclose()
            async for _ in session:
                pass

    lost: list[LostError] = []
    asyncio.run(stay(service.url, use, lost=lost.append))
    assert len(sessions) == 3
    assert len(lost) == 2


def test_whoever_stays_does_not_wait_for_one_that_never_was() -> None:
    async def use(_: Session) -> None:
        raise AssertionError

    with pytest.raises(LostError, match="no service answers"):
        asyncio.run(stay("http://127.0.0.1:9", use))


def test_a_program_without_an_event_loop_speaks_with_it_too(service: Served) -> None:
    clip = pieces(drawn_clips()["happy"])
    with Client(service.url).stream() as session:
        assert session.ready["protocol"] == 2
        assert session.here() == []
        for piece in clip:
            if piece.jpeg is not None:
                session.send_frame(piece.jpeg, piece.t)
            elif piece.voice is not None:
                session.send_voice(piece.voice, piece.t - len(piece.voice) / 32_000)
        session.bye()
        told = list(session)
        assert session.here() == list(session) == []
    assert {message["type"] for message in told} >= {"step", "utterance_start", "utterance"}


def test_what_ends_a_session_is_raised_where_messages_are_asked_for(service: Served) -> None:
    with Client(service.url).stream(video=False) as session:
        for _ in range(20):
            session.send_voice(b"odd", 0.0)
        with pytest.raises(StreamError, match="messages in a row could not be used"):
            list(session)
    with pytest.raises(LostError, match="no service answers"), Client("http://127.0.0.1:9").stream():
        pass


def test_a_file_is_recognised_or_refused_with_its_reason(service: Served, tmp_path: Path) -> None:
    client, clip = Client(service.url), drawn_clips()["happy"]
    told = client.predict(clip, start=0.5, end=1.5, steps=False, top=2)
    assert told["label"] in EMOTIONS
    assert (len(told["top"]), "steps" in told) == (2, False)
    assert asyncio.run(AsyncClient(service.url).predict(clip))["utterances"]
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all")
    with pytest.raises(RefusedError, match=r"letter\.txt") as refused:
        client.predict(letter)
    assert refused.value.code == "not_media"
    with pytest.raises(LostError, match="no service answers"):
        Client("http://127.0.0.1:9").predict(clip)
    with pytest.raises(FileNotFoundError):
        client.predict(tmp_path / "nowhere.mp4")


def test_a_kept_calibration_may_be_sent_again(service: Served) -> None:
    clip = [piece for piece in pieces(drawn_clips()["sad"]) if piece.jpeg][:16]

    def run(begin: Callable[[BlockingSession], None]) -> list[dict[str, Any]]:
        with Client(service.url).stream(audio=False) as session:
            begin(session)
            told, messages = [], iter(session)
            for k, piece in enumerate(clip):
                session.send_frame(piece.jpeg or b"", piece.t)
                if k % 2:
                    told.append(next(message for message in messages if message["type"] != "error"))
            session.bye()
            return [*told, *messages]

    found = [m for m in run(lambda session: session.calibrate(1)) if m["type"] == "calibration"]
    assert len(found) == 1
    steps = [m for m in run(lambda session: session.use(found[0])) if m["type"] == "step"]
    assert steps
    assert all(step["calibrated"] for step in steps)
    told = Client(service.url).predict(drawn_clips()["happy"], calibration=found[0])
    assert told["calibrated"]
    with pytest.raises(RefusedError, match="another model"):
        Client(service.url).predict(drawn_clips()["happy"], calibration=found[0] | {"model": "other"})


def test_whoever_listens_is_told_the_longest_utterance_of_a_turn(service: Served) -> None:
    sample = ROOT / "web" / "samples" / "happy.mp4"
    turn = b"".join(piece.voice for piece in pieces(sample) if piece.voice) + bytes(2 * SAMPLE_RATE)
    piece = 2 * SAMPLE_RATE // 10

    async def run() -> list[dict[str, Any]]:
        listener, told = Listener(AsyncClient(service.url)), []
        listening = asyncio.create_task(listener.run())
        while len(told) < 2:  # the session may open in the middle of the first turn
            for begin in range(0, len(turn), piece):
                await listener.hear(turn[begin : begin + piece])
                await asyncio.sleep(0.05)
            spoken = await listener.utterance(5)
            told += [] if spoken is None else [spoken]
        listening.cancel()
        return told

    last = asyncio.run(run())[-1]
    assert last["end"] - last["start"] > 1, "it says two things, of 1.7 and of 0.6 s"


def test_the_camera_can_be_turned_off(service: Served) -> None:
    clip = pieces(drawn_clips()["happy"])
    steps: list[dict[str, object]] = []

    async def run() -> None:
        async with connect(service.url, audio=False) as session:
            jpeg = next(p.jpeg for p in clip if p.jpeg)
            await session.send_frame(jpeg, 0.2)
            await session.camera_off(0.3)
            await session.send_frame(jpeg, 0.8)
            await session.bye()
            steps.extend([message async for message in session])

    asyncio.run(run())
    assert steps[0]["n"] == 0
    assert steps[0]["present"]["face"]  # type: ignore[index]


def test_playing_needs_no_torch() -> None:
    code = (
        "import sys, mmer.client.playback; print([m for m in ('torch', 'mlflow', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


@pytest.mark.parametrize("url", ["localhost:3000", "http://localhost:3000/", "ws://localhost:3000/stream"])
def test_the_address_may_be_written_in_several_ways(url: str) -> None:
    assert stream_url(url) == "ws://localhost:3000/stream"


def test_a_clip_becomes_pictures_and_voice_in_order() -> None:
    found = pieces(drawn_clips()["happy"])
    assert [p.t for p in found] == sorted(p.t for p in found)
    assert sum(len(p.voice) for p in found if p.voice) > 2 * 16_000
    assert all(p.jpeg.startswith(b"\xff\xd8") for p in found if p.jpeg)
