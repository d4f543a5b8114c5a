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
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from mmer.config import ConfigError, Split
from mmer.data import corpora
from mmer.data.clips import Clip
from mmer.data.corpora import (
    AnnotationError,
    aff_wild2,
    ased,
    banglaser,
    clip_ids,
    completeness,
    emodb,
    emotic,
    emovo,
    fer2013,
    iemocap,
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
from tests.emotic import matlab, person, write_annotations

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


def emotic_annotations(root: Path, **parts: list[tuple[str, list[dict[str, Any]]]]) -> Path:
    """Annotations.mat, and the pictures that it names."""
    write_annotations(root, **parts)
    named = (name.split("/") for pictures in parts.values() for name, _ in pictures)
    return fill(root, (f"emotic/{folder}/images/{file}" for folder, file in named))


def emotic_layout(root: Path) -> Path:
    """One of each emotion in each part, beside categories that name none."""
    named = [[names[0], "Engagement"] for names in emotic.CATEGORIES.values()]
    folders = ("mscoco", "framesdb", "ade20k", "emodb_small")
    of = {
        part: [(f"{folders[n % 4]}/{part}{n}.jpg", [person(c, judges=judges)]) for n, c in enumerate(named)]
        for part, judges in (("train", 1), ("val", 5), ("test", 3))
    }
    return emotic_annotations(root, **of)


IEMOCAP_HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def iemocap_turn(name: str, code: str, judges: str = "", felt: str = "2.5000, 4.0000, 3.0000") -> str:
    return f"[6.2901 - 8.2357]\t{name}\t{code}\t[{felt}]\n{judges}A-E3:\tval 3; act 2; dom  2;\t()\n\n"


def iemocap_layout(root: Path) -> Path:
    """Each actor in each label, once with her own markers and once with the other's; and files that are not turns."""
    top, codes = root / iemocap.RELEASE, (*iemocap.EMOTION_CODES, *iemocap.UNUSED)
    for session in range(1, 6):
        for markers, dialog in (("F", "impro01"), ("M", "script01_1b")):
            name = f"Ses0{session}{markers}_{dialog}"
            turns = {f"{name}_{who}{n:03d}": code for who in "FM" for n, code in enumerate(codes)}
            evaluation = top / f"Session{session}" / "dialog" / "EmoEvaluation"
            evaluation.mkdir(parents=True, exist_ok=True)
            text = IEMOCAP_HEAD + "".join(iemocap_turn(turn, code) for turn, code in turns.items())
            (evaluation / f"{name}.txt").write_text(text)
            (evaluation / f"._{name}.txt").write_bytes(b"\0\5\26\7")
            fill(top / f"Session{session}" / "sentences" / "wav" / name, (f"{turn}.wav" for turn in turns))
    return fill(root, (f"{iemocap.RELEASE}/Session1/dialog/avi/DivX/Ses01F_impro01.avi",))


AFF_WILD2_HEAD = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


def annotate(root: Path, name: str, frames: Iterable[object], head: str = AFF_WILD2_HEAD) -> None:
    path = root / "annotations" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *map(str, frames)]) + "\n")


def aff_wild2_layout(root: Path) -> Path:
    """Videos of 30 frames a second, each with a second of each expression, the eighth is none."""
    frames = [number for number in range(8) for _ in range(30)]
    for n in range(20):
        annotate(root, f"EXPR_Set/Train_Set/{n}-30-64x48", frames)
        annotate(root, f"EXPR_Set/Validation_Set/{100 + n}-30-64x48", frames)
    annotate(root, "EXPR_Set/Train_Set/999-30-64x48", frames)  # its video is not there
    return fill(root, (f"batch{1 + n % 2}/{n + 100 * part}-30-64x48.mp4" for n in range(20) for part in (0, 1)))


LAYOUTS = {
    "aff_wild2": aff_wild2_layout,
    "emotic": emotic_layout,
    "iemocap": iemocap_layout,
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
    "emotic": {"neutral"},
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
    assert len({c.clip_id.casefold() for c in clips}) == len({(c.path, c.start_s) for c in clips}) == len(clips) > 0
    assert all((tmp_path / c.path).is_file() and c.corpus == name for c in clips)
    assert {c.label for c in clips if c.split != "unused"} == set(EMOTIONS) - LACKS.get(name, set())
    assert all(bool(c.unused_because) == (c.split == "unused") for c in clips)


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
    assert corpora.get(name).language[:1].isupper() or not heard


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


def test_emotic_names_an_emotion_where_the_categories_name_one_in_a_picture_of_one_person(tmp_path: Path) -> None:
    emotic_annotations(
        tmp_path,
        train=[
            ("mscoco/1.jpg", [person(["Happiness"], valence=10, arousal=1)]),
            ("mscoco/2.jpg", [person(["Engagement", "Disquietment", "Fear"], valence=float("nan"))]),
            ("mscoco/3.jpg", [person(["Engagement", "Confidence"])]),
            ("ade20k/1.jpg", [person(["Sadness", "Anger"])]),
            ("ade20k/4.jpg", [person(["Joy"])]),
            ("ade20k/5.jpg", [person(["Anger"]), person(["Peace"])]),
        ],
        val=[("framesdb/1.jpg", [person(["Aversion", "Pain"], judges=5)])],
    )
    clips = {c.clip_id: c for c in emotic.list_clips(tmp_path)}
    told = {name: (c.split, c.label, c.unused_because) for name, c in clips.items()}
    assert told == {
        "mscoco-1-1": ("train", "happy", ""),
        "mscoco-2-1": ("train", "fear", ""),
        "mscoco-3-1": ("unused", "", emotic.NONE_NAMED),
        "ade20k-1-1": ("unused", "", emotic.SEVERAL_NAMED),
        "ade20k-4-1": ("unused", "", emotic.UNKNOWN_NAMED),
        "ade20k-5-1": ("unused", "angry", emotic.SEVERAL_PEOPLE),
        "ade20k-5-2": ("unused", "", emotic.NONE_NAMED),
        "framesdb-1-1": ("val", "disgust", ""),
    }
    assert (clips["mscoco-1-1"].valence, clips["mscoco-1-1"].arousal) == (1, -1)
    assert (clips["mscoco-2-1"].valence, clips["mscoco-2-1"].arousal) == (None, -1)
    assert all(c.has_face and c.has_scene and not c.has_voice and not c.knows_speaker for c in clips.values())


def test_a_person_of_emotic_whom_nobody_judged_is_not_used(tmp_path: Path) -> None:
    empty = {"annotations_categories": [], "annotations_continuous": []}
    partly = person([]) | {"annotations_continuous": {"valence": [], "arousal": 10, "dominance": 1}}
    emotic_annotations(tmp_path, test=[("mscoco/1.jpg", [empty]), ("mscoco/2.jpg", [partly]), ("mscoco/3.jpg", [])])
    clips = emotic.list_clips(tmp_path)
    assert [(c.valence, c.arousal) for c in clips] == [(None, None), (None, 1)]
    assert {c.unused_because for c in clips} == {emotic.NONE_NAMED}


def test_emotic_knows_26_categories_each_once() -> None:
    named = [category for categories in emotic.CATEGORIES.values() for category in categories]
    assert len(set(named) | set(emotic.NO_EMOTION)) == len(named) + len(emotic.NO_EMOTION) == 26
    assert set(emotic.CATEGORIES) <= set(EMOTIONS)
    table = (emotic.__doc__ or "").split("| emotion | categories |")[1].split("\n\n")[0]
    assert all(category in table for category in named)


def test_emotic_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    emotic_annotations(tmp_path, train=[("mscoco/1.jpg", [person(["Fear"])]), ("mscoco/2.jpg", [person(["Fear"], 11)])])
    with pytest.raises(AnnotationError, match=r"Annotations\.mat, train\(2\)\.person\(1\) .*11 is not from 1 to 10"):
        emotic.list_clips(tmp_path)
    annotations = tmp_path / emotic.ANNOTATIONS
    savemat(annotations, {"train": matlab([{"filename": "1.jpg"}])})
    with pytest.raises(AnnotationError, match="has no val and no test"):
        emotic.list_clips(tmp_path)
    annotations.write_bytes(annotations.read_bytes()[:-40])
    with pytest.raises(AnnotationError, match=r"Annotations\.mat cannot be read"):
        emotic.list_clips(tmp_path)


def test_iemocap_knows_who_speaks_and_tests_a_session_at_a_time(tmp_path: Path) -> None:
    clips = {c.clip_id: c for c in read("iemocap", tmp_path)}
    assert len(clips) == 5 * 2 * 2 * 11
    man = clips["Ses03F_impro01_M001"]
    assert (man.speaker, man.sex, man.fold, man.label) == ("3M", "male", 3, "happy")
    assert clips["Ses03M_script01_1b_F002"].label == "happy", "excited"
    assert {c.speaker: c.fold for c in clips.values()} == {f"{n}{sex}": n for n in range(1, 6) for sex in "FM"}
    assert (man.valence, man.arousal) == (-0.25, 0.5)
    assert not any(c.has_face or c.has_scene for c in clips.values())
    why = Counter((c.label, c.unused_because) for c in clips.values() if c.split == "unused")
    assert why == {("", reason): 20 for reason in iemocap.UNUSED.values()}


def test_iemocap_counts_judges_and_not_what_actors_say_of_themselves(tmp_path: Path) -> None:
    judges = {
        "F000": "C-E1:\tNeutral state;\t()\nC-E2:\tExcited; Anger;\t(loud; fast)\nC-F1:\tSadness;\t()\n",
        "F001": "C-E1:\tFrustration;\t()\nC-E2:\tOther;\t(bored)\nC-E4:\tSurprise;\t()\n",
        "F002": "C-E1:\tFrustration;\t()\nC-M1:\tAnger;\t()\n",
    }
    top = tmp_path / "Session1"
    fill(top / "sentences" / "wav" / "Ses01F_impro01", (f"Ses01F_impro01_{turn}.flac" for turn in judges))
    evaluation = top / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    evaluation.parent.mkdir(parents=True)
    turns = (iemocap_turn(f"Ses01F_impro01_{turn}", "neu", lines) for turn, lines in judges.items())
    evaluation.write_text(IEMOCAP_HEAD + "".join(turns))
    assert {c.clip_id[-4:]: c.votes for c in iemocap.list_clips(tmp_path)} == {
        "F000": (0.5, 0.25, 0, 0.25, 0, 0, 0),
        "F001": (0, 0, 0, 0, 0, 0, 1),
        "F002": None,
    }


@pytest.mark.parametrize(
    ("turn", "told"),
    [
        (iemocap_turn("Ses01F_impro01_F000", "bored"), "line 3: label 'bored' is none of neu, hap"),
        (
            iemocap_turn("Ses01F_impro01_F000", "neu", felt="0.0000, 2.0000, 1.0000"),
            "line 3: valence 0 or .* from 1 to 5",
        ),
        (iemocap_turn("Ses09F_impro01_F000", "neu"), "line 3: .*Ses09F_impro01_F000.* is no turn"),
        ("[6.2901 - 8.23", r"line 3: '\[6\.2901 - 8\.23' is no turn"),
    ],
)
def test_a_turn_of_iemocap_that_cannot_be_read_says_where(tmp_path: Path, turn: str, told: str) -> None:
    path = tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.parent.mkdir(parents=True)
    path.write_text(IEMOCAP_HEAD + turn)
    with pytest.raises(AnnotationError, match=rf"Ses01F_impro01\.txt, {told}"):
        iemocap.list_clips(tmp_path)


def test_aff_wild2_tests_on_the_official_validation_part_and_validates_on_every_tenth_training_video(
    tmp_path: Path,
) -> None:
    clips = read("aff_wild2", tmp_path)
    assert Counter(c.split for c in clips) == {"train": 18 * 7, "val": 2 * 7, "test": 20 * 7, "unused": 40}
    assert {c.unused_because for c in clips if c.split == "unused"} == {aff_wild2.IS_OTHER}
    assert {c.speaker for c in clips if c.split == "test"} == {f"{100 + n}-30-64x48" for n in range(20)}
    some = fill(tmp_path / "some", ("batch2/7-30-64x48.mp4", "batch1/15-30-64x48.mp4"))
    (tmp_path / "annotations").rename(some / "annotations")
    sides = {c.speaker: c.split for c in clips if c.label}
    assert all(sides[c.speaker] == c.split for c in aff_wild2.list_clips(some) if c.label), "whichever are there"


def test_a_clip_of_aff_wild2_is_a_run_of_one_to_ten_seconds_of_one_expression(tmp_path: Path) -> None:
    runs = [(0, 29), (4, 30), (-1, 60), (4, 59), (7, 30), (1, 601)]
    annotate(tmp_path, "EXPR_Set/Train_Set/1-30-64x48", (number for number, frames in runs for _ in range(frames)))
    affect = [*[(-0.5, 0.5)] * 29, *[(0.25, 0.5)] * 10, *[(-5, -5)] * 10, *[(0.75, 1)] * 10]
    annotate(tmp_path, "VA_Set/Validation_Set/1-30-64x48", (f"{v},{a}" for v, a in affect), "valence,arousal")
    fill(tmp_path, ("batch1/1-30-64x48.mp4",))
    clips = aff_wild2.list_clips(tmp_path)
    assert [(c.clip_id, c.label, c.start_s * 30, c.end_s and c.end_s * 30) for c in clips] == [
        ("1-30-64x48-29", "happy", 29, 59),
        ("1-30-64x48-119", "happy", 119, pytest.approx(178)),
        ("1-30-64x48-178", "", pytest.approx(178), pytest.approx(208)),
        ("1-30-64x48-208", "angry", pytest.approx(208), pytest.approx(408)),
        ("1-30-64x48-408", "angry", pytest.approx(408), pytest.approx(609)),
        ("1-30-64x48-609", "angry", pytest.approx(609), pytest.approx(809)),
    ]
    assert [(c.valence, c.arousal) for c in clips] == [(0.5, 0.75), *[(None, None)] * 5], "means of what was judged"


def test_two_people_in_a_video_of_aff_wild2_are_not_used(tmp_path: Path) -> None:
    for part, name in (("Train", "1-30-64x48"), ("Train", "1-30-64x48_left"), ("Validation", "2-30-64x48_right")):
        annotate(tmp_path, f"EXPR_Recognition_Challenge/{part}_Set/{name}", [6] * 30)
    fill(tmp_path, ("batch1/1-30-64x48.mp4", "batch2/2-30-64x48.avi", "batch2/3-30-64x48.avi"))
    clips = aff_wild2.list_clips(tmp_path)
    assert {c.clip_id for c in clips} == {"1-30-64x48-0", "1-30-64x48_left-0", "2-30-64x48_right-0"}
    assert {(c.split, c.label, c.unused_because) for c in clips} == {("unused", "surprise", aff_wild2.TWO_PEOPLE)}


def test_frames_of_aff_wild2_are_counted_by_the_rate_of_the_video_itself(tmp_path: Path) -> None:
    for name in ("1-30-64x48", "video2", "video3"):
        annotate(tmp_path, f"EXPR_Set/Train_Set/{name}", [0] * 10 + [5] * 20)
    fill(tmp_path, ("batch1/video3.avi",))  # tells nothing, in no way
    for name in ("1-30-64x48", "video2"):
        writer = cv2.VideoWriter(str(tmp_path / f"batch1/{name}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (64, 48))
        for shade in range(30):
            writer.write(np.full((48, 64, 3), shade, np.uint8))
        writer.release()
    clips = {c.clip_id: c for c in aff_wild2.list_clips(tmp_path)}
    assert {name: (c.start_s, c.end_s) for name, c in clips.items()} == {
        "1-30-64x48-10": (0.8, 2.4),
        "video2-10": (0.8, 2.4),
        "video3-0": (0, None),
    }
    assert (clips["video3-0"].split, clips["video3-0"].unused_because) == ("unused", aff_wild2.NO_RATE)


@pytest.mark.parametrize(
    ("head", "frames", "told"),
    [
        (AFF_WILD2_HEAD, ["0", "8"], "line 3: '8' is no whole number from -1 to 7"),
        (AFF_WILD2_HEAD, ["0", "", "1"], "line 3: '' is no whole number"),
        ("Neutral,Anger,Boredom", ["0"], "line 1: 'Boredom' is none of the seven emotions"),
    ],
)
def test_expressions_of_aff_wild2_that_cannot_be_read_say_where(
    tmp_path: Path, head: str, frames: list[str], told: str
) -> None:
    annotate(tmp_path, "EXPR_Set/Train_Set/1-30-64x48", frames, head)
    fill(tmp_path, ("batch1/1-30-64x48.mp4",))
    with pytest.raises(AnnotationError, match=rf"1-30-64x48\.txt, {told}"):
        aff_wild2.list_clips(tmp_path)


def test_other_damage_of_aff_wild2_is_told_too(tmp_path: Path) -> None:
    annotate(tmp_path, "EXPR_Set/Train_Set/1-30-64x48", [0] * 30)
    annotate(tmp_path, "VA_Set/Train_Set/1-30-64x48", ["0.1,0.2", "0.1"], "valence,arousal")
    fill(tmp_path, ("batch1/1-30-64x48.mp4",))
    with pytest.raises(AnnotationError, match=r"VA_Set/Train_Set/1-30-64x48\.txt, line 3: '0\.1' is not two numbers"):
        aff_wild2.list_clips(tmp_path)
    annotate(tmp_path, "EXPR_Set/Validation_Set/1-30-64x48", [0] * 30)
    with pytest.raises(AnnotationError, match="'1-30-64x48' is annotated in both"):
        aff_wild2.list_clips(tmp_path)


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
