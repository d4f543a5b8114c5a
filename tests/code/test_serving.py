"""The parts of the service that need no socket: settings, messages, and a session's mailboxes."""

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmer.runtime.recognizer import Recognizer
from mmer.serving import answers, protocol
from mmer.serving.live import BEHIND_S, LATE_S, MAILBOX, Session
from mmer.serving.protocol import FRAME, VOICE, Hello, Media, Refusal
from mmer.serving.settings import Settings, SettingsError, read_settings
from mmer.serving.stream import Bucket
from tests.graphs import write_model

STEP_S = 0.2


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(write_model(tmp_path_factory.mktemp("model") / "m"))


def session(recognizer: Recognizer, **hello: Any) -> Session:
    return Session(recognizer, Hello(**{"type": "hello", "protocol": protocol.VERSION, **hello}), 10**6)


def voice(t: float, seconds: float = 0.1) -> Media:
    return Media(VOICE, t, bytes(2 * round(16_000 * seconds)))


def step(session: Session, recognizer: Recognizer) -> dict[str, object]:
    begun, _ = session.look(session.take())
    return session.tell(begun, recognizer.forward(begun.arrays))[1][0]


def test_settings_come_from_the_environment() -> None:
    found = read_settings({"MMER_SESSIONS": "5", "MMER_ORIGINS": "https://a.example, http://b:8080", "HOME": "/"})
    assert found.sessions == 5
    assert found.origins == ("https://a.example", "http://b:8080")
    assert read_settings({}) == Settings()


@pytest.mark.parametrize("name", ["MMER_SESION", "MMER_MAX_UPLOAD", "MMER_NOTHING_LIKE_IT"])
def test_an_unknown_setting_is_an_error_with_a_suggestion(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} is unknown: (did you mean MMER_|there are )"):
        read_settings({name: "1"})


def test_the_model_and_the_mirror_are_no_settings_of_the_service() -> None:
    read_settings({"MMER_MODEL": "models", "MMER_MIRROR": "/data"})


def test_a_key_is_compared_whole() -> None:
    guarded = Settings(key="open-sesame")
    assert guarded.allows("open-sesame")
    assert not any(guarded.allows(key) for key in (None, "", "open", "open-sesame "))
    assert Settings().allows(None)


def test_every_refusal_has_a_status_and_a_hint() -> None:
    for code, (status, hint) in answers.ANSWERS.items():
        assert status in (200, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503), code
        assert hint.endswith((".", "…", "requests.")), code
        assert answers.problem(code, "why")["error"]["hint"] == hint


@given(st.sampled_from([1, 2, 3, 4]), st.integers(0, 2**32 - 1), st.binary(max_size=64))
def test_a_message_survives_the_way(kind: int, ms: int, payload: bytes) -> None:
    payload = payload[: len(payload) // 2 * 2]
    found = protocol.read_media(protocol.write_media(kind, ms, payload))
    assert (found.kind, round(1000 * found.t), found.payload) == (kind, ms, payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert protocol.read_media(data).kind in (1, 2, 3, 4)


@given(st.text(max_size=200))
def test_any_text_is_no_hello_but_a_refusal(text: str) -> None:
    with pytest.raises(Refusal, match=r".+"):
        protocol.read_hello(text)


def test_a_step_is_due_when_all_that_was_announced_has_come(recognizer: Recognizer) -> None:
    live = session(recognizer)
    assert not live.due
    live.receive(voice(0, 0.2))
    assert not live.due, "no picture yet"
    live.receive(Media(FRAME, 0.15, b""))
    assert live.due
    step(live, recognizer)
    assert not live.due
    live.receive(Media(FRAME, 0.4, b""))
    assert not live.due, "the voice is not there yet"
    live.receive(Media(FRAME, 0.4 + LATE_S, b""))
    assert live.due, "it has waited long enough"


def test_what_is_off_is_not_waited_for(recognizer: Recognizer) -> None:
    live = session(recognizer)
    live.receive(Media(protocol.CAMERA_OFF, 0.0, b""))
    live.receive(voice(0, 0.2))
    assert live.due
    step(live, recognizer)
    live.receive(Media(protocol.MICROPHONE_OFF, 0.2, b""))
    assert not live.due, "nothing is left to go by"
    live.receive(Media(FRAME, 0.4, b""))
    assert live.due


def test_far_behind_the_steps_are_skipped_and_the_newest_is_kept(recognizer: Recognizer) -> None:
    live = session(recognizer, audio=False)
    for k in range(60):
        live.receive(Media(FRAME, k * 0.1, b"%d" % k))
    told = live.catch_up()
    assert told is not None
    assert told["behind_s"] > BEHIND_S
    assert told["steps"] > 0
    kept = []
    while live.due:
        frame = live.take()
        kept.append(frame)
        begun, _ = live.look(None)
        live.tell(begun, recognizer.forward(begun.arrays))
    assert kept[-1] is not None
    assert kept[-1].t >= 5.7
    assert live.catch_up() is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 3, 4]),
            st.one_of(st.floats(0, 5), st.floats(0, 4_294_967)),
            st.binary(max_size=8),
        ),
        max_size=60,
    )
)
def test_no_clock_of_a_client_breaks_a_session(recognizer: Recognizer, sent: list[tuple[int, float, bytes]]) -> None:
    live = session(recognizer)
    for kind, t, payload in sent:
        live.receive(Media(kind, t, payload[: len(payload) // 2 * 2]))
        live.catch_up()
        for _ in range(3):
            if live.due:
                told = step(live, recognizer)
                assert math.isfinite(told["t"])  # type: ignore[arg-type]
    assert len(live._frames) <= MAILBOX


def test_what_waits_is_bounded_whatever_the_stamps(recognizer: Recognizer) -> None:
    live = session(recognizer)
    live.receive(Media(FRAME, 100.0, b""))
    for k in range(3000):
        live.receive(Media(FRAME, k / 37, b"x" * 1000))
        live.receive(voice(0, 0.01))
    assert len(live._frames) <= MAILBOX
    assert len(live._voice) <= MAILBOX


def test_a_bucket_lets_a_burst_through_and_then_no_more() -> None:
    bucket = Bucket(10)
    assert [bucket.take(1) for _ in range(40)].count(True) in range(30, 33)


def test_the_level_of_silence_is_finite(recognizer: Recognizer) -> None:
    live = session(recognizer, video=False)
    live.receive(voice(0, 0.2))
    told = step(live, recognizer)
    assert np.isfinite(told["voice_dbfs"])  # type: ignore[arg-type]
    assert told["label"] is None
