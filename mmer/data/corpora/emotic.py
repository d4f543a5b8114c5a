"""EMOTIC: people in pictures of all kinds of places, in 26 categories and three dimensions (Kosti et al. 2017, 2019).

The layout is `Annotations/Annotations.mat` beside `emotic/{mscoco,framesdb,ade20k,emodb_small}/images`. The `.mat` file
is what its owners publish, and `scipy` reads it; the tables `{train,val,test}.csv` that many use are made from it, and
are not read. Who is seen is not told, so a clip's own id stands for its speaker. The official split is kept.

**26 categories to seven emotions**, by their definitions in the papers:

| emotion | categories |
|---|---|
| happy | Happiness, Pleasure, Excitement, Affection |
| sad | Sadness, Suffering (the pain of the mind; Pain is that of the body) |
| angry | Anger, Annoyance |
| fear | Fear, Disquietment (nervous, worried, tense) |
| disgust | Aversion (disgust, dislike, repulsion) |
| surprise | Surprise |

The other categories are states that go with any emotion or none (Engagement, Anticipation, Confidence, ...), and say
nothing for or against: Engagement with Happiness is happy. Nothing is neutral: a person at Peace is said to have good
feelings, and one who shows nothing is not annotated as such. A person whose categories name none of the six, or more
than one, is `unused`. In `train` one person annotated each, in `val` and `test` several did: there the file's own
combination of them counts (all categories that anybody named, so that more name several emotions).

**The box of a person is not used.** Cropping finds faces itself and follows the largest: a box cannot tell it which. So
pictures with one annotated person are used, and those with several are `unused`. Others may be in view whom nobody
annotated; then the largest face may not be the person's.

Valence and arousal go from 1 to 10 in the file; dominance is not read.

The layout is as the owners' README and public readers of the file describe; not tried on the original.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mmer.data.clips import Clip, SplitName
from mmer.data.corpora import AnnotationError, Corpus, clip_ids

ANNOTATIONS = "Annotations/Annotations.mat"
PARTS: tuple[SplitName, ...] = ("train", "val", "test")

CATEGORIES = {
    "happy": ("Happiness", "Pleasure", "Excitement", "Affection"),
    "sad": ("Sadness", "Suffering"),
    "angry": ("Anger", "Annoyance"),
    "fear": ("Fear", "Disquietment"),
    "disgust": ("Aversion",),
    "surprise": ("Surprise",),
}
NO_EMOTION = (
    *("Anticipation", "Confidence", "Disapproval", "Disconnection", "Doubt/Confusion", "Embarrassment", "Engagement"),
    *("Esteem", "Fatigue", "Pain", "Peace", "Sensitivity", "Sympathy", "Yearning"),
)
EMOTION_OF_CATEGORY = {category: emotion for emotion, found in CATEGORIES.items() for category in found}

NONE_NAMED = "its categories name none of the seven emotions"
SEVERAL_NAMED = "its categories name several emotions"
UNKNOWN_NAMED = "a category is none of the 26"
SEVERAL_PEOPLE = "several people are annotated in its picture"


def list_clips(raw: Path) -> list[Clip]:
    """One clip per annotated person whose picture is there.

    Raises:
        AnnotationError: the annotations cannot be read, or one is not as described above.
    """
    path = raw / ANNOTATIONS
    if not path.is_file():
        return []
    from scipy.io import loadmat

    try:
        found = loadmat(path, simplify_cells=True, variable_names=PARTS)
    except Exception as error:  # scipy has many for a damaged file
        raise AnnotationError(f"{path} cannot be read: {error}") from error
    if missing := [part for part in PARTS if part not in found]:
        raise AnnotationError(f"{path} has no {' and no '.join(missing)}")
    people = {
        name: clip for part in PARTS for name, clip in _people(raw, part, _several(found[part]), f"{path}, {part}")
    }
    ids = clip_ids(list(people))
    return [Clip(clip_id=ids[name], corpus="emotic", speaker=ids[name], **clip) for name, clip in people.items()]


def _people(raw: Path, part: SplitName, pictures: list[Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each annotated person's name, and what its clip holds."""
    for number, picture in enumerate(pictures, 1):
        try:
            folder, file, people = picture["folder"], picture["filename"], _several(picture["person"])
            path = PurePosixPath("emotic", folder, file)
        except (KeyError, TypeError, IndexError) as error:
            raise AnnotationError(f"{where}({number}) names no picture and the people in it: {error!r}") from error
        if ".." in path.parts or not (raw / path).is_file():
            continue
        for place, person in enumerate(people, 1):
            try:
                label, why = _emotion(_categories(person))
                valence, arousal = _dimensions(person)
            except (KeyError, TypeError, ValueError) as error:
                raise AnnotationError(f"{where}({number}).person({place}) is not as described: {error!r}") from error
            why = why or (SEVERAL_PEOPLE if len(people) > 1 else "")
            yield (
                f"{path.parts[1]}/{path.stem}-{place}",
                {
                    "label": label,
                    "valence": valence,
                    "arousal": arousal,
                    "split": "unused" if why else part,
                    "unused_because": why,
                    "path": path.as_posix(),
                    "has_face": True,
                    "has_scene": True,
                },
            )


def _several(value: Any) -> list[Any]:
    """What a field holds: MATLAB has one of something, none and a list of them all alike."""
    return [value] if isinstance(value, str | Mapping) else list(value)


def _categories(person: Mapping[str, Any]) -> list[str]:
    if "combined_categories" in person:
        return _several(person["combined_categories"])
    told = person["annotations_categories"]
    return _several(told["categories"]) if isinstance(told, Mapping) else []


def _dimensions(person: Mapping[str, Any]) -> list[float | None]:
    """Valence and arousal from -1 to 1, None where nobody told: NaN, or an empty array."""
    told = person["combined_continuous" if "combined_continuous" in person else "annotations_continuous"]
    if not isinstance(told, Mapping):
        return [None, None]
    values = [float(told[name]) if np.size(told[name]) else math.nan for name in ("valence", "arousal")]
    for value in values:
        if not (1 <= value <= 10 or math.isnan(value)):
            raise ValueError(f"{value:g} is not from 1 to 10")
    return [None if math.isnan(value) else (value - 5.5) / 4.5 for value in values]


def _emotion(categories: list[str]) -> tuple[str, str]:
    """The one emotion that the categories name, or an empty word and why there is none."""
    if any(category not in EMOTION_OF_CATEGORY and category not in NO_EMOTION for category in categories):
        return "", UNKNOWN_NAMED
    named = {EMOTION_OF_CATEGORY[category] for category in categories if category in EMOTION_OF_CATEGORY}
    return (named.pop(), "") if len(named) == 1 else ("", SEVERAL_NAMED if named else NONE_NAMED)


CORPUS = Corpus(
    name="emotic",
    title="EMOTIC, emotions in context",
    licence="for non-commercial research and education",
    citation="Kosti R, Alvarez JM, Recasens A, Lapedriza A (2019). Context Based Emotion Recognition using EMOTIC "
    "Dataset. IEEE Transactions on Pattern Analysis and Machine Intelligence. arXiv 2003.13401; and (2017) Emotion "
    "Recognition in Context. CVPR 2017",
    homepage="https://github.com/rkosti/emotic",
    language="",
    list_clips=list_clips,
    accept="EMOTIC-research",
    conditions="non-commercial research and education only; ask its owners for pictures and annotations by their form",
)
