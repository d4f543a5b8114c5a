"""Every reader, on copies of its owner's layout: who is who, what is what, and nobody on two sides.

Those of which a real copy is at hand are also read as they are published (docs/corpora.md says of each what was run).
"""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from mmer.config import ConfigError, Split
from mmer.data import corpora
from mmer.data.clips import Clip
from mmer.data.corpora import (
    ased,
    banglaser,
    clip_ids,
    completeness,
    emodb,
    emovo,
    fer2013,
    javanese,
    meld,
    nemo,
    ravdess,
    tess,
)
from mmer.data.fetch.corpus import FetchError, fetch
from mmer.data.splits import assign_splits, deal_folds, speakers_on_two_sides
from mmer.labels import EMOTIONS, LabelError, emotion_of
from mmer.params import load_params
from tests.conftest import ROOT

MELD_HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"


def fill(root: Path, files: Iterable[str]) -> Path:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())  # no two files alike
    return root


def emodb_layout(root: Path) -> Path:
    """Each speaker in each emotion, boredom too, one in two versions; and files that are not speech."""
    fill(root, (f"wav/{who}a01{code}.wav" for who in emodb.SEXES for code in "NFTWAEL"))
    return fill(root, ("wav/03b10Wc.wav", "lablaut/03a01Fa.lablaut", "wav/99a01N.wav", "erkennung.txt"))


def tess_layout(root: Path) -> Path:
    codes = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    fill(root, (f"TESS/{who}_{code}/{who}_back_{code}.wav" for who in ("OAF", "YAF") for code in codes))
    return fill(root, ("TESS/OAF_neutral/OA_bite_neutral.wav", "TESS/TESS/OAF_angry/OAF_back_angry.wav"))


def savee_layout(root: Path) -> Path:
    speakers, codes = ("DC", "JE", "JK", "KL"), ("a", "d", "f", "h", "n", "sa", "su")
    fill(root, (f"AudioData/{who}/{code}{n:02d}.wav" for who in speakers for code in codes for n in (1, 2)))
    return fill(root, ("AudioVisualClip/DC/sa1.avi", "AudioData/Info.txt", "ALL/KL_su03.wav"))


def enterface_layout(root: Path) -> Path:
    emotions = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    top = "enterface database"
    fill(
        root,
        (f"{top}/subject {n}/{e}/sentence {k}/s{n}_{e[:2]}_{k}.avi" for n in (1, 23) for e in emotions for k in (1, 2)),
    )
    fill(root, (f"{top}/subject 6/{e}/s6_{e[:2]}_1.avi" for e in emotions))  # no folders for the sentences
    fill(root, (f"{top}/Subject 2/Anger/sentence 1/s_3_an_1.avi", f"{top}/subject 4/s4_fe_1.avi"))
    return fill(root, (f"{top}/subject 1/anger/sentence 1/Thumbs.db",))


def meld_layout(root: Path) -> Path:
    def row(speaker: str, emotion: str, dialogue: int, utterance: int) -> str:
        return f'1,"So, well",{speaker},{emotion},neutral,{dialogue},{utterance},3,19,"00:14:38,127","00:14:40,378"\n'

    people = ("Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross", "The Waiter")
    emotions = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    for part, (table, folder) in meld.TABLES.items():
        lines = [row(who, e, 0, n) for n, (who, e) in enumerate(zip(people, emotions, strict=True))]
        lines += [row("A waiter", "joy", 1, 0), row("Ross and Joey", "joy", 1, 1), row("All", "joy", 1, 2)]
        lines += [row("Ross", "joy", 2, 0)]  # its video is not there
        (root / part).mkdir(parents=True, exist_ok=True)
        (root / part / table).write_text(MELD_HEAD + "".join(lines))
        videos = [f"dia0_utt{n}" for n in range(7)] + ["dia1_utt0", "dia1_utt1", "dia1_utt2"]
        fill(root, (f"{part}/{folder}/{name}.mp4" for name in videos))
    return fill(root, ("test/output_repeated_splits_test/._dia0_utt0.mp4",))


def caer_s_layout(root: Path) -> Path:
    classes = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
    fill(root, (f"CAER-S/train/{e}/{n:04d}.png" for e in classes for n in range(1, 21)))
    return fill(root, (f"CAER-S/test/{e}/{n:04d}.png" for e in classes for n in range(1, 4)))


def fer2013_layout(root: Path) -> Path:
    fill(root, (f"train/{e}/Training_{n}.jpg" for n, e in enumerate(EMOTIONS)))
    fill(root, (f"test/{e}/{part}_{n}.jpg" for n, e in enumerate(EMOTIONS) for part in ("PublicTest", "PrivateTest")))
    return fill(root, ("train/happy/readme.jpg",))


def javanese_layout(root: Path) -> Path:
    """Repetitions 01 and 02 of each speaker in each emotion: 01 as a video and as its sound; and other files."""
    trials = [f"{who}-01-{code}" for who in javanese.SEXES for code in javanese.EMOTION_CODES]
    fill(root, (f"video/{trial}_01.mp4" for trial in trials))
    fill(root, (f"sound/dataset/{trial}_{take}.wav" for trial in trials for take in ("01", "02")))
    others = ("sound/dataset/01-02-03-04.wav", "sound/dataset/01-02-03_05.opus", "sound/How-To-Read-The-Dataset.txt")
    return fill(root, (*others, "video/code/output/01-01-02_01_output.mp4", "sound/dataset/11-01-01_01.wav"))


def banglaser_layout(root: Path) -> Path:
    codes = banglaser.EMOTION_CODES
    fill(root, (f"Actor {who}/03-01-{code}-01-02-03-{who}.wav" for who in banglaser.SEXES for code in codes))
    return fill(root, ("Actor 15/01-01-04-02-03-01-15.wav", "Actor 35/03-01-01-01-01-01-35.wav"))


def nemo_layout(root: Path) -> Path:
    words = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
    fill(root, (f"nEMO-1/samples/{who}_{word}_{n}.wav" for who in nemo.SEXES for word in words for n in (1, 90)))
    return fill(root, ("nEMO-1/data.tsv", "nEMO-1/README.md", "nEMO-1/samples/XX0_anger_1.wav"))


def ased_layout(root: Path) -> Path:
    folders = ("01Neutral/n1", "02Fearful/f2", "03Happy/h3", "04Sad/s4", "05Angry/a5")
    sexes = {who: "01" if sex == "female" else "02" for who, sex in ased.SEXES.items()}
    fill(root, (f"{folder}-01-02-{code}-{who}.wav" for folder in folders for who, code in sexes.items()))
    return fill(root, ("04Sad/S4-04-02-01-29.wav", "04Sad/s4-04-01-02-09.wav", "05Angry/a5-01-01-02-66.wav"))


def emovo_layout(root: Path) -> Path:
    return fill(root, (f"{who}/{code}-{who}-b1.wav" for who in emovo.SEXES for code in emovo.EMOTION_CODES))


def ravdess_crops_layout(root: Path) -> Path:
    return fill(root, (f"Actor_05/01-01-0{code}-01-01-0{take}-05.mp4" for code in range(1, 9) for take in (1, 2)))


LAYOUTS = {
    "emodb": emodb_layout,
    "tess": tess_layout,
    "savee": savee_layout,
    "enterface": enterface_layout,
    "meld": meld_layout,
    "caer_s": caer_s_layout,
    "fer2013": fer2013_layout,
    "javanese": javanese_layout,
    "banglaser": banglaser_layout,
    "nemo": nemo_layout,
    "ased": ased_layout,
    "emovo": emovo_layout,
    "ravdess_crops": ravdess_crops_layout,
}
LACKS = {
    "emodb": {"surprise"},
    "enterface": {"neutral"},
    "javanese": {"disgust"},
    "banglaser": {"fear", "disgust"},
    "nemo": {"disgust"},
    "ased": {"disgust", "surprise"},
}
#: Of one speaker, or two.
TOO_FEW = {"tess", "ravdess_crops"}


def read(name: str, root: Path) -> list[Clip]:
    return corpora.get(name).list_clips(LAYOUTS[name](root))


@pytest.mark.parametrize("name", corpora.names())
def test_an_empty_folder_and_none_hold_no_clips(name: str, tmp_path: Path) -> None:
    assert corpora.get(name).list_clips(tmp_path) == []
    assert corpora.get(name).list_clips(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_clips_have_ids_of_their_own_files_that_exist_and_the_emotions_of_the_corpus(name: str, tmp_path: Path) -> None:
    clips = read(name, tmp_path)
    assert len({c.clip_id.casefold() for c in clips}) == len({c.path for c in clips}) == len(clips) > 0
    assert all((tmp_path / c.path).is_file() and c.corpus == name for c in clips)
    assert {c.label for c in clips} == set(EMOTIONS) - LACKS.get(name, set())


@pytest.mark.parametrize("name", LAYOUTS)
def test_nobody_is_on_two_sides_whatever_the_folds(name: str, tmp_path: Path) -> None:
    clips = read(name, tmp_path)
    for test_fold in range(1, 6):
        split = assign_splits(clips, Split(test_fold=test_fold, val_fold=test_fold % 5 + 1))
        assert speakers_on_two_sides(split) == []


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - TOO_FEW))
def test_there_are_clips_to_train_validate_and_test_on(name: str, tmp_path: Path) -> None:
    sides = {c.split for c in assign_splits(read(name, tmp_path), Split())}
    assert {"train", "val", "test"} <= sides


def test_two_speakers_are_too_few_to_train_validate_and_test(tmp_path: Path) -> None:
    clips = assign_splits(read("tess", tmp_path), Split())
    assert {c.split for c in clips} == {"test", "val"}
    assert "two folds" in (tess.__doc__ or "")


@pytest.mark.parametrize("name", corpora.names())
def test_a_corpus_says_what_it_is_and_a_licence_with_conditions_must_be_accepted(name: str) -> None:
    corpus = corpora.get(name)
    assert corpus.name == name
    assert all((corpus.title, corpus.licence, corpus.citation, corpus.homepage))
    free = {"demo", "crema_d", "javanese", "banglaser", "folder", "image_folder"}
    assert (corpus.accept is None) == (name in free), "no form, no ban on commerce: nothing to accept; else say what"
    assert corpus.conditions or corpus.accept is None
    assert corpus.accept is None or corpus.accept.replace("-", "").replace(".", "").isalnum(), "one plain word in YAML"


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_corpus_of_voices_names_its_language_and_one_of_pictures_has_none(name: str, tmp_path: Path) -> None:
    heard = any(c.has_voice for c in read(name, tmp_path))
    assert bool(corpora.get(name).language) == heard
    assert corpora.get(name).language.istitle() or not heard


def test_emodb_leaves_out_boredom(tmp_path: Path) -> None:
    clips = {c.clip_id: c for c in read("emodb", tmp_path)}
    assert len(clips) == 10 * 6 + 1
    assert (clips["03a01F"].label, clips["03a01F"].sex, clips["08a01W"].sex) == ("happy", "male", "female")
    assert clips["03b10Wc"].label == "angry"
    folds = {c.speaker: (c.fold, c.sex) for c in clips.values()}
    assert Counter(folds.values()) == {(n, sex): 1 for n in range(1, 6) for sex in ("female", "male")}


def test_tess_reads_a_file_that_is_there_twice_once_and_pleasant_surprise(tmp_path: Path) -> None:
    clips = {c.clip_id: c for c in read("tess", tmp_path)}
    assert len(clips) == 2 * 7 + 1
    assert clips["YAF_back_ps"].label == "surprise"
    assert clips["OAF_bite_neutral"].speaker == "OAF"


def test_savee_prefers_the_video_and_reads_both_layouts_of_voices(tmp_path: Path) -> None:
    clips = {c.clip_id: c for c in read("savee", tmp_path)}
    assert len(clips) == 4 * 7 * 2 + 1
    video, voice = clips["DC_sa01"], clips["KL_su03"]
    assert (video.path, video.label, video.has_face) == ("AudioVisualClip/DC/sa1.avi", "sad", True)
    assert (voice.path, voice.speaker, voice.label, voice.has_face) == ("ALL/KL_su03.wav", "KL", "surprise", False)


def test_enterface_believes_folders_more_than_names(tmp_path: Path) -> None:
    clips = {c.path.removeprefix("enterface database/"): c for c in read("enterface", tmp_path)}
    assert len(clips) == 2 * 6 * 2 + 6 + 2
    misnamed, flat = clips["Subject 2/Anger/sentence 1/s_3_an_1.avi"], clips["subject 6/happiness/s6_ha_1.avi"]
    assert (misnamed.speaker, misnamed.label) == ("02", "angry")
    assert (flat.speaker, flat.label) == ("06", "happy")
    assert clips["subject 4/s4_fe_1.avi"].label == "fear"


def test_meld_knows_characters_and_leaves_out_what_several_say(tmp_path: Path) -> None:
    clips = read("meld", tmp_path)
    assert len(clips) == 3 * 8
    by_id = {c.clip_id: c for c in clips}
    assert by_id["dev-dia0_utt2"].speaker == "monica"
    assert by_id["dev-dia0_utt2"].path == "dev/dev_splits_complete/dia0_utt2.mp4"
    assert by_id["train-dia0_utt6"].speaker == by_id["test-dia1_utt0"].speaker == "waiter"
    leads = {c.speaker: c.fold for c in clips if c.speaker in meld.LEADS}
    assert set(leads.values()) == {1, 2, 3, 4, 5}, "each fold has a lead"
    assert all(c.split is None for c in clips), "the official split has the leads on all sides"


def test_caer_s_validates_on_a_run_of_training_pictures(tmp_path: Path) -> None:
    clips = read("caer_s", tmp_path)
    assert Counter(c.split for c in clips) == {"train": 7 * 18, "val": 7 * 2, "test": 7 * 3}
    held = sorted(c.clip_id for c in clips if c.split == "val" and c.label == "sad")
    assert held == ["train-Sad-0019", "train-Sad-0020"]
    assert all(c.has_scene and not c.has_voice and not c.knows_speaker for c in clips)


def test_a_javanese_trial_is_once_a_clip_with_a_face_or_else_a_voice(tmp_path: Path) -> None:
    clips = {c.clip_id: c for c in read("javanese", tmp_path)}
    assert len(clips) == 10 * 6 * 2 + 2
    filmed, heard = clips["02-01-03_01"], clips["02-01-03_02"]
    assert (filmed.path, filmed.label, filmed.sex) == ("video/02-01-03_01.mp4", "happy", "female")
    assert filmed.has_face
    assert filmed.has_scene
    assert filmed.has_voice
    assert (heard.path, heard.has_face, heard.has_scene) == ("sound/dataset/02-01-03_02.wav", False, False)
    assert filmed.fold == heard.fold
    assert (clips["01-02-03_04"].label, clips["01-02-03_05"].path[-5:]) == ("happy", ".opus"), "as the guide writes it"


def test_folds_are_the_same_whichever_speakers_are_there(tmp_path: Path) -> None:
    whole = {c.speaker: c.fold for c in read("javanese", tmp_path / "whole")}
    part = fill(tmp_path / "part", ("video/04-01-01_01.mp4", "sound/09-01-01_02.wav"))
    assert {c.speaker: c.fold for c in javanese.list_clips(part)} == {"04": whole["04"], "09": whole["09"]}


def test_banglaser_has_codes_of_its_own_in_names_like_those_of_ravdess(tmp_path: Path) -> None:
    clips = {c.clip_id: c for c in read("banglaser", tmp_path)}
    assert len(clips) == 34 * 5 + 1
    assert {clips[f"01-{code}-01-02-03-01"].label for code in ("01", "05")} == {"happy", "neutral"}
    mistyped = clips["01-04-02-03-01-15"]
    assert (mistyped.label, mistyped.sex, mistyped.intensity) == ("surprise", "male", "unknown")
    assert clips["01-03-01-02-03-34"].sex == "female"


def test_ased_believes_most_of_the_names_about_a_speaker(tmp_path: Path) -> None:
    clips = {c.clip_id: c for c in read("ased", tmp_path)}
    assert len(clips) == 65 * 5 + 2
    odd, capital = clips["s4-04-01-02-09"], clips["s4-04-02-01-29"]
    assert (odd.speaker, odd.sex, odd.label) == ("09", "female", "sad")
    assert capital.path == "04Sad/S4-04-02-01-29.wav"
    assert Counter(ased.SEXES.values()) == {"female": 25, "male": 40}, "as its authors count"


def test_a_crop_of_a_trial_has_its_person_its_fold_and_no_scene(tmp_path: Path) -> None:
    clip, *_ = read("ravdess_crops", tmp_path / "crops")
    whole = fill(tmp_path / "whole", (f"Actor_05/03-{clip.clip_id}.wav",))
    (same,) = ravdess.list_clips(whole)
    assert (clip.trial, clip.person, clip.fold, clip.label) == (same.trial, same.person, same.fold, same.label)
    assert (clip.has_face, clip.has_scene, clip.has_voice) == (True, False, True)
    sides = assign_splits([same, clip], Split(test_fold=2, val_fold=1))
    assert [(c.corpus, c.split) for c in sides] == [("ravdess", "unused"), ("ravdess_crops", "test")]


def test_a_corpus_that_no_program_can_fetch_comes_from_a_mirror(tmp_path: Path) -> None:
    emovo_layout(tmp_path / "mirror" / "emovo")
    corpus = corpora.get("emovo")
    assert corpus.accept is not None
    assert corpus.by_hand
    fetch(corpus, tmp_path / "raw", tmp_path / "mirror", licences=(corpus.accept,))
    assert len(corpus.list_clips(tmp_path / "raw")) == 6 * 7
    with pytest.raises(FetchError, match=r"not fetched from anywhere: get it from .*emovo.* under emovo/"):
        fetch(corpus, tmp_path / "other", tmp_path / "nothing", licences=(corpus.accept,))


def test_fer2013_learns_from_no_image_that_it_is_asked_for(tmp_path: Path) -> None:
    fer2013_layout(tmp_path)
    same = {
        "a": ("train/happy/Training_10.jpg", "test/happy/PrivateTest_10.jpg"),
        "b": ("train/sad/Training_20.jpg", "test/sad/PublicTest_20.jpg"),
        "c": ("train/sad/Training_30.jpg", "test/sad/PublicTest_30.jpg", "test/fear/PrivateTest_30.jpg"),
        "d": ("train/angry/Training_40.jpg", "train/angry/Training_41.jpg"),
        "e": ("train/angry/Training_50.jpg", "train/fear/Training_50.jpg", "train/fear/Training_51.jpg"),
    }
    for content, names in same.items():
        for name in names:
            (tmp_path / name).write_text(content)
    clips = {c.path: c for c in fer2013.list_clips(tmp_path)}

    def told(name: str) -> tuple[str | None, int, str]:
        return clips[name].split, clips[name].copies, clips[name].unused_because

    assert told("train/happy/Training_10.jpg") == ("unused", 0, fer2013.IN_TEST)
    assert told("test/happy/PrivateTest_10.jpg") == ("test", 1, "")
    assert told("train/sad/Training_20.jpg") == ("unused", 0, fer2013.IN_VALIDATION)
    assert told("test/sad/PublicTest_20.jpg") == ("val", 1, "")
    assert told("train/sad/Training_30.jpg") == ("unused", 0, fer2013.IN_TEST)
    assert told("test/sad/PublicTest_30.jpg") == ("unused", 1, fer2013.IN_TEST)
    assert told("test/fear/PrivateTest_30.jpg") == ("test", 1, "")
    assert told("train/angry/Training_40.jpg") == ("train", 1, "")
    assert told("train/angry/Training_41.jpg") == ("unused", 1, fer2013.REPEATED)
    assert {told(name) for name in same["e"]} == {("unused", 2, fer2013.TWO_LABELS)}
    assert told("train/sad/Training_2.jpg") == ("train", 0, "")


def test_fer2013_is_unpacked_from_the_archive_that_kaggle_gives(tmp_path: Path) -> None:
    kept = tmp_path / "mirror" / "fer2013"
    kept.mkdir(parents=True)
    layout = fer2013_layout(tmp_path / "layout")
    with zipfile.ZipFile(kept / "archive.zip", "w") as archive:
        for path in layout.rglob("*.jpg"):
            archive.write(path, path.relative_to(layout))
    corpus = corpora.get("fer2013")
    assert corpus.accept is not None
    fetch(corpus, tmp_path / "raw", kept.parent, licences=(corpus.accept,))
    assert len(fer2013.list_clips(tmp_path / "raw")) == 21
    assert fer2013.sources(tmp_path / "raw") == [], "what is unpacked need not be fetched"


def test_fer2013_has_the_votes_of_fer_plus_by_its_authors_rule() -> None:
    votes = fer2013.fer_plus()
    assert len(votes) == 35_712
    with gzip.open(Path(fer2013.__file__).with_name("fer_plus.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        rows = {row.pop("image"): {name: int(count) for name, count in row.items()} for row in csv.DictReader(file)}
    assert {sum(counts.values()) for counts in rows.values()} == {9, 10}, "of some images only nine votes are told"
    seen = set()
    for name, counts in rows.items():
        told, kept = votes[name], Counter({answer: count for answer, count in counts.items() if count > 1})
        if told.distribution is None:
            assert not set(kept) & set(EMOTIONS)
        else:
            shares = dict(zip(EMOTIONS, told.distribution, strict=True))
            assert {emotion for emotion, share in shares.items() if share} == set(kept) & set(EMOTIONS)
            assert sum(shares.values()) == pytest.approx(1)
        (answer, most), *_ = kept.most_common(1) or [("", 0)]
        half = kept.total() / 2
        assert told.consensus == (answer if most > half and answer not in fer2013.UNTOLD else "")
        assert told.untold <= (max(kept[untold] for untold in fer2013.UNTOLD) == most)
        seen.add(told.consensus)
    assert seen == {*EMOTIONS, "contempt", ""}


def test_fer2013_leaves_out_what_most_people_could_not_tell_and_keeps_it_where_it_is_asked(tmp_path: Path) -> None:
    votes = fer2013.fer_plus()
    untold = {part: next(n for n, told in votes.items() if told.untold and part in n) for part in fer2013.OFFICIAL}
    agreed = next(n for n, told in votes.items() if told.consensus == "happy" and "Training" in n)
    fill(tmp_path, [*untold.values(), agreed, "train/sad/Training_0.jpg"])
    clips = {c.path: c for c in fer2013.list_clips(tmp_path)}
    left_out = clips[untold["Training"]]
    assert (left_out.split, left_out.unused_because) == ("unused", fer2013.NOTHING_SEEN)
    assert [clips[untold[part]].split for part in ("PublicTest", "PrivateTest")] == ["val", "test"]
    assert clips[agreed].consensus == "happy"
    assert clips[agreed].judged == clips[agreed].votes_face == votes[agreed].distribution
    without = clips["train/sad/Training_0.jpg"]
    assert (without.split, without.judged, without.consensus) == ("train", None, ""), "nobody judged it"


def test_fer2013_as_published(mirror: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(mirror / "fer2013" / "archive.zip") as archive:
        archive.extractall(tmp_path)
    clips = fer2013.list_clips(tmp_path)
    assert len({c.clip_id for c in clips}) == len(clips) == 35_887
    official = Counter(c.clip_id.split("_")[0] for c in clips)
    assert official == {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}
    assert Counter(c.split for c in clips) == {"train": 26_750, "val": 3_543, "test": 3_589, "unused": 2_005}
    assert Counter(c.unused_because for c in clips if c.unused_because) == {
        fer2013.IN_TEST: 387 + 46,
        fer2013.IN_VALIDATION: 316,
        fer2013.NOTHING_SEEN: 168,
        fer2013.TWO_LABELS: 73,
        fer2013.REPEATED: 1_015,
    }
    tested = [c.consensus for c in clips if c.clip_id.startswith("PrivateTest")]
    assert sum(map(bool, tested)) == 3_153, "as published, contempt among them"
    assert sum(consensus in EMOTIONS for consensus in tested) == 3_137
    assert sum(c.copies > 0 for c in clips if not c.clip_id.startswith("Training")) == 568
    sides = {s: {c.sha256 for c in clips if c.split == s} for s in ("train", "val", "test")}
    assert not sides["train"] & sides["val"]
    assert not (sides["train"] | sides["val"]) & sides["test"]
    assert len(sides["train"]) == 26_750
    told = completeness(fer2013.CORPUS, clips, len(clips))
    assert told == "35,887 of 35,887 clips, pictures in 35,887 of 35,887", "no word of speakers: none are known"


def test_folds_are_dealt_like_cards_women_first() -> None:
    sexes = {"d": "male", "c": "female", "a": "male", "b": "female", "e": "unknown"}
    assert deal_folds(sexes, 3) == {"b": 1, "c": 2, "a": 3, "d": 1, "e": 2}  # type: ignore[arg-type]


def test_ids_are_file_names_and_never_one_for_two() -> None:
    names = ["clips/Anna 1.mp4", "clips/Anna-1.mp4", "CLIPS/ANNA-1.mp4", "ж/ü.wav", "..", "x" * 300, "x" * 299 + "y"]
    ids = clip_ids(names)
    assert len({found.casefold() for found in ids.values()}) == len(names)
    assert ids["ж/ü.wav"] == "ж-ü.wav"
    for found in ids.values():
        assert Clip(clip_id=found, corpus="folder", speaker="1", label="sad", path="x").clip_id == found
        assert len(found.encode()) < 200
    assert clip_ids(["a/b.mp4"]) == {"a/b.mp4": "a-b.mp4"}, "plain names stay plain"


@pytest.mark.parametrize(
    ("word", "emotion"),
    [
        ("Anger", "angry"),
        ("HAPPINESS", "happy"),
        ("joy", "happy"),
        ("calm", "neutral"),
        ("pleasant_surprise", "surprise"),
    ],
)
def test_common_words_name_emotions(word: str, emotion: str) -> None:
    assert emotion_of(word) == emotion


@pytest.mark.parametrize(("word", "hint"), [("hapy", "did you mean 'happy'"), ("boredom", "known are neutral, happy")])
def test_a_word_that_names_none_gets_a_suggestion(word: str, hint: str) -> None:
    with pytest.raises(LabelError, match=hint):
        emotion_of(word)


@pytest.mark.parametrize("name", ["folder", "image_folder", "savee", "fer2013", "emovo", "banglaser"])
def test_a_corpus_that_no_program_can_fetch_needs_no_download(name: str) -> None:
    assert load_params(ROOT / "params.yaml", {"corpora": [name]}).corpora == (name,)


def test_a_corpus_with_links_must_be_downloaded() -> None:
    with pytest.raises(ConfigError, match=r"add it to download\.corpora"):
        load_params(ROOT / "params.yaml", {"corpora": ["emodb"]})
