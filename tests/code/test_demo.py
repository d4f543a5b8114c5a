"""The demo corpus: drawn the same each time, true to its ground truth, small, and read back as clips."""

import json
import subprocess
import sys
from pathlib import Path

import ffmpeg
import numpy as np
import pytest

from mmer.data.corpora.demo import CORPUS
from mmer.data.demo.corpus import DrawingError, draw_corpus
from mmer.data.demo.expressions import AFFECT, FACES, GROUPS, VOICES
from mmer.data.demo.speakers import make_speaker
from mmer.data.demo.trials import STRENGTH, plan_trials
from mmer.labels import EMOTIONS
from mmer.runtime.grid import SAMPLE_RATE, voice_windows
from mmer.runtime.voice import voice_activity
from tests.graphs import drawn_clips

SPEAKERS = 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two speakers, one take: fourteen clips, of which two hide the face and two are silent."""
    out = tmp_path_factory.mktemp("demo") / "corpus"
    draw_corpus(out, speakers=SPEAKERS, takes=1, workers=2, affect=True)
    return out


def truths(corpus: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(corpus.glob("clips/*.json"))]


def sound_of(path: Path) -> np.ndarray:
    """int16 [N] at 16 kHz; empty where there is no sound track."""
    if not any(s["codec_type"] == "audio" for s in ffmpeg.probe(str(path))["streams"]):
        return np.zeros(0, np.int16)
    raw, _ = ffmpeg.input(str(path)).output("pipe:", f="s16le", ac=1, ar=SAMPLE_RATE).run(quiet=True)
    return np.frombuffer(raw, np.int16)


def test_the_same_seed_draws_the_same_bytes(corpus: Path) -> None:
    """One speaker by one process, or two by two; also where valence and arousal are told."""
    clips = sorted(drawn_clips()["happy"].parent.iterdir())
    assert len(clips) == 2 * len(EMOTIONS)
    for path in clips:
        assert path.read_bytes() == (corpus / "clips" / path.name).read_bytes(), path.name


def test_another_seed_draws_other_people() -> None:
    assert make_speaker(0, 0) != make_speaker(1, 0)
    assert len({make_speaker(0, n) for n in range(26)}) == 26


def test_face_and_voice_together_tell_the_emotion_and_neither_does_alone() -> None:
    assert tuple(GROUPS) == EMOTIONS
    assert len(set(GROUPS.values())) == len(EMOTIONS)
    faces, voices = zip(*GROUPS.values(), strict=True)
    assert len(set(faces)) == len(set(voices)) == 5
    assert set(faces) == set(FACES)
    assert set(voices) == set(VOICES)


def test_the_whole_corpus_is_planned_as_described() -> None:
    trials = plan_trials(0, 26, 2)
    assert len(trials) == len({t.clip_id for t in trials}) == 364
    hidden = [t for t in trials if t.hidden != "none"]
    silent = [t for t in trials if t.sound != "voice"]
    assert len(hidden) == len(silent) == 26
    assert {t.hidden for t in hidden} == {"away", "covered"}
    assert {t.sound for t in silent} == {"silence", "none"}
    assert not {t.clip_id for t in hidden} & {t.clip_id for t in silent}
    folds: dict[int, set[tuple[str, str]]] = {}
    for trial in trials:
        folds.setdefault(trial.who.fold, set()).add((trial.who.speaker, trial.who.sex))
    assert set(folds) == {1, 2, 3, 4, 5}
    for people in folds.values():
        women = sum(sex == "female" for _, sex in people)
        assert 5 <= len(people) <= 6
        assert 2 <= women <= 3


def test_ground_truth_fits_the_clip(corpus: Path) -> None:
    for truth in truths(corpus):
        probe = ffmpeg.probe(str(corpus / "clips" / f"{truth['clip_id']}.mp4"), count_frames=None)
        video = next(s for s in probe["streams"] if s["codec_type"] == "video")
        assert (video["width"], video["height"], video["codec_name"]) == (320, 240, "h264")
        assert int(video["nb_read_frames"]) == len(truth["boxes"]) == round(truth["duration_s"] * truth["fps"])
        assert 2 <= truth["duration_s"] <= 3
        for x1, y1, x2, y2 in filter(None, truth["boxes"]):
            assert 0 <= x1 < x2 <= 320
            assert 0 <= y1 < y2 <= 240
            assert 80 <= y2 - y1 <= 140
        if truth["hidden"] == "none":
            assert all(truth["boxes"])
        else:
            assert truth["boxes"].count(None) >= 0.5 * len(truth["boxes"])
        last = 0.0
        for start, end in truth["speech"]:
            assert last <= start < end <= truth["duration_s"]
            last = end
        assert bool(truth["speech"]) == (truth["sound"] == "voice")


def test_expressions_rise_hold_and_fall(corpus: Path) -> None:
    for truth in truths(corpus):
        course = truth["intensities"]
        assert len(course) == round(truth["duration_s"] / truth["step_s"])
        if truth["label"] == "neutral":
            assert set(course) == {0}
        else:
            assert course[0] < max(course) > course[-1]
            assert max(course) == pytest.approx(STRENGTH[truth["intensity"]], abs=0.01)


def test_voices_are_heard_when_the_ground_truth_says_so(corpus: Path) -> None:
    kinds = set()
    for truth in truths(corpus):
        voice = sound_of(corpus / "clips" / f"{truth['clip_id']}.mp4")
        windows = voice_windows(voice, len(truth["intensities"]), 0.2, 0.6)
        present = voice_activity(windows, -50)
        kinds.add(truth["sound"])
        if truth["sound"] == "voice":
            assert present.mean() > 0.7, truth["clip_id"]
            level = np.abs(voice.astype(float))
            spoken = np.zeros(len(voice), bool)
            for start, end in truth["speech"]:
                spoken[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
            assert level[spoken].mean() > 3 * level[~spoken].mean(), truth["clip_id"]
        else:
            assert not present.any(), truth["clip_id"]
            assert bool(len(voice)) == (truth["sound"] == "silence")
    assert kinds == {"voice", "silence", "none"}


def test_the_whole_corpus_stays_below_twelve_megabytes(corpus: Path) -> None:
    per_speaker_and_take = sum(p.stat().st_size for p in corpus.glob("clips/*")) / SPEAKERS
    assert per_speaker_and_take * 26 * 2 < 12e6


def test_the_reader_lists_what_is_there(corpus: Path, tmp_path: Path) -> None:
    clips = CORPUS.list_clips(corpus)
    assert len(clips) == SPEAKERS * len(EMOTIONS)
    assert {c.label for c in clips} == set(EMOTIONS)
    assert {c.speaker for c in clips} == {"s01", "s02"}
    assert all((corpus / c.path).is_file() and c.has_face and c.fold for c in clips)
    assert {c.clip_id: c.has_voice for c in clips} == {t["clip_id"]: t["sound"] == "voice" for t in truths(corpus)}
    (tmp_path / "clips.csv").write_text((corpus / "clips.csv").read_text())
    assert CORPUS.list_clips(tmp_path) == []
    assert CORPUS.list_clips(tmp_path / "nowhere") == []


def test_valence_and_arousal_are_told_where_that_was_asked(corpus: Path) -> None:
    clips = CORPUS.list_clips(corpus)
    strength = {t["clip_id"]: np.mean(t["intensities"]) for t in truths(corpus)}
    for clip in clips:
        told = [strength[clip.clip_id] * value for value in AFFECT[clip.label]]
        assert clip.affect == pytest.approx(told, abs=0.01)
    assert {np.sign(c.valence) for c in clips} == {-1, 0, 1}
    assert "| happy | 0.8 | 0.5 |" in (corpus / "README.md").read_text()
    plain = drawn_clips()["happy"].parents[1]
    assert {c.affect for c in CORPUS.list_clips(plain)} == {None}
    assert "alence" not in (plain / "README.md").read_text()


def test_it_says_that_it_is_a_drawing(corpus: Path) -> None:
    assert CORPUS.drawing
    assert "no evidence about people" in (corpus / "README.md").read_text()


def test_reading_the_corpus_needs_nothing_of_the_drawing() -> None:
    code = "import sys, mmer.data.corpora.demo; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "mmer.data.corpora.demo" in out
    assert not {"cv2", "scipy", "ffmpeg", "joblib", "mmer.data.demo"} & set(out)


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DrawingError, match="not an empty folder"):
        draw_corpus(tmp_path, speakers=1, takes=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DrawingError, match=r"file/corpus cannot be made: Not a directory"):
        draw_corpus(tmp_path / "file" / "corpus", speakers=1, takes=1)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"speakers": 0}, {"takes": 0}])
def test_a_corpus_of_nothing_is_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match="or more"):
        draw_corpus(tmp_path / "corpus", **wrong)
    assert not (tmp_path / "corpus").exists()


def test_without_ffmpeg_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DrawingError, match="ffmpeg, which is not on the path"):
        draw_corpus(tmp_path / "corpus", speakers=1, takes=1)
    assert not (tmp_path / "corpus").exists()


def test_what_ffmpeg_complains_of_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\ncat > /dev/null\necho No space left on device >&2\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DrawingError, match=r"s01-neutral-1\.mp4: ffmpeg could not write it: No space left on device"):
        draw_corpus(tmp_path / "corpus", speakers=1, takes=1, workers=1)


def test_without_what_only_drawing_needs_the_command_says_so(tmp_path: Path) -> None:
    code = "import sys; sys.modules['joblib'] = None; from mmer.cli import main; sys.exit(main(['demo-corpus', 'x']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    told = "mmer: `mmer demo-corpus` needs joblib, which is not installed: pip install 'mmer[train]'\n"
    assert (run.returncode, run.stderr) == (1, told)
