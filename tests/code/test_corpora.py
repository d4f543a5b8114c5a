"""Readers turn an owner's files into clips: each trial once, labelled, with its speaker and that speaker's fold."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from pathlib import Path
from statistics import fmean

import pytest

from mmer.data import corpora
from mmer.data.corpora import completeness, crema_d, ravdess
from mmer.data.splits import speaker_folds
from mmer.labels import EMOTIONS
from tests.conftest import ROOT

VOTES = """"","A","D","F","H","N","S","fileName"
"100001",9,0,0,0,0,0,"1001_IEO_HAP_HI"
"200001",0,9,0,0,0,0,"1001_IEO_HAP_HI"
"300001",1,0,0,6,3,0,"1001_IEO_HAP_HI"
"""
PEOPLE = '"ActorID","Age","Sex"\n1001,51,"Male"\n1002,21,"Female"\n'


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_the_readers_are_listed_and_a_wrong_name_gets_the_nearest() -> None:
    assert {"ravdess", "crema_d", "demo"} <= set(corpora.names())
    assert "fetch" not in corpora.names()
    with pytest.raises(KeyError, match="Did you mean 'ravdess'"):
        corpora.get("ravdes")


@pytest.mark.parametrize(
    ("files", "path", "voice_path", "picture", "voice"),
    [
        (("01", "02", "03"), "01", None, True, True),
        (("02", "03"), "02", "03", True, True),
        (("01", "03"), "01", None, True, True),
        (("02",), "02", None, True, False),
        (("03",), "03", None, False, True),
    ],
)
def test_the_files_of_a_ravdess_trial_are_one_clip(
    tmp_path: Path, files: tuple[str, ...], path: str, voice_path: str | None, picture: bool, voice: bool
) -> None:
    def name(modality: str) -> str:
        return f"Actor_02/{modality}-01-06-02-01-02-02.{'wav' if modality == '03' else 'mp4'}"

    (clip,) = ravdess.list_clips(touch(tmp_path, *map(name, files)))
    assert clip.clip_id == "01-06-02-01-02-02"
    assert (clip.path, clip.voice_path) == (name(path), name(voice_path) if voice_path else None)
    assert (clip.has_face, clip.has_scene, clip.has_voice) == (picture, picture, voice)
    assert (clip.speaker, clip.sex, clip.label, clip.intensity, clip.fold) == ("02", "female", "fear", "high", 1)


def test_ravdess_leaves_out_songs_and_other_files_and_takes_flac(tmp_path: Path) -> None:
    touch(tmp_path, "Actor_01/03-02-03-01-01-01-01.wav", "Actor_01/._03-01-03-01-01-01-01.wav", "notes.txt")
    touch(tmp_path, "Actor_01/03-01-02-01-01-01-01.flac", "Actor_01/03-01-03-01-01-01-25.wav", "x.wav.part")
    (clip,) = ravdess.list_clips(tmp_path)
    assert (clip.label, clip.sex, clip.intensity) == ("neutral", "male", "normal")


def test_crema_d_reads_the_votes_of_those_who_saw_and_heard_only_saw_and_only_heard(tmp_path: Path) -> None:
    touch(tmp_path, "VideoFlash/1001_IEO_HAP_HI.flv", "AudioWAV/1001_IEO_HAP_HI.wav", "AudioMP3/1002_DFA_ANG_XX.mp3")
    touch(tmp_path, crema_d.VOTES, "VideoFlash/readme.flv")
    (tmp_path / crema_d.VOTES).write_text(VOTES)
    (tmp_path / crema_d.PEOPLE).write_text(PEOPLE)
    seen, heard = crema_d.list_clips(tmp_path)
    assert seen.path == "VideoFlash/1001_IEO_HAP_HI.flv"
    assert seen.votes is not None
    assert dict(zip(EMOTIONS, seen.votes, strict=True)) == {
        "neutral": 0.3, "happy": 0.6, "sad": 0, "angry": 0.1, "fear": 0, "disgust": 0, "surprise": 0,
    }  # fmt: skip
    assert seen.votes_face is not None
    assert seen.votes_face[EMOTIONS.index("disgust")] == 1
    assert seen.votes_voice is not None
    assert seen.votes_voice[EMOTIONS.index("angry")] == 1
    assert (seen.sex, seen.intensity, seen.label, seen.has_face) == ("male", "high", "happy", True)
    assert (heard.sex, heard.intensity, heard.label, heard.has_face) == ("female", "unknown", "angry", False)
    assert heard.votes is heard.votes_face is heard.votes_voice is None


def test_crema_d_reads_the_one_name_that_is_cut_short(tmp_path: Path) -> None:
    (clip,) = crema_d.list_clips(touch(tmp_path, "AudioWAV/1040_ITH_SAD_X.wav"))
    assert (clip.clip_id, clip.intensity, clip.path) == ("1040_ITH_SAD_XX", "unknown", "AudioWAV/1040_ITH_SAD_X.wav")


def test_crema_d_states_size_and_sha256_of_all_its_videos() -> None:
    votes, people, *videos = crema_d.sources(None)
    assert (votes.path, people.path) == (crema_d.VOTES, crema_d.PEOPLE)
    assert len({video.path for video in videos}) == 7442
    assert len({crema_d.NAME.fullmatch(Path(video.path).stem)[2] for video in videos}) == 91
    assert all(video.sha256 and len(video.sha256) == 64 and video.size and video.url for video in videos)
    (one,) = (video for video in videos if video.path == "VideoFlash/1001_DFA_ANG_XX.flv")
    assert one.url.endswith(one.path)
    # word for word what the repository's Git LFS pointer of that file says
    assert (one.sha256, one.size) == ("10dc3fd1f2bc8203657431598bd7dc9312462008f93d08fda786043ae6a8d2f4", 265922)


def test_people_agree_with_the_actors_of_crema_d_as_documented(mirror: Path) -> None:
    votes = crema_d._votes(mirror / "crema_d" / crema_d.VOTES)
    table = (ROOT / "docs" / "measurements" / "corpora.md").read_text()
    for given, kind in (("the voice only", crema_d.HEARD), ("the face only", crema_d.SEEN), ("both", crema_d.BOTH)):
        right: dict[str, list[float]] = {}
        for name, shares in votes[kind].items():
            meant = crema_d.EMOTION_CODES[name.split("_")[2]]
            right.setdefault(meant, []).append(shares[EMOTIONS.index(meant)])
        clips, each = fmean(chain(*right.values())), fmean(map(fmean, right.values()))
        assert sum(map(len, right.values())) == 7442
        assert re.search(rf"\| {given} \| [\d,]+ \| {clips:.1%} \| {each:.1%} \|", table), (given, clips, each)


def test_every_speaker_has_one_fold() -> None:
    assert Counter(speaker_folds("ravdess").values()) == dict.fromkeys(range(1, 7), 4)
    assert sum(Counter(speaker_folds("crema_d").values()).values()) == 91
    assert speaker_folds("demo") == {}


def test_ravdess_as_published(mirror: Path) -> None:
    clips = ravdess.list_clips(mirror / "ravdess")
    assert len(clips) == len({c.clip_id for c in clips}) == 1440
    assert len({c.speaker for c in clips}) == 24
    assert Counter(c.sex for c in clips) == {"male": 720, "female": 720}
    assert Counter(c.label for c in clips) == {e: 288 if e == "neutral" else 192 for e in EMOTIONS}
    assert sum(c.has_face for c in clips) == 3
    assert all((mirror / "ravdess" / c.path).is_file() and c.fold for c in clips)
    told = completeness(ravdess.CORPUS, clips, 3)
    assert told == "1,440 of 1,440 clips, 24 of 24 speakers, pictures in 3 of 1,440"


def test_the_voices_of_ravdess_have_the_checksum_of_their_record_and_the_videos_none() -> None:
    voices, *videos = ravdess.sources(None)
    assert (voices.md5, voices.size) == ("bc696df654c87fed845eb13823edef8a", 208_468_073)
    assert len(videos) == 24
    assert {(video.md5, video.size) for video in videos} == {(None, None)}


def test_crema_d_as_published(mirror: Path) -> None:
    clips = crema_d.list_clips(mirror / "crema_d")
    assert [c.clip_id for c in clips] == ["1001_DFA_ANG_XX", "1001_DFA_HAP_XX", "1001_DFA_NEU_XX"]
    assert all(c.votes is not None and c.has_face and c.sex == "male" and c.fold == 1 for c in clips)
    assert clips[0].votes is not None
    assert clips[0].votes[EMOTIONS.index("angry")] == pytest.approx(8 / 9)
    assert all(c.votes_face is not None and c.votes_voice is not None for c in clips)
    assert len(crema_d.sources(mirror / "crema_d")) == 2 + 7442
