"""Claims about clips, manifests and splits."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mmer.config import Split
from mmer.data.clips import Clip, read_manifest, write_manifest
from mmer.data.splits import CROSS_CORPUS, assign_splits, speakers_on_two_sides
from mmer.labels import EMOTIONS

COMMON: dict[str, Any] = {"corpus": "demo", "label": "happy", "path": "a.mp4"}


def test_a_manifest_comes_back_and_its_bytes_repeat(tmp_path: Path) -> None:
    votes = (0.5, 0.5, 0, 0, 0, 0, 0)
    clips = [
        Clip(clip_id="b", speaker="2", votes=votes, fold=3, **COMMON),
        Clip(clip_id="a", speaker="1", split="test", voice_path="a.wav", hidden="away", **COMMON),
    ]
    write_manifest(tmp_path / "1.parquet", clips)
    write_manifest(tmp_path / "2.parquet", clips[::-1])
    assert read_manifest(tmp_path / "1.parquet") == clips[::-1]
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_an_empty_manifest_comes_back(tmp_path: Path) -> None:
    write_manifest(tmp_path / "clips.parquet", [])
    assert read_manifest(tmp_path / "clips.parquet") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": "bored"}, "is none of neutral"),
        ({"clip_id": "../x"}, "cannot be a file name"),
        ({"clip_id": ""}, "cannot be a file name"),
        ({"votes": (1.0,)}, "must be 7 shares"),
        ({"votes": (0.9,) + (0.0,) * 6}, "must be 7 shares"),
        ({"label": "", "split": "train"}, "is none of neutral"),
        ({"label": "bored", "split": "unused"}, "is none of neutral"),
        ({"valence": 1.1}, "less than or equal to 1"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_wrong_clip_cannot_be(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Clip(**{"clip_id": "a", "speaker": "1", **COMMON, **change})


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(EMOTIONS)), max_size=60),
    st.permutations(range(1, 7)),
)
def test_no_split_ever_has_a_speaker_on_two_sides(rows: list[tuple[int, str]], folds: list[int]) -> None:
    clips = [
        Clip(clip_id=f"c{i}", speaker=str(s), fold=s % 6 + 1, **(COMMON | {"label": label}))
        for i, (s, label) in enumerate(rows)
    ]
    split = assign_splits(clips, Split(test_fold=folds[0], val_fold=folds[1]))
    assert speakers_on_two_sides(split) == []
    assert all((c.split == "test") == (c.fold == folds[0]) for c in split)
    assert all((c.split == "val") == (c.fold == folds[1]) for c in split)


def test_an_official_split_is_kept_and_a_mixed_speaker_is_found() -> None:
    one = Clip(clip_id="a", speaker="1", fold=1, split="train", **COMMON)
    other = Clip(clip_id="b", speaker="1", fold=1, **COMMON)
    split = assign_splits([one, other], Split(test_fold=1, val_fold=2))
    assert [c.split for c in split] == ["train", "test"]
    assert speakers_on_two_sides(split) == ["demo/1"]


def test_corpora_that_are_tested_whole_leave_the_others_test_speakers_alone() -> None:
    rows: list[dict[str, Any]] = [
        {"corpus": "ravdess", "fold": 1},
        {"corpus": "ravdess", "fold": 2},
        {"corpus": "ravdess", "fold": 3},
        {"corpus": "fer2013", "split": "test"},
        {"corpus": "fer2013", "split": "train"},
        {"corpus": "fer2013", "split": "unused", "unused_because": "a copy"},
        {"corpus": "crema_d", "fold": 2},
        {"corpus": "crema_d", "split": "train"},
        {"corpus": "crema_d", "split": "unused", "unused_because": "a copy"},
    ]
    clips = [Clip(**(COMMON | {"clip_id": f"c{i}", "speaker": str(i)} | row)) for i, row in enumerate(rows)]
    split = assign_splits(clips, Split(test_fold=1, val_fold=2, test_corpora=("crema_d",)))
    sides = ["unused", "val", "train", "unused", "train", "unused", "test", "test", "unused"]
    assert [c.split for c in split] == sides
    assert [c.unused_because for c in split if c.split == "unused"] == [CROSS_CORPUS, CROSS_CORPUS, "a copy", "a copy"]


@pytest.mark.parametrize(
    ("tested", "sides"),
    [
        ((), ["unused", "train", "train", "train"]),
        (("crops",), ["unused", "unused", "test", "train"]),
        (("whole",), ["test", "test", "unused", "test"]),
        (("whole", "crops"), ["unused", "test", "test", "test"]),
    ],
)
def test_a_trial_in_two_corpora_is_one_clip_and_its_person_is_on_one_side(
    tested: tuple[str, ...], sides: list[str]
) -> None:
    rows: list[dict[str, Any]] = [
        {"clip_id": "a", "corpus": "whole", "speaker": "05"},
        {"clip_id": "b", "corpus": "whole", "speaker": "05"},
        {"clip_id": "a", "corpus": "crops", "speaker": "05", "derived_from": "whole"},
        {"clip_id": "c", "corpus": "whole", "speaker": "06"},
    ]
    split = assign_splits([Clip(**(COMMON | {"fold": 3} | row)) for row in rows], Split(test_corpora=tested))
    assert [c.split for c in split] == sides
    assert speakers_on_two_sides(split) == []


def test_a_clip_that_is_not_used_puts_no_speaker_on_two_sides() -> None:
    used = Clip(clip_id="a", speaker="1", split="test", **COMMON)
    assert speakers_on_two_sides([used, Clip(clip_id="b", speaker="1", split="unused", **COMMON)]) == []
    assert speakers_on_two_sides([used, Clip(clip_id="b", speaker="1", split="val", **COMMON)]) == ["demo/1"]


def test_a_manifest_says_what_a_corpus_was_derived_from_only_where_it_was(tmp_path: Path) -> None:
    plain = Clip(clip_id="a", corpus="ravdess", speaker="1", label="sad", path="a.wav")
    crop = plain.model_copy(update={"corpus": "ravdess_crops", "derived_from": "ravdess"})
    write_manifest(tmp_path / "plain.parquet", [plain])
    write_manifest(tmp_path / "both.parquet", [plain, crop])
    assert "derived_from" not in pq.read_schema(tmp_path / "plain.parquet").names
    assert read_manifest(tmp_path / "plain.parquet") == [plain]
    assert read_manifest(tmp_path / "both.parquet") == [plain, crop]


def test_a_manifest_tells_valence_and_arousal_where_a_clip_has_them_zero_too(tmp_path: Path) -> None:
    plain = Clip(clip_id="a", speaker="1", **COMMON)
    calm = Clip(clip_id="b", speaker="2", valence=0.0, **COMMON)
    write_manifest(tmp_path / "plain.parquet", [plain])
    write_manifest(tmp_path / "calm.parquet", [plain, calm])
    assert not {"valence", "arousal"} & set(pq.read_schema(tmp_path / "plain.parquet").names)
    assert {"valence", "arousal"} & set(pq.read_schema(tmp_path / "calm.parquet").names) == {"valence"}
    assert read_manifest(tmp_path / "calm.parquet") == [plain, calm]


def test_a_clip_that_is_not_used_needs_no_label(tmp_path: Path) -> None:
    clip = Clip(**(COMMON | {"clip_id": "a", "speaker": "1", "label": "", "split": "unused"}))
    write_manifest(tmp_path / "clips.parquet", [clip])
    assert read_manifest(tmp_path / "clips.parquet") == [clip]
    assert assign_splits([clip], Split(test_fold=1, val_fold=2)) == [clip]


def test_a_manifest_has_a_column_of_what_people_agreed_on_only_where_they_did(tmp_path: Path) -> None:
    plain = Clip(clip_id="a", corpus="fer2013", speaker="1", label="sad", path="a.jpg", has_face=True)
    agreed = plain.model_copy(update={"clip_id": "b", "consensus": "contempt"})
    write_manifest(tmp_path / "plain.parquet", [plain])
    write_manifest(tmp_path / "both.parquet", [plain, agreed])
    assert "consensus" not in pq.read_schema(tmp_path / "plain.parquet").names
    assert read_manifest(tmp_path / "plain.parquet") == [plain]
    assert read_manifest(tmp_path / "both.parquet") == [plain, agreed]


@pytest.mark.parametrize(
    ("face", "voice", "asked"),
    [(True, True, "votes"), (True, False, "votes_face"), (False, True, "votes_voice"), (False, False, "votes")],
)
def test_a_clip_was_judged_by_those_who_were_given_what_it_holds(face: bool, voice: bool, asked: str) -> None:
    alike = {
        name: tuple(float(k == i) for k in range(7)) for i, name in enumerate(("votes", "votes_face", "votes_voice"))
    }
    held = {"clip_id": "a", "speaker": "1", "has_face": face, "has_voice": voice, **COMMON}
    assert Clip(**held, **alike).judged == alike[asked]
    assert Clip(**held, votes=alike["votes"]).judged == alike["votes"], "of the whole clip, where none judged a part"
    assert Clip(**held).judged is None
