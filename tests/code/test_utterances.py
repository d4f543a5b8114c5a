"""Claims about utterances: found where somebody speaks, told at once, the same however the voice comes in pieces."""

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mmer.labels import EMOTIONS
from mmer.runtime.config import Level, Shown
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Step, Summary
from mmer.runtime.utterances import LONGEST_S, PAUSE_S, Summaries, UtteranceStart, summarise
from tests.graphs import write_model

Voice = npt.NDArray[np.int16]


@pytest.fixture(scope="module", params=["followed", "as recorded"])
def recognizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """Of a voice that is heard relative to how loud it has been, or as it is."""
    level = Level().model_dump() if request.param == "followed" else None
    folder = write_model(tmp_path_factory.mktemp("model") / "m", input={"voice_window_s": 0.4, "level": level})
    return Recognizer.load(folder)


def silence(seconds: float) -> Voice:
    return np.random.default_rng(1).integers(-2, 3, round(seconds * SAMPLE_RATE)).astype(np.int16)


def speech(seconds: float, dbfs: float = -25) -> Voice:
    """A buzz whose loudness goes up and down four times a second, by 10 dB."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    x = sum(np.cos(2 * np.pi * 130 * k * t) / k for k in range(1, 30)) * (0.65 + 0.35 * np.sin(2 * np.pi * 4 * t))
    return np.clip(x / np.sqrt(np.mean(x**2)) * 32768 * 10 ** (dbfs / 20), -32768, 32767).astype(np.int16)


def line(*parts: float) -> Voice:
    """Seconds of speech; where they are below 0, of silence."""
    return np.concatenate([speech(part) if part > 0 else silence(-part) for part in parts])


def listen(recognizer: Recognizer, voice: Voice, piece_s: float = 0.1) -> list[tuple[float, UtteranceStart | Summary]]:
    """A live session: what is told, each with the seconds of voice that had come in."""
    stream, piece, told = recognizer.stream(), round(piece_s * SAMPLE_RATE), []
    for begin in range(0, len(voice), piece):
        stream.push_voice(voice[begin : begin + piece], begin / SAMPLE_RATE)
        come = min(begin + piece, len(voice)) / SAMPLE_RATE
        told += [(come, one) for one in stream.utterances()]
        while stream.next_time <= come:
            stream.step()
            told += [(come, one) for one in stream.utterances()]
    return told + [(len(voice) / SAMPLE_RATE, one) for one in stream.utterances(over=True)]


def spoken(told: list[tuple[float, UtteranceStart | Summary]]) -> list[Summary]:
    return [one for _, one in told if isinstance(one, Summary)]


def test_they_begin_and_end_where_the_voice_does_and_are_told_within_300_ms(recognizer: Recognizer) -> None:
    told = listen(recognizer, line(-0.63, 1.5, -0.8, 0.97, -1.0), piece_s=0.1)
    assert [type(one) for _, one in told] == [UtteranceStart, Summary] * 2
    first, second = spoken(told)
    assert (first.start, first.end) == pytest.approx((0.63, 2.13), abs=0.06)
    assert (second.start, second.end) == pytest.approx((2.93, 3.90), abs=0.06)
    for come, one in told:
        assert come - one.start < 0.3 if isinstance(one, UtteranceStart) else come - one.end <= 0.3 + 1e-6
    assert first.heard > 0.9
    assert first.seen == 0
    assert first.voice_dbfs == pytest.approx(-25, abs=1)
    assert first.label in EMOTIONS
    assert first.confidence == first.probabilities.max()
    assert first.probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("piece_s", [0.013, 0.1, 0.73])
def test_a_stream_tells_what_the_clip_tells_however_the_voice_comes(
    recognizer: Recognizer, piece_s: float, tmp_path: Path
) -> None:
    voice = line(-0.4, 2.3, -0.5, 4.1, -0.3, 1.0)
    with wave.open(str(tmp_path / "voice.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(voice.tobytes())
    whole = recognizer.predict(tmp_path / "voice.wav").utterances
    assert len(whole) >= 2
    live = spoken(listen(recognizer, voice, piece_s))
    assert [(one.start, one.end, one.label, one.heard) for one in live] == [
        (one.start, one.end, one.label, one.heard) for one in whole
    ]
    for one, other in zip(live, whole, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
        assert one.voice_dbfs == pytest.approx(other.voice_dbfs)


def test_a_short_pause_is_no_end_and_a_click_is_no_utterance(recognizer: Recognizer) -> None:
    click = silence(2.0)
    click[SAMPLE_RATE : SAMPLE_RATE + 800] = 20_000 * np.sign(np.sin(np.arange(800)))
    assert listen(recognizer, click) == []
    (one,) = spoken(listen(recognizer, line(-0.5, 1.0, -(PAUSE_S - 0.075), 1.0, -0.5)))
    assert one.end - one.start > 2


def test_one_who_does_not_stop_is_told_in_parts(recognizer: Recognizer) -> None:
    first, second = spoken(listen(recognizer, line(LONGEST_S + 3)))
    assert first.end - first.start == pytest.approx(LONGEST_S, abs=0.2)
    assert second.start == pytest.approx(first.end, abs=0.3)
    assert second.end == pytest.approx(LONGEST_S + 3, abs=0.1)


def test_what_is_skipped_ends_it(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    stream.push_voice(line(-0.3, 0.7), 0.0)
    for _ in range(5):
        stream.step()
    stream.skip(50)
    begun, one = stream.utterances()
    assert isinstance(begun, UtteranceStart)
    assert isinstance(one, Summary)
    assert one.end <= 1.0
    stream.push_voice(speech(1.0), 11.0)
    for _ in range(5):
        stream.step()
    (begun,) = stream.utterances()
    assert begun.start == pytest.approx(11.0, abs=0.1)


def at(t: float, face: str | None = None, voice: str | None = None, dbfs: float = -20.0) -> Step:
    """A step at which a face and a voice say something, to 80%."""

    def chances(emotion: str | None) -> npt.NDArray[np.float32] | None:
        row = np.full(len(EMOTIONS), 0.2 / 6, np.float32)
        if emotion is not None:
            row[EMOTIONS.index(emotion)] = 0.8
        return None if emotion is None else row

    said = [one for one in (chances(face), chances(voice)) if one is not None]
    both = np.prod(said, axis=0) if said else np.ones(len(EMOTIONS))
    return Step(
        t=t, probabilities=(both / both.sum()).astype(np.float32), label=None,
        unimodal={"face": chances(face), "voice": chances(voice)}, box=None,
        present={"face": face is not None, "scene": False, "voice": voice is not None},
        voice_dbfs=dbfs, ms=0.0, people=[], followed=2 if face else None, more_people=0,
    )  # fmt: skip


def test_a_summary_says_what_face_and_voice_said_and_how_much_there_was_of_each() -> None:
    steps = [at(0.2, "happy", "sad"), at(0.4, "happy"), at(0.6, "happy", "sad"), at(0.8)]
    one = summarise(steps, 0, 0.8, 0.01, 0.2, None)
    assert one.label == "happy"
    assert {name: EMOTIONS[int(said.argmax())] for name, said in one.unimodal.items() if said is not None} == {
        "face": "happy",
        "voice": "sad",
    }
    assert (one.seen, one.heard, one.followed) == (0.75, 0.5, 2)
    assert one.voice_dbfs == pytest.approx(-20)
    more = summarise(steps * 3, 0, 2.4, 0.01, 0.2, None)
    assert more.confidence > one.confidence, "more of the same is surer"
    careful = summarise(steps, 0, 0.8, 0.01, 0.2, Shown(seconds=(0.2, 4), face=(2, 1), voice=(2, 1), both=(3, 1)))
    assert 1 / 7 < careful.confidence < one.confidence


def test_of_nothing_there_is_no_label() -> None:
    one = summarise([at(0.2), at(0.4)], 0, 0.4, 0.0, 0.2, None)
    assert (one.label, one.confidence, one.voice_dbfs, one.followed) == (None, 0.0, -100, None)
    assert one.unimodal == {"face": None, "voice": None}
    assert one.to_json()["alone"] == {"face": None, "voice": None}


def test_summaries_come_every_so_many_seconds_and_leave_no_step_out() -> None:
    summaries = Summaries(1.0, 0.2, None)
    told = [summaries.push(at(0.2 * (k + 1), "happy")) for k in [*range(12), *range(30, 38)]]  # some were skipped
    told.append(summaries.finish())
    parts = [(round(one.start, 3), round(one.end, 3)) for one in told if one]
    assert parts == [(0, 1), (1, 2), (2, 6.2), (6.2, 7.2), (7.2, 7.6)]
    assert summaries.finish() is None
