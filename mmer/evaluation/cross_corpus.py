"""Leave one corpus out: how well a network does on a corpus that it never heard.

Speakers of one corpus share a studio, a microphone, a language and a way of acting, and a network may learn those. So
each corpus is tested whole, by a network that was trained on the others; what is not trained on anyway is tested by one
network that was trained on all. The epoch is chosen on validation speakers of the corpora that are trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmer import metrics
from mmer.config import Params
from mmer.data import corpora
from mmer.data.clips import MANIFEST, Clip, modalities_of, targets, with_modalities
from mmer.data.splits import assign_splits
from mmer.evaluation.cross_validation import (
    Answers,
    FoldsError,
    Round,
    as_folds_train,
    as_written,
    corpus_keys,
    prepared,
    refuse_met,
    train_and_test,
    work_key,
)
from mmer.evaluation.protocol import about, describe, resampled
from mmer.evaluation.report import write_predictions
from mmer.evaluation.scores import Bootstrap, by, too_few
from mmer.labels import EMOTIONS
from mmer.metrics import one_hot
from mmer.plots.evaluation import plot_cross_corpus
from mmer.reporting import Report, counted, plain, write_csv, write_json
from mmer.training import mlflow_runs
from mmer.training.checkpoints import WORK, fingerprint

NAME = "cross_corpus"
"""Of the run, the report's folder and figure, and the work that is kept."""


def leave_out(
    params: Params, names: Sequence[str], processed: Path, out: Path, folds: Path = Path("reports/folds/metrics.json")
) -> Report:
    """Test corpora whole, each by a network that never heard it, and write what came of it.

    Args:
        params: `corpora` are trained on (but for `split.test_corpora`); `folds` says which modalities are given, for
            how many epochs, and how many networks are trained at once.
        names: the corpora that are tested; none: each of `params.corpora` that can be.
        processed: the folder of prepared samples and of each corpus's manifest.
        out: gets `metrics.json` (the report), `corpora.csv` (a row per corpus), `predictions.csv` (a row per clip) and
            `figures/cross_corpus.png`.
        folds: what a cross-validation by speaker found, if there was one.

    Returns:
        See `report`.

    Raises:
        FoldsError: a corpus has no reader, is not prepared or holds too little, nothing is left to train on, or the
            training goes on from weights that learnt from what is tested.
    """
    params = as_folds_train(params)
    chosen = list(dict.fromkeys(names or params.corpora))
    listed = with_modalities(_prepared(params, chosen, processed), params.folds.modalities)
    keys = corpus_keys(params, listed, processed)
    rounds = plan(params, listed, chosen, keys, strict=bool(names))
    key = fingerprint([one.work.name for one in rounds], [])
    with mlflow_runs.reopen(NAME, params, key=f"{NAME}-{key}") as run:
        done = train_and_test(rounds, EMOTIONS, processed, run)
        told = report(rounds, done, params, within(folds, params))
        _write(told, done, out)
        run.metrics(told)
        run.figure(out, NAME)
        run.outcome(", ".join(f"{name} UAR {scores['uar']}" for name, scores in told["by_corpus"].items()))
    return told


def plan(
    params: Params, clips: Sequence[Clip], names: Sequence[str], keys: Mapping[str, str], *, strict: bool = True
) -> list[Round]:
    """The networks to train: without each corpus that is trained on, and one with all of them for the others.

    Args:
        params: as in `leave_out`.
        clips: of all these corpora, with official splits and folds, and what is given of them.
        names: the corpora that are tested.
        keys: of each corpus, `mmer.evaluation.cross_validation.corpus_keys`.
        strict: whether a corpus that cannot be tested is an error; else it is passed over and told.

    Raises:
        FoldsError: see `leave_out`.
    """
    trained = [name for name in params.corpora if name not in params.split.test_corpora]
    heard = set(map(corpora.recorded_for, trained))
    apart = [name for name in names if corpora.recorded_for(name) in heard]
    groups = [*([name] for name in apart), [name for name in names if name not in apart]]
    rounds: list[Round] = []
    why_not: dict[str, str] = {}
    for group in filter(None, groups):
        sides = assign_without(params, [c for c in clips if c.corpus in (*trained, *group)], group)
        found = {name: reason for name in group if (reason := _why_not(params, sides, name))}
        why_not |= found
        tested = tuple(name for name in group if name not in found)
        if not tested:
            continue
        refuse_met(params, set(tested))
        sides = [c for c in sides if c.corpus not in found]
        split = params.split.model_copy(update={"test_corpora": tested})
        own = params.model_copy(update={"corpora": tuple(dict.fromkeys((*trained, *tested))), "split": split})
        work = WORK / NAME / work_key(own, sides, EMOTIONS, keys)
        rounds.append(Round(f"without {' and '.join(tested)}", own, sides, work))
    told = [f"{name}: {reason}" for name, reason in why_not.items()]
    if told and (strict or not rounds):
        raise FoldsError("; ".join(told))
    for line in told:
        print(f"{line}, so it is not left out")
    return rounds


def assign_without(params: Params, clips: Sequence[Clip], tested: Sequence[str]) -> list[Clip]:
    """Put each clip on its side where these corpora are tested whole (`assign_splits`).

    Nothing trains that another corpus made of their recordings, or they of its: that is the same studio. A clip is not
    tested where it holds none of the modalities that are trained.
    """
    recorded = set(map(corpora.recorded_for, tested))
    own = [c for c in clips if c.corpus in tested or corpora.recorded_for(c.corpus) not in recorded]
    sides = assign_splits(own, params.split.model_copy(update={"test_corpora": tuple(tested)}))
    learnt = modalities_of([c for c in sides if c.split == "train"])
    return [
        c.model_copy(update={"split": "unused"}) if c.split == "test" and not with_modalities([c], learnt) else c
        for c in sides
    ]


def report(rounds: Sequence[Round], done: Sequence[Answers], params: Params, within: Mapping[str, float]) -> Report:
    """What leaving corpora out says.

    Args:
        rounds: what was asked.
        done: their results, in the same order.
        params: those of the run.
        within: the UAR within a corpus, where it is known.

    Returns:
        Fit for JSON. `uar` is the mean over the corpora; `by_corpus` has for each its language, scores with intervals
        over its speakers, `chance` (one over its classes), `within`, what its network was trained on and which epoch
        was kept, recall, precision and F1 of its classes, and the confusion.
    """
    clips = [clip for one in done for clip in one.clips]
    truth, answers = targets(clips), one_hot(np.concatenate([one.probabilities for one in done]))
    corpus = np.array([clip.corpus for clip in clips])
    bootstrap = Bootstrap(params.evaluate.bootstrap, params.seed)
    by_corpus = by(lambda c: c.corpus, truth, answers, clips, bootstrap)
    for asked, one in zip(rounds, done, strict=True):
        for name in asked.params.split.test_corpora:
            own = corpus == name
            counts = metrics.confusion(truth[own], answers[own].argmax(1))
            by_corpus[name] |= {
                "language": corpora.get(name).language,
                "chance": 1 / by_corpus[name]["n_classes"],
                "within": within.get(name),
                "trained_on": sorted({c.corpus for c in asked.clips if c.split == "train"}),
                "epoch": int(one.best["epoch"]),
                "val_uar": one.best["val_uar"],
                "per_class": {k: v for k, v in metrics.per_class(counts).items() if v["n"]},
                "confusion": {"labels": list(EMOTIONS), "rows": "truth", "counts": counts.tolist()},
            }
    told: Report = {
        "protocol": _protocol(clips, params),
        **about(clips, params.train.pairing),
        "modalities": list(params.folds.modalities),
        "n_corpora": len(by_corpus),
        "uar": float(np.mean([scores["uar"] for scores in by_corpus.values()])),
        "by_corpus": by_corpus,
    }
    return {key: plain(value) for key, value in told.items()}


def within(path: Path, params: Params) -> dict[str, float]:
    """Each corpus's UAR in a cross-validation by speaker of the same modalities; empty where there was none."""
    told = json.loads(path.read_text()) if path.is_file() else {}
    if told.get("modalities") != list(params.folds.modalities):
        return {}
    return {name: scores["uar"] for name, scores in told["by_corpus"].items() if scores["uar"] is not None}


def in_words(told: Report) -> str:
    """A report as a few lines of text."""
    rows = told["by_corpus"].items()
    wide = max(len(name) for name, _ in rows)
    lines = [told["protocol"], *([f"Note: {told['note']}."] if "note" in told else [])]
    for name, scores in rows:
        known = "" if scores["within"] is None else f", within it {scores['within']:.3f}"
        lines.append(
            f"{name:<{wide}}  UAR {scores['uar']:.3f} (95% {scores['uar_low']:.3f} to {scores['uar_high']:.3f}; "
            f"{scores['n_classes']} classes, chance {scores['chance']:.3f}{known})  {scores['language']}".rstrip()
        )
    return "\n".join(
        [*lines, f"mean UAR over {len(rows)} {'corpus' if len(rows) == 1 else 'corpora'}: {told['uar']:.3f}"]
    )


def _prepared(params: Params, tested: Sequence[str], processed: Path) -> list[Clip]:
    """The clips of all corpora that are trained on or tested."""
    names = sorted({*params.corpora, *tested} - (set(params.split.test_corpora) - set(tested)))
    try:
        for name in names:
            corpora.get(name)
    except KeyError as error:
        raise FoldsError(error.args[0]) from None
    for name in names:
        if name not in params.corpora and not (processed / name / MANIFEST).is_file():
            raise FoldsError(
                f"{processed / name / MANIFEST} is missing, and {name} is not in corpora, so `dvc repro` does not make "
                f"it: put its files into data/raw/{name}, then run `python -m stages.extract {name}` and "
                f"`python -m stages.crop {name}`"
            )
    return prepared(processed, names)


def _why_not(params: Params, sides: Sequence[Clip], name: str) -> str:
    """Why a corpus cannot be tested; empty where it can be."""
    given = ", ".join(params.folds.modalities)
    there = {c.split for c in sides}
    if "train" not in there:
        return f"nothing is left to train on: name another corpus in corpora that holds {given}"
    if "val" not in there:
        return (
            f"no speaker of the other corpora is in fold {params.split.val_fold} (split.val_fold) to choose the epoch"
        )
    own = [c for c in sides if c.corpus == name and c.split == "test"]
    if not own or too_few(own):
        speakers = counted(len({c.person for c in own}), "speaker")
        return f"{counted(len(own), 'clip')} of {speakers} are too few for a score (given: {given})"
    return ""


def _protocol(clips: Sequence[Clip], params: Params) -> str:
    """How the scores came about, in words."""
    tested = [
        f"{name}, {describe([c for c in clips if c.corpus == name])}" for name in sorted({c.corpus for c in clips})
    ]
    return (
        f"Leave-one-corpus-out ({'; '.join(tested)}): each corpus is tested whole, by a network that was trained on "
        "others and never heard it. The epoch is chosen on validation speakers of the corpora that are trained on; "
        f"their test speakers are not used. Given: {', '.join(params.folds.modalities)}. {as_written(params)} Against "
        f"intended labels. The answer is one of all {len(EMOTIONS)} emotions; UAR is the mean recall of those that the "
        "corpus has. `within` is its UAR by networks that were trained on other speakers of it (`mmer folds`). "
        f"Intervals: 95%, {params.evaluate.bootstrap} resamples of {resampled(clips)}."
    )


def _write(told: Report, done: Sequence[Answers], out: Path) -> None:
    """The same report gives the same bytes."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", told)
    columns = (
        *("language", "n", "n_speakers", "n_classes", "chance", "uar", "uar_low", "uar_high"),
        *("war", "war_low", "war_high", "within", "epoch", "val_uar"),
    )
    write_csv(
        out / "corpora.csv",
        ["corpus", *columns, "trained_on", *(f"recall_{name}" for name in EMOTIONS)],
        (
            [
                *(name, *(scores[column] for column in columns), " ".join(scores["trained_on"])),
                *(scores["per_class"].get(emotion, {}).get("recall") for emotion in EMOTIONS),
            ]
            for name, scores in told["by_corpus"].items()
        ),
    )
    clips = [clip for one in done for clip in one.clips]
    write_predictions(out / "predictions.csv", clips, np.concatenate([one.probabilities for one in done]))
    plot_cross_corpus(told, out / "figures" / f"{NAME}.png")
