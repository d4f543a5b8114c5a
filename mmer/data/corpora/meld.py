"""MELD: utterances of the TV series Friends, with their dialogues, labelled by three people each (Poria et al. 2019).

The layout is that of `MELD.Raw.tar.gz` with its three inner archives unpacked: tables `train_sent_emo.csv` (dev, test)
anywhere, and videos `dia{D}_utt{U}.mp4` in `train_splits`, `dev_splits_complete` and `output_repeated_splits_test`.

**The official split is not used.** It parts dialogues, not people: the six leads, who speak most of the utterances, are
on all its sides, so that a model may know a face and a voice by heart. Here a speaker is a character, and the speakers
are dealt to folds like those of every other corpus: results cannot be compared with published ones on the official
split. Two limits remain. A clip often shows more people than the one who speaks; and one actor may stand under two
names, as far as these are not plainly one ("A Waiter", "The waiter"). What several say together is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmer.data.clips import Clip, Sex
from mmer.data.corpora import Corpus, read_rows
from mmer.data.splits import deal_folds
from mmer.labels import emotion_of

TABLES = {
    "train": ("train_sent_emo.csv", "train_splits"),
    "dev": ("dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
}
"""Each part's table and the folder of its videos; numbers of dialogues begin anew in each."""
SEVERAL = re.compile(r"\band\b|[,&/+]|\b(all|both|everyone|everybody|guys|girls|group|crowd)\b", re.IGNORECASE)
LEADS: dict[str, Sex] = {
    "chandler": "male",
    "joey": "male",
    "monica": "female",
    "phoebe": "female",
    "rachel": "female",
    "ross": "male",
}


def list_clips(raw: Path) -> list[Clip]:
    """One clip per utterance of one character whose video is there."""
    videos = {(p.parent.name, p.name): p.relative_to(raw).as_posix() for p in sorted(raw.rglob("dia*_utt*.mp4"))}
    found = []
    for part, (table, folder) in TABLES.items():
        for path in sorted(raw.rglob(table))[:1]:
            for row in read_rows(path):
                name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
                video = videos.get((folder, f"{name}.mp4"))
                if video is not None and not SEVERAL.search(row["Speaker"]):
                    found.append((f"{part}-{name}", character(row["Speaker"]), emotion_of(row["Emotion"]), video))
    guests = {speaker for _, speaker, _, _ in found} - set(LEADS)
    # The leads are dealt for themselves: each fold has one, and a missing guest changes nothing for them.
    folds = deal_folds(LEADS) | deal_folds(dict.fromkeys(guests, "unknown"))
    return [
        Clip(
            clip_id=clip_id,
            corpus="meld",
            speaker=speaker,
            sex=LEADS.get(speaker, "unknown"),
            label=label,
            fold=folds[speaker],
            path=path,
            has_face=True,
            has_scene=True,
            has_voice=True,
        )
        for clip_id, speaker, label, path in found
    ]


def character(name: str) -> str:
    """One spelling for each character: "The Waiter" and "A waiter" are one."""
    return re.sub(r"^(a|an|the) ", "", " ".join(name.casefold().split()))


CORPUS = Corpus(
    name="meld",
    title="MELD",
    licence="tables GPL-3.0; the clips are excerpts of a TV series, whose rights are others'",
    citation="Poria S, Hazarika D, Majumder N, Naik G, Cambria E, Mihalcea R (2019). MELD: A Multimodal Multi-Party "
    "Dataset for Emotion Recognition in Conversations. ACL 2019. arXiv 1810.02508",
    homepage="https://affective-meld.github.io",
    language="English",
    list_clips=list_clips,
    accept="MELD-research",
    conditions="the clips are excerpts of a series whose owners have granted nothing: research, at your own judgement",
)
