"""Prepared data are checked before anything learns from them: what is broken is named, what is missing is told."""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmer.config import Params
from mmer.data.clips import Clip, read_manifest, write_manifest
from mmer.data.corpora import fer2013
from mmer.data.samples import Sample, load_sample, save_sample
from mmer.data.validation import Report, ValidationError, validate
from mmer.labels import EMOTIONS
from mmer.params import load_params

STEPS = 4
ROOT = Path(__file__).parents[2]


def sample(rng: np.random.Generator, *, steps: int = STEPS, side: int = 64, picture: bool = True) -> Sample:
    """Random numbers in the shape of a sample."""
    present = np.tile(np.array([picture, picture, True]), (steps, 1))
    pixels = [rng.integers(0, 256, (steps, side, side, 3), np.uint8) for _ in range(2)]
    return Sample(pixels[0], pixels[1], rng.integers(-9000, 9000, steps * 3200, np.int16), present)


def corpus(root: Path, name: str, *, speakers: int = 6, picture: bool = True) -> list[Clip]:
    """A tiny prepared corpus of random numbers: each speaker, of its own fold, once in each emotion."""
    rng, clips = np.random.default_rng(0), []
    for number in range(1, speakers + 1):
        for emotion in EMOTIONS:
            clip = Clip(
                clip_id=f"{number:02d}-{emotion}", corpus=name, speaker=f"{number:02d}", label=emotion,
                fold=1 + (number - 1) % 3, path=f"{number:02d}-{emotion}.mp4",
                sha256=hashlib.sha256(f"{name}{number}{emotion}".encode()).hexdigest(), duration_s=0.8,
                has_face=picture, has_scene=picture, has_voice=True,
                steps=STEPS, face_rate=float(picture), voice_rate=1,
            )  # fmt: skip
            clips.append(clip)
            save_sample(root / clip.sample, sample(rng, picture=picture))
    write_manifest(root / name / "clips.parquet", clips)
    return clips


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    corpus(root, "ravdess")
    return root


@pytest.fixture
def processed(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the good corpus that a test may break."""
    for path in (prepared / "ravdess").iterdir():
        target = tmp_path / "processed" / "ravdess" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path / "processed"


def run(
    processed: Path,
    *names: str,
    docs: Path | None = None,
    raw: Path | None = None,
    test_corpora: Sequence[str] = (),
    **limits: float,
) -> Report:
    names = names or ("ravdess",)
    overrides = {
        "corpora": list(names),
        "download.corpora": [n for n in names if n != "demo"],
        "validate.min_speakers": 2,
        "split.test_corpora": list(test_corpora),
    }
    overrides |= {f"validate.{key}": value for key, value in limits.items()}
    params: Params = load_params(ROOT / "params.yaml", overrides)
    out = processed.parent
    return validate(params, processed, out / "clips.parquet", out / "validation.json", docs, raw)


def rewrite(processed: Path, change: Callable[[Clip], dict[str, object]]) -> None:
    """Change the manifest's rows without the checks that a Clip makes of itself."""
    path = processed / "ravdess" / "clips.parquet"
    clips = [c.model_copy(update=change(c)) for c in read_manifest(path)]
    write_manifest(path, clips)


def test_good_data_pass_and_become_one_manifest_with_splits(processed: Path) -> None:
    corpus(processed, "demo")
    report = run(processed, "ravdess", "demo", docs=processed.parent / "docs")
    assert report.success, str(report)
    clips = read_manifest(processed.parent / "clips.parquet")
    assert {c.corpus for c in clips} == {"demo", "ravdess"}
    sides = {c.person: {d.split for d in clips if d.person == c.person} for c in clips}
    assert all(len(on) == 1 for on in sides.values())
    assert {c.split for c in clips} == {"train", "val", "test"}
    assert list((processed.parent / "docs").rglob("index.html"))
    told = json.loads((processed.parent / "validation.json").read_text())
    assert told["success"]
    assert told["expectations"] > 20
    assert told["corpora"]["ravdess"]["classes"] == dict.fromkeys(EMOTIONS, 6)
    assert told["corpora"]["ravdess"]["splits"] == {"train": 14, "val": 14, "test": 14}
    assert told["corpora"]["ravdess"]["face_rate"] == 1


def test_the_same_data_give_the_same_report_and_manifest(processed: Path) -> None:
    out = processed.parent
    run(processed)
    first = [(out / name).read_bytes() for name in ("validation.json", "clips.parquet")]
    run(processed)
    assert first == [(out / name).read_bytes() for name in ("validation.json", "clips.parquet")]


def test_an_incomplete_corpus_is_a_warning_that_says_what_is_missing(processed: Path) -> None:
    report = run(processed)
    assert report.success
    (told,) = [w for w in report.warnings if "complete" in w]
    assert "ravdess: 42 of 1,440 clips, 6 of 24 speakers, pictures in 42 of 1,440" in told
    assert "nothing of speaker 07, 08" in told


def test_a_corpus_of_voices_alone_passes(tmp_path: Path) -> None:
    corpus(tmp_path / "processed", "ravdess", picture=False)
    report = run(tmp_path / "processed")
    assert report.success, str(report)
    assert report.corpora["ravdess"]["face_rate"] is None


def images(root: Path, rows: list[dict[str, object]]) -> list[Clip]:
    """A prepared corpus of face images of unknown people, FER2013's layout; each row says how its image differs."""
    rng, clips = np.random.default_rng(0), []
    for number, row in enumerate(rows):
        name = f"Training_{number:03d}"
        base: dict[str, object] = {
            "clip_id": name, "corpus": "fer2013", "speaker": name, "label": EMOTIONS[number % 7], "split": "train",
            "path": f"{name}.jpg", "sha256": hashlib.sha256(name.encode()).hexdigest(), "has_face": True, "steps": 1,
            "face_rate": 1.0,
        }  # fmt: skip
        clip = Clip.model_validate(base | row)
        present = np.array([[clip.has_face, False, False]])
        faces, scenes = rng.integers(0, 256, (1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64, 3), np.uint8)
        save_sample(root / clip.sample, Sample(faces, scenes, np.zeros(0, np.int16), present))
        clips.append(clip)
    write_manifest(root / "fer2013" / "clips.parquet", clips)
    return clips


SPLITS = [{"split": ("train", "val", "test")[number // 14]} for number in range(42)]


def test_images_of_unknown_people_pass_and_have_no_speakers(tmp_path: Path) -> None:
    images(tmp_path / "processed", SPLITS)
    report = run(tmp_path / "processed", "fer2013")
    assert report.success, str(report)
    row = report.corpora["fer2013"]
    assert (row["clips"], row["speakers"], row["pictures"], row["test_speakers"]) == (42, 0, 42, None)
    (told,) = report.warnings
    assert "42 of 35,887 clips" in told


def test_a_voice_too_quiet_to_count_is_no_picture_without_a_face(tmp_path: Path) -> None:
    root = tmp_path / "processed"
    first, *others = corpus(root, "ravdess", picture=False)
    silent = replace(load_sample(root / first.sample), present=np.zeros((STEPS, 3), bool))
    save_sample(root / first.sample, silent)
    quiet = first.model_copy(update={"has_voice": False, "voice_rate": 0.0})
    write_manifest(root / "ravdess" / "clips.parquet", [quiet, *others])
    report = run(root, "ravdess")
    assert report.success, str(report)
    assert (report.corpora["ravdess"]["pictures"], report.corpora["ravdess"]["face_rate"]) == (0, None)


def test_clips_that_are_not_used_are_told_with_the_reason_and_break_nothing(tmp_path: Path) -> None:
    same = "a" * 64
    rows = [dict(row) for row in SPLITS]
    rows[0] |= {"split": "unused", "unused_because": "the same image is a test image", "sha256": same, "copies": 0}
    rows[28] |= {"sha256": same, "copies": 1}
    clips = images(tmp_path / "processed", rows)
    report = run(tmp_path / "processed", "fer2013")
    assert report.success, str(report)
    assert report.notes == ["fer2013: 1 clip not used: the same image is a test image"]
    assert report.notes[0] in str(report)
    assert report.corpora["fer2013"]["splits"] == {"train": 13, "val": 14, "test": 14, "unused": 1}
    told = {c.clip_id: c.split for c in read_manifest(tmp_path / "clips.parquet")}
    assert told[clips[0].clip_id] == "unused"


def test_a_clip_that_is_not_used_may_have_no_label_and_counts_as_no_emotion(tmp_path: Path) -> None:
    rows = [dict(row) for row in SPLITS]
    rows[0] |= {"split": "unused", "unused_because": "its categories name none", "label": ""}
    images(tmp_path / "processed", rows)
    report = run(tmp_path / "processed", "fer2013")
    assert report.success, str(report)
    assert (report.corpora["fer2013"]["emotions"], report.corpora["fer2013"]["splits"]["unused"]) == (7, 1)
    assert {c.label for c in read_manifest(tmp_path / "clips.parquet")} == {*EMOTIONS, ""}


def test_a_file_on_two_sides_of_the_split_is_an_error_also_of_unknown_people(tmp_path: Path) -> None:
    rows = [dict(row) for row in SPLITS]
    rows[0]["sha256"] = rows[28]["sha256"] = "a" * 64
    images(tmp_path / "processed", rows)
    report = run(tmp_path / "processed", "fer2013")
    assert report.errors == ["a file is on one side of the split: fer2013/Training_000: test and train"]


def test_an_image_with_two_emotions_is_a_warning_as_its_owner_published_it(tmp_path: Path) -> None:
    rows = [dict(row) for row in SPLITS]
    rows[28]["sha256"] = rows[29]["sha256"] = "a" * 64
    images(tmp_path / "processed", rows)
    report = run(tmp_path / "processed", "fer2013")
    assert report.success, str(report)
    assert any("one emotion" in w and "fer2013/Training_028: 2" in w for w in report.warnings), str(report)


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ({"train": 14, "val": 14, "test": 14, "emotions": 7}, ""),
        ({"train": 15, "val": 14, "test": 14}, "14 of 15 train"),
        ({"clips": 42, "train": 14, "val": 20, "test": 14}, "14 of 20 val"),
        ({"emotions": 8}, "7 of 8 emotions"),
    ],
)
def test_the_owners_parts_are_counted_with_what_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, int], told: str
) -> None:
    monkeypatch.setattr(fer2013, "CORPUS", replace(fer2013.CORPUS, expected=expected))
    copy = {"split": "unused", "unused_because": "a copy"}
    images(tmp_path / "processed", [copy if number == 3 else row for number, row in enumerate(SPLITS)])
    report = run(tmp_path / "processed", "fer2013")
    assert report.success, str(report)
    missing = [warning for warning in report.warnings if "complete" in warning]
    assert bool(missing) == bool(told)
    assert not told or told in missing[0]


def test_more_in_a_part_than_the_owner_published_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer2013, "CORPUS", replace(fer2013.CORPUS, expected={"test": 13}))
    images(tmp_path / "processed", SPLITS)
    report = run(tmp_path / "processed", "fer2013")
    assert report.errors == ["a corpus is no larger than its owner's (too many): fer2013: 1"]


def test_a_file_that_is_not_what_was_fetched_is_an_error(processed: Path) -> None:
    raw = processed.parent / "raw"
    clips = read_manifest(processed / "ravdess" / "clips.parquet")
    entries = {c.path: {"sha256": c.sha256} for c in clips}
    (raw / "ravdess").mkdir(parents=True)
    (raw / "ravdess" / "checksums.json").write_text(json.dumps(entries))
    assert run(processed, raw=raw).success
    entries["02-sad.mp4"]["sha256"] = "f" * 64
    (raw / "ravdess" / "checksums.json").write_text(json.dumps(entries))
    (told,) = run(processed, raw=raw).errors
    assert told == "a file is what was fetched, by its sha256: ravdess/02-sad: another sha256 was recorded"


def test_a_mixture_with_a_corpus_tested_whole_says_what_is_held_back(processed: Path) -> None:
    corpus(processed, "demo")
    report = run(processed, "ravdess", "demo", test_corpora=["demo"])
    assert report.success, str(report)
    assert [note for note in report.notes if note.startswith("ravdess: 14 clips not used: kept for")]
    assert report.corpora["demo"]["splits"] == {"train": 0, "val": 0, "test": 42}
    assert not [w for w in report.warnings if "test speakers" in w]


def broken_label(processed: Path) -> None:
    rewrite(processed, lambda c: {"label": "joy"} if c.clip_id == "02-sad" else {})


def damaged_sample(processed: Path) -> None:
    path = processed / "ravdess" / "02-sad.npz"
    path.write_bytes(path.read_bytes()[:1000])


def flipped_bytes(processed: Path) -> None:
    path = processed / "ravdess" / "02-sad.npz"
    data = bytearray(path.read_bytes())
    data[5000] ^= 255
    path.write_bytes(data)


def lost_sample(processed: Path) -> None:
    (processed / "ravdess" / "02-sad.npz").unlink()


def wrong_steps(processed: Path) -> None:
    save_sample(processed / "ravdess" / "02-sad.npz", sample(np.random.default_rng(1), steps=STEPS + 1))


def wrong_size(processed: Path) -> None:
    save_sample(processed / "ravdess" / "02-sad.npz", sample(np.random.default_rng(1), side=32))


def wrong_rate(processed: Path) -> None:
    rewrite(processed, lambda c: {"face_rate": 0.5} if c.clip_id == "02-sad" else {})


def impossible_rate(processed: Path) -> None:
    rewrite(processed, lambda c: {"voice_rate": 1.5} if c.clip_id == "02-sad" else {})


def no_steps(processed: Path) -> None:
    rewrite(processed, lambda c: {"steps": 0} if c.clip_id == "02-sad" else {})


def one_file_two_speakers(processed: Path) -> None:
    first = read_manifest(processed / "ravdess" / "clips.parquet")[0]
    rewrite(processed, lambda c: {"sha256": first.sha256} if c.clip_id == "02-sad" else {})


def same_id_twice(processed: Path) -> None:
    rewrite(processed, lambda c: {"clip_id": "02-sad"} if c.clip_id == "03-sad" else {})


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (broken_label, "joy"),
        (damaged_sample, "BadZipFile"),
        (flipped_bytes, "CRC"),
        (lost_sample, "FileNotFoundError"),
        (wrong_steps, "uint8 [5, 64, 64, 3]"),
        (wrong_size, "uint8 [T, 32, 32, 3]"),
        (wrong_rate, "0.5"),
        (impossible_rate, "1.5"),
        (no_steps, "a clip has steps"),
        (one_file_two_speakers, "two speakers"),
        (same_id_twice, "id"),
    ],
)
def test_what_is_broken_is_an_error_that_names_the_clip(
    processed: Path, break_it: Callable[[Path], None], says: str
) -> None:
    (processed.parent / "clips.parquet").write_bytes(b"of an earlier run")
    break_it(processed)
    report = run(processed)
    assert not report.success
    assert any("ravdess/02-sad" in error and says in error for error in report.errors), str(report)
    assert not (processed.parent / "clips.parquet").exists(), "nothing may learn from broken data"
    assert json.loads((processed.parent / "validation.json").read_text())["errors"] == report.errors


def test_a_file_that_its_owner_published_twice_is_a_warning(processed: Path) -> None:
    """RAVDESS holds one: both repetitions of actor 07, happy, normal, second sentence, are the same recording."""
    clips = read_manifest(processed / "ravdess" / "clips.parquet")
    double = clips[0].model_copy(update={"clip_id": "01-again"})
    (processed / double.sample).write_bytes((processed / clips[0].sample).read_bytes())
    write_manifest(processed / "ravdess" / "clips.parquet", [*clips, double])
    report = run(processed)
    assert report.success, str(report)
    assert any("ravdess/01-again" in warning for warning in report.warnings)


def test_a_speaker_on_both_sides_is_an_error(processed: Path) -> None:
    rewrite(processed, lambda c: {"split": "test"} if c.clip_id == "03-sad" else {})
    report = run(processed)
    assert any("ravdess/03: test and train" in error for error in report.errors), str(report)


def test_more_clips_than_the_owner_published_is_an_error(tmp_path: Path) -> None:
    corpus(tmp_path / "processed", "ravdess", speakers=25)
    report = run(tmp_path / "processed")
    assert any("larger than its owner's" in error for error in report.errors), str(report)


def test_limits_of_params_yaml_are_warnings(processed: Path) -> None:
    path = processed / "ravdess" / "clips.parquet"
    clips = [c for c in read_manifest(path) if c.label != "sad" or c.speaker in ("01", "03")]
    write_manifest(path, [c for c in clips if c.label != "fear" or c.fold != 2])
    report = run(processed, min_speakers=3, max_class_ratio=2)
    told = "\n".join(report.warnings)
    for limit in ("test speakers", "balanced", "what is trained is in val (clips): fear: 0"):
        assert limit in told


def test_few_faces_are_a_warning(processed: Path) -> None:
    rng = np.random.default_rng(2)
    faceless = sample(rng)
    faceless.present[:, 0] = False
    clips = read_manifest(processed / "ravdess" / "clips.parquet")
    for clip in clips[::2]:
        save_sample(processed / clip.sample, faceless)
    half = {c.clip_id for c in clips[::2]}
    rewrite(processed, lambda c: {"face_rate": 0.0, "has_face": False} if c.clip_id in half else {})
    assert any("faces are found" in warning and "0.5" in warning for warning in run(processed).warnings)


def test_clips_that_preparing_left_out_are_told(processed: Path) -> None:
    (processed / "ravdess" / "report.json").write_text(json.dumps({"bad": [{"clip_id": "x", "reason": "empty"}]}))
    assert "every clip could be prepared (left out): ravdess: 1" in run(processed).warnings


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    corpus(tmp_path / "processed", "ravdess", speakers=2)  # of the folds that test and validate
    report = run(tmp_path / "processed")
    assert report.errors == ["two emotions or more are trained: 0"]


def test_a_corpus_that_is_not_prepared_says_how_to_prepare_it(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="dvc repro crop@ravdess"):
        run(tmp_path / "processed")


def test_the_stage_fails_with_a_summary(
    processed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged_sample(processed)
    folder = processed.parent
    (folder / "data").mkdir()
    processed.rename(folder / "data" / "processed")
    text = (ROOT / "params.yaml").read_text().replace("corpora: [demo]", "corpora: [ravdess]")
    (folder / "params.yaml").write_text(text.replace("  corpora: []", "  corpora: [ravdess]"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setattr("sys.argv", ["validate"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("stages.validate", run_name="__main__")
    assert stopped.value.code == 1
    assert "ERROR a sample can be read: ravdess/02-sad: BadZipFile" in capsys.readouterr().out
    assert not json.loads((folder / "reports" / "validation.json").read_text())["success"]
