"""One's own clips: a table or folders become clips; a mistake is told by its line and its cause, before any work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mmer.config import Split
from mmer.data.corpora import folder, image_folder
from mmer.data.corpora.folder import TableError
from mmer.data.corpora.image_folder import ImageFolderError
from mmer.data.splits import assign_splits, speakers_on_two_sides
from tests.conftest import ROOT

FILES = ("a.mp4", "b.wav", "c.png", "deep/d e.mov")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "raw"


def write(raw: Path, text: str) -> Path:
    (raw / "clips.csv").write_text(text)
    return raw


def test_rows_become_clips(raw: Path) -> None:
    table = "path,label,speaker,sex,start,end\na.mp4,Anger,Anna,f,,\nb.wav,joy,Ben,male,0.5,2\nc.png,sad,Cleo,,,\n"
    video, voice, picture = folder.list_clips(write(raw, table + "\n"))
    assert (video.clip_id, video.label, video.speaker, video.sex) == ("a.mp4", "angry", "Anna", "female")
    assert (voice.label, voice.start_s, voice.end_s, voice.sex) == ("happy", 0.5, 2.0, "male")
    assert [(c.has_face, c.has_scene, c.has_voice) for c in (video, voice, picture)] == [
        (True, True, True), (False, False, True), (True, True, False),
    ]  # fmt: skip
    assert picture.sex == "unknown"


def test_parts_of_one_file_are_clips_of_their_own(raw: Path) -> None:
    table = "path,label,speaker,start,end\na.mp4,sad,Anna,0,1.5\na.mp4,happy,Anna,1.5,\n"
    clips = folder.list_clips(write(raw, table))
    assert [c.clip_id for c in clips] == ["a.mp4_0_1.5", "a.mp4_1.5_None"]
    assert [(c.start_s, c.end_s) for c in clips] == [(0, 1.5), (1.5, None)]


def test_speakers_are_dealt_to_folds_and_stay_on_one_side(raw: Path) -> None:
    lines = [f"a.mp4,{label},p{n:02d},{n},{n + 1}" for n in range(12) for label in ("happy",)]
    lines += [f"b.wav,sad,p{n:02d},{n},{n + 1}" for n in range(12)]
    clips = folder.list_clips(write(raw, "path,label,speaker,start,end\n" + "\n".join(lines)))
    assert Counter(c.fold for c in clips) == {1: 6, 2: 6, 3: 4, 4: 4, 5: 4}
    split = assign_splits(clips, Split())
    assert speakers_on_two_sides(split) == []
    assert {c.split for c in split} == {"train", "val", "test"}


def test_splits_and_folds_that_are_given_are_kept(raw: Path) -> None:
    table = "path,label,speaker,split,fold\na.mp4,sad,Anna,test,\nb.wav,sad,Ben,Dev,\nc.png,sad,Cleo,,3\n"
    clips = folder.list_clips(write(raw, table + "deep/d e.mov,sad,Dan,,\n"))
    assert [(c.split, c.fold) for c in clips] == [("test", None), ("val", None), (None, 3), (None, 1)]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("gone.mp4,sad,Anna,,,,,", "line 3: gone.mp4 is not there"),
        ("../x.mp4,sad,Anna,,,,,", "line 3: path '../x.mp4' must be a file in this folder"),
        ("/etc/passwd,sad,Anna,,,,,", "line 3: path '/etc/passwd' must be a file in this folder"),
        ("deep,sad,Anna,,,,,", "line 3: deep is not there"),
        (",sad,Anna,,,,,", "line 3: path '' must be"),
        ("b.wav,hapy,Anna,,,,,", "line 3: 'hapy' is none of the seven emotions; did you mean 'happy'?"),
        ("b.wav,,Anna,,,,,", "line 3: '' is none of the seven emotions; known are neutral"),
        ("b.wav,sad,,,,,,", "line 3: speaker is empty"),
        ("b.wav,sad,Anna,,1;5,,,", "line 3: start '1;5' is no number of seconds"),
        ("b.wav,sad,Anna,,-1,,,", "line 3: start '-1' is no number"),
        ("b.wav,sad,Anna,,,inf,,", "line 3: end 'inf' is no number"),
        ("b.wav,sad,Anna,,,nan,,", "line 3: end 'nan' is no number"),
        ("b.wav,sad,Anna,,3,2.5,,", "line 3: end (2.5 s) is not after start (3 s)"),
        ("b.wav,sad,Anna,,2,2,,", "line 3: end (2 s) is not after start (2 s)"),
        ("b.wav,sad,Anna,,,0,,", "line 3: end (0 s) is not after start (0 s)"),
        ("b.wav,sad,Anna,woman,,,,", "line 3: sex 'woman' is none of unknown, female"),
        ("b.wav,sad,Anna,,,,tests,", "line 3: split 'tests' is none of train"),
        ("b.wav,sad,Anna,,,,,0", "line 3: fold '0' is no whole number"),
        ("b.wav,sad,Anna,,,,,1.5", "line 3: fold '1.5' is no whole number"),
        ("a.mp4,happy,Zoe,,,,,", "line 3: the same clip as in line 2"),
        ("b.wav,sad,Zoe,,,,train,", "line 3: Zoe has another split, fold or sex in line 2"),
        ("b.wav,sad,zoe,,,,,", "line 3: is 'zoe' somebody else than 'Zoe'?"),
        ("b.wav,sad,Anna,,,,,,more", "line 3: more cells than columns"),
    ],
)
def test_a_mistake_in_a_row_is_told_with_its_line(raw: Path, row: str, told: str) -> None:
    write(raw, f"path,label,speaker,sex,start,end,split,fold\na.mp4,sad,Zoe,,,,,\n{row}\n")
    with pytest.raises(TableError) as error:
        folder.list_clips(raw)
    assert told in str(error.value)
    assert "clips.csv" in str(error.value)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("path,label\na.mp4,sad\n", "column 'speaker' is missing"),
        ("path;label;speaker\na.mp4;sad;Anna\n", "parted by commas, not semicolons"),
        ("path,label,speaker,spilt\na.mp4,sad,Anna,test\n", "column 'spilt' means nothing here"),
        ("", "column 'path' is missing"),
        ('path,label,speaker\n"a.mp4,sad,Anna\n', "is no table"),
    ],
)
def test_a_table_that_cannot_be_read_is_told(raw: Path, table: str, told: str) -> None:
    with pytest.raises(TableError, match=re.escape(told)):
        folder.list_clips(write(raw, table))


def test_a_table_in_another_encoding_is_told(raw: Path) -> None:
    (raw / "clips.csv").write_bytes("path,label,speaker\na.mp4,sad,Zoë\n".encode("latin-1"))
    with pytest.raises(TableError, match="UTF-8"):
        folder.list_clips(raw)


def test_all_mistakes_are_told_at_once_up_to_ten(raw: Path) -> None:
    rows = "".join(f"gone{n}.mp4,sad,Anna\n" for n in range(14))
    with pytest.raises(TableError) as error:
        folder.list_clips(write(raw, "path,label,speaker\n" + rows))
    assert "gone9.mp4" in str(error.value)
    assert "gone10.mp4" not in str(error.value)
    assert "and 4 more" in str(error.value)


def test_files_without_a_table_are_told(raw: Path) -> None:
    with pytest.raises(TableError, match=r"clips\.csv is missing"):
        folder.list_clips(raw)


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_folders_of_pictures_become_clips(tmp_path: Path) -> None:
    put(tmp_path, "Anger/1.jpg", "anna/happiness/1.PNG", "happy/rome 2020/1.jpeg", "happy/.hidden.jpg", "notes.txt")
    clips = image_folder.list_clips(tmp_path)
    assert {c.path: c.label for c in clips} == {
        "Anger/1.jpg": "angry", "anna/happiness/1.PNG": "happy", "happy/rome 2020/1.jpeg": "happy",
    }  # fmt: skip
    assert {c.fold for c in clips} == {1, 2, 3}
    assert all(c.has_face and not c.has_scene and not c.has_voice and not c.knows_speaker for c in clips)


def test_top_folders_are_the_split_and_validation_is_held_out_where_none_is(tmp_path: Path) -> None:
    put(tmp_path, *(f"train/sad/{n:02d}.jpg" for n in range(20)), "test/sad/1.jpg")
    assert Counter(c.split for c in image_folder.list_clips(tmp_path)) == {"train": 18, "val": 2, "test": 1}
    put(tmp_path, "Validation/sad/1.jpg")
    assert Counter(c.split for c in image_folder.list_clips(tmp_path)) == {"train": 20, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("hapy/1.jpg",), "did you mean 'happy'"),
        (("contempt/1.jpg", "sad/1.jpg"), "contempt"),
        (("1.jpg",), "Pictures must lie in folders named after emotions"),
        (("train/sad/1.jpg", "sad/2.jpg"), "sad lies beside train, val or test"),
    ],
)
def test_pictures_that_no_folder_explains_are_told(tmp_path: Path, names: tuple[str, ...], told: str) -> None:
    with pytest.raises(ImageFolderError, match=re.escape(told)):
        image_folder.list_clips(put(tmp_path, *names))


def run_script(page: str, number: int, folder: Path) -> None:
    """Run a block of Python of a page of docs, as it is written."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    subprocess.run([sys.executable, "-c", blocks[number]], cwd=folder, check=True, env=os.environ)


def test_the_worked_example_of_the_docs_makes_a_table_that_reads(tmp_path: Path) -> None:
    raw = tmp_path / "data/raw/folder"
    put(raw, *(f"clips/s{n:02d}-{label}-{k}.mp4" for n in range(1, 10) for label in ("happy", "sad") for k in (1, 2)))
    run_script("own-clips.md", 0, tmp_path)
    clips = folder.list_clips(raw)
    assert len(clips) == 36
    assert len({c.speaker for c in clips}) == 9
    assert {c.split for c in assign_splits(clips, Split())} == {"train", "val", "test"}
