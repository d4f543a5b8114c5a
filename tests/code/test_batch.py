"""Claims about many clips at once: tables, annotations, runs that are cut, processes that die."""

import csv
import json
import multiprocessing
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pandas as pd
import pytest
from pympi import Eaf, TextGrid

from mmer.batch.annotations import tiers, write_annotation
from mmer.batch.journal import Journal, JournalError
from mmer.batch.places import EAF, PICTURE, TEXTGRID, places
from mmer.batch.pool import Item, Job, recognised
from mmer.batch.tables import clip_columns, clip_row, step_columns, step_rows, utterance_columns
from mmer.batch.told import tell
from mmer.cli import main
from mmer.labels import EMOTIONS, MODALITIES
from mmer.runtime.graph import Graph
from mmer.runtime.recognizer import Recognizer
from tests.conftest import ROOT
from tests.graphs import drawn_clips, write_graph, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips, of which one is in a folder and one is a letter."""
    (tmp_path / "clips" / "sub").mkdir(parents=True)
    for name, emotion in (("a.mp4", "happy"), ("sub/b.mp4", "sad")):
        (tmp_path / "clips" / name).write_bytes(drawn_clips()[emotion].read_bytes())
    (tmp_path / "clips" / "letter.mp4").write_text("Dear all, …")
    return tmp_path / "clips"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_tables_pictures_and_annotations_and_what_is_done_is_not_done_again(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.parent / "out"
    command = ["predict", str(folder), "--model", str(model), "--jobs", "1", "--csv", str(out / "clips.csv")]
    more = [f"--{name}={out / name}" for name in ("plot", "eaf", "textgrid")]
    more += [f"--people={out / 'people.csv'}", f"--utterances={out / 'utterances.csv'}"]
    assert main([*command, "--steps", str(out / "steps.parquet"), *more]) == 0
    told = capsys.readouterr()
    assert "3 clips: 2 recognised, 1 not" in told.out
    assert "3/3" in told.err

    happy, letter, sad = rows(out / "clips.csv")
    assert [Path(row["path"]).relative_to(folder).as_posix() for row in (happy, letter, sad)] == [
        "a.mp4",
        "letter.mp4",
        "sub/b.mp4",
    ]
    assert (letter["error"], letter["label"]) == ("not_media", "")
    assert "is no video" in letter["reason"]
    main(["predict", str(folder / "a.mp4"), "--model", str(model), "--json"])
    alone = json.loads(capsys.readouterr().out)
    assert {name: float(happy[f"p_{name}"]) for name in EMOTIONS} == alone["probabilities"]
    assert (happy["label"], float(happy["duration_s"])) == (alone["label"], alone["steps"][-1]["t"])

    steps = pd.read_parquet(out / "steps.parquet")
    assert list(steps.groupby("path", sort=False).size()) == [
        len(alone["steps"]),
        round(float(sad["duration_s"]) / 0.2),
    ]
    first = steps[steps.path == happy["path"]]
    assert list(first.label) == [step["label"] for step in alone["steps"]]
    assert list(first.face) == [step["present"]["face"] for step in alone["steps"]]
    assert first.voice_happy.tolist() == pytest.approx(
        [(step["alone"]["voice"] or {"happy": float("nan")})["happy"] for step in alone["steps"]], nan_ok=True
    )

    seen = [step for step in alone["steps"] if step["people"]]
    people = [row for row in rows(out / "people.csv") if row["path"] == happy["path"]]
    assert [(float(row["t"]), int(row["person"])) for row in people] == [(s["t"], s["followed"]) for s in seen]
    assert [row["label"] for row in people] == [step["people"][0]["label"] for step in seen]
    assert (happy["people"], set(first.person.dropna())) == ("1", {1})

    said = [row for row in rows(out / "utterances.csv") if row["path"] == happy["path"]]
    assert [(float(row["start"]), float(row["end"]), row["label"], float(row["confidence"])) for row in said] == [
        (one["start"], one["end"], one["label"], one["confidence"]) for one in alone["utterances"]
    ]
    assert said

    for name in ("a", "sub/b"):
        assert (out / "plot" / f"{name}.png").stat().st_size > 10_000
        assert set(Eaf(out / "eaf" / f"{name}.eaf").get_tier_names()) >= {"emotion", "face", "voice"}
        assert TextGrid(out / "textgrid" / f"{name}.TextGrid").get_tier("emotion").intervals
    assert not list(out.rglob("letter*")) + list(out.rglob("*.part*"))

    # The same again, but for another file and another model; what was written of the others stays as it is.
    (folder / "a.mp4").write_bytes(drawn_clips()["fear"].read_bytes())
    work = out / "textgrid" / "sub" / "b.TextGrid"
    work.write_text("an afternoon's work")
    (out / "plot" / "sub" / "b.png").unlink()
    assert main([*command, *more]) == 0
    assert "3 clips: 2 recognised, 1 not" in capsys.readouterr().out
    assert (out / "plot" / "sub" / "b.png").exists()
    assert rows(out / "clips.csv")[0]["p_happy"] != happy["p_happy"]
    assert rows(out / "clips.csv")[2] == sad
    assert work.read_text() == "an afternoon's work"
    assert main([*command, *more]) == 0
    assert "3 clips: 2 recognised (2 of them before), 1 not" in capsys.readouterr().out
    write_graph(model, version="9.9.9")
    assert main(command) == 0
    assert "3 clips: 2 recognised, 1 not" in capsys.readouterr().out
    write_graph(model)


def kept(journal: Path) -> int:
    """How many clips are surely in a journal that another process has: the last of them may still be written, and is
    taken back where its writer dies.
    """
    try:
        with closing(sqlite3.connect(f"{journal.as_uri()}?immutable=1", uri=True)) as file:
            return int(file.execute("SELECT count(*) FROM told").fetchone()[0]) - 1
    except sqlite3.Error:
        return 0


def lives(pid: str) -> bool:
    """Whether there is such a process; one that is dead and waits for its parent is none."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_a_run_that_was_killed_goes_on_and_leaves_no_process(model: Path, tmp_path: Path) -> None:
    for k in range(8):
        (tmp_path / f"{k}.mp4").write_bytes(drawn_clips()["happy"].read_bytes())
    table = tmp_path / "out.csv"
    command = [sys.executable, "-m", "mmer.cli", "predict", str(tmp_path), "--model", str(model), "--csv", str(table)]
    running = subprocess.Popen([*command, "--jobs", "1"], stderr=subprocess.DEVNULL)
    while running.poll() is None and kept(tmp_path / "out.csv.journal") < 1:
        time.sleep(0.02)
    workers = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert workers
    for _ in range(1200):  # a bound, not a claim: a busy machine is no failure
        if not any(map(lives, workers)):
            break
        time.sleep(0.05)
    else:
        pytest.fail("its processes live on")
    assert not table.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before = int(done.stdout.partition("(")[2].split()[0])
    assert 0 < before < 8
    assert [row["label"] for row in rows(table)] == [rows(table)[0]["label"]] * 8


@pytest.mark.slow
def test_a_process_that_dies_takes_no_clip_with_it(model: Path) -> None:
    items = [Item(path) for path in drawn_clips().values()]
    others, told = set(multiprocessing.active_children()), []
    for item, said in recognised(items, Job(model), 2):
        if not told:
            next(iter(set(multiprocessing.active_children()) - others)).kill()
        told.append((item, "error" in said))
    assert sorted(told, key=str) == sorted(((item, False) for item in items), key=str)


def test_a_clip_of_which_each_process_dies_is_a_row(model: Path) -> None:
    others, over = set(multiprocessing.active_children()), Event()

    def kill() -> None:
        while not over.wait(0.02):
            for process in set(multiprocessing.active_children()) - others:
                process.kill()

    killer = Thread(target=kill)
    killer.start()
    try:
        ((_, said),) = recognised([Item(drawn_clips()["happy"])], Job(model), 2)
    finally:
        over.set()
        killer.join()
    assert said["error"]["code"] == "died"


def test_a_journal_is_of_one_run_at_a_time_and_of_this_program(tmp_path: Path) -> None:
    clip = drawn_clips()["happy"]
    with Journal(tmp_path / "a", "model") as journal:
        stamp = journal.stamp(clip)
        journal.put(clip, stamp, {"label": "happy"})
        assert journal.done(clip, stamp)
        with pytest.raises(JournalError, match="another"):
            Journal(tmp_path / "a", "model")
    with Journal(tmp_path / "a", "another model") as journal:
        assert not journal.done(clip, journal.stamp(clip))
    with Journal(tmp_path / "a", "model") as journal:
        assert journal.done(clip, journal.stamp(clip))
        journal.put(clip, stamp, {"error": {}})
        assert not journal.done(clip, stamp), "what failed is tried again"
    (tmp_path / "letter").write_text("Dear all, …" * 1000)
    with pytest.raises(JournalError, match="remove it"):
        Journal(tmp_path / "letter", "model")


@pytest.fixture
def said() -> Iterator[dict]:
    """Steps of 0.2 s: a face that changes its mind, a voice in between, nothing at the end."""
    happy, sad = ({name: float(name == one) for name in EMOTIONS} for one in ("happy", "sad"))
    steps = [
        {"shown": shown, "alone": {"face": face, "voice": voice}}
        for shown, face, voice in (
            ("happy", happy, None),
            ("happy", sad, sad),
            ("sad", sad, sad),
            (None, None, None),
            ("happy", happy, None),
        )
    ]
    spoken = [{"start": 0.25, "end": 0.575, "label": "sad"}, {"start": 0.8, "end": 1.0, "label": None}]
    return {"step_s": 0.2, "steps": steps, "utterances": spoken}


def test_tiers_are_runs_of_one_label_in_the_files_own_time(said: dict) -> None:
    assert tiers(said) == {
        "emotion": [(0, 400, "happy"), (400, 600, "sad"), (800, 1000, "happy")],
        "face": [(0, 200, "happy"), (200, 600, "sad"), (800, 1000, "happy")],
        "voice": [(200, 600, "sad")],
        "utterance": [(250, 575, "sad")],
    }
    assert tiers(said, start_s=60)["voice"] == [(60_200, 60_600, "sad")]


def test_annotations_read_back_as_they_were_written(said: dict, tmp_path: Path) -> None:
    media = tmp_path / "clips" / "Grüße 1.mp4"
    for name in ("a.eaf", "a.TextGrid"):
        write_annotation(said, media, tmp_path / name, start_s=60)
    eaf = Eaf(tmp_path / "a.eaf")
    assert eaf.get_annotation_data_for_tier("voice") == [(60_200, 60_600, "sad")]
    (linked,) = eaf.get_linked_files()
    assert linked["RELATIVE_MEDIA_URL"] == "clips/Grüße 1.mp4"
    assert linked["MEDIA_URL"] == media.as_uri()
    assert list(eaf.get_cv_entries("emotions")) == list(EMOTIONS)
    grid = TextGrid(tmp_path / "a.TextGrid")
    assert (grid.xmin, grid.xmax) == (0, 61)
    assert grid.get_tier("voice").intervals == [(0, 60.2, ""), (60.2, 60.6, "sad"), (60.6, 61, "")]
    write_annotation(said, media, tmp_path / "a.eaf")
    assert Eaf(tmp_path / "a.eaf.bak").get_annotation_data_for_tier("voice") == [(60_200, 60_600, "sad")]


def test_files_are_named_after_clips_and_never_two_alike(tmp_path: Path) -> None:
    clips = [tmp_path / name for name in ("a/1.mp4", "a/1.wav", "a/b/1.mp4", "c/1.v2.mp4")]
    for clip in clips:
        clip.parent.mkdir(parents=True, exist_ok=True)
    named = [tmp_path / "a", tmp_path / "x" / ".." / "c" / "1.v2.mp4"]
    found = [files[EAF].as_posix() for files in places(clips, named, {EAF: Path("out")})]
    assert found == ["out/a/1.mp4.eaf", "out/a/1.wav.eaf", "out/a/b/1.eaf", "out/c/1.v2.eaf"]
    (one,) = places(clips[:1], clips[:1], {PICTURE: Path("x.svg"), TEXTGRID: Path("y")})
    assert one == {PICTURE: Path("x.svg"), TEXTGRID: Path("y/1.TextGrid")}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--csv", "a.xls"], "a table's name ends in .csv or .parquet"),
        (["--csv", "a.csv", "--steps", "a.csv"], "each table needs its own"),
        (["--csv", "a.csv", "--plot", "a.png"], "name a folder"),
        (["--csv", "a.csv", "--json"], "one or the other"),
        (["--steps", "a.csv"], "go with --csv"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(
    options: list[str],
    told: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(drawn_clips()["sad"]), "--model", str(model), *options]) == 1
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_pictures_do_not_go_among_the_clips(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder / "clips.csv"
    assert (
        main(["predict", str(folder), "--model", str(model), "--csv", str(table), "--plot", str(folder / "new")]) == 1
    )
    assert "lies among clips" in capsys.readouterr().err


def test_valence_and_arousal_have_columns_where_the_model_says_them(model: Path) -> None:
    prediction = Recognizer.load(model).predict(drawn_clips()["happy"])
    assert "valence" not in {**clip_columns(prediction.model), **step_columns(prediction.model)}
    two = prediction.model.model_copy(update={"affect": ("face",)})
    felt = [replace(step, affect={"valence": 0.25, "arousal": -0.5}) for step in prediction.steps]
    told = tell(replace(prediction, model=two, steps=felt))
    for row, columns in (
        (clip_row(Path("a.mp4"), told, "m"), clip_columns(two)),
        (next(step_rows(Path("a.mp4"), told)), step_columns(two)),
    ):
        assert (row["valence"], row["arousal"]) == (0.25, -0.5)
        assert set(row) <= set(columns)


def test_each_column_is_documented(model: Path) -> None:
    page = (ROOT / "docs" / "research.md").read_text()
    families = {f"p_{name}" for name in EMOTIONS} | {f"{name}_{e}" for name in MODALITIES for e in EMOTIONS}
    info = Graph(model / "mmer.onnx").info.model_copy(update={"affect": MODALITIES})
    columns = {**clip_columns(info), **step_columns(info), **utterance_columns(info)}
    assert [name for name in columns if f"`{name}`" not in page and name not in families] == []
