"""K-fold cross-validation by speaker: every speaker is tested once, by a network that never met him or her.

The folds are the corpora's own (`Clip.fold`). They are trained side by side, each by a process with one thread, so that
the results do not depend on how many run at once. What is done is kept under `.mmer/folds`: a run that was killed goes
on where it stood, and a fold that is finished is not trained again.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmer import metrics
from mmer.config import Params, Train
from mmer.data import corpora
from mmer.data.clips import MANIFEST, Clip, SplitName, read_manifest, targets, with_modalities
from mmer.errors import MmerError
from mmer.evaluation.protocol import about, learnt_from, n_speakers, resampled
from mmer.evaluation.report import write_predictions
from mmer.evaluation.scores import Bootstrap, by, score
from mmer.labels import EMOTIONS
from mmer.metrics import one_hot
from mmer.plots.evaluation import plot_speakers
from mmer.reporting import Report, counted, plain, write_csv, write_json
from mmer.training import mlflow_runs
from mmer.training.checkpoints import WORK, data_key, fingerprint, forget, read_origin
from mmer.training.fit import fit
from mmer.training.inference import predict
from mmer.training.mlflow_runs import Run

LEAST = 3
"""Folds: one to test, one to validate and one to train on."""


class FoldsError(MmerError):
    """There is nothing to cross-validate; the message says why and what to do."""


@dataclass(frozen=True)
class Round:
    """One network that is to be trained, and whom it is tested on."""

    name: str
    params: Params
    clips: list[Clip]
    """Each on its side."""
    work: Path
    """The folder of what is done of it, below `WORK`; two rounds whose results may differ never share one."""


@dataclass(frozen=True)
class Answers:
    """One round, done: the answers about the clips that are tested, of a network that never met their speakers."""

    name: str
    clips: list[Clip]
    """[n], all of split `test`."""
    probabilities: npt.NDArray[np.float32]
    """[n, C], of the classes that were told apart."""
    best: dict[str, float]
    """The epoch that the validation speakers chose: epoch, val_uar, ..."""


def prepared(processed: Path, names: Sequence[str]) -> list[Clip]:
    """The clips of prepared corpora, with their official splits and folds.

    Raises:
        FoldsError: a corpus is not prepared.
    """
    clips = []
    for name in names:
        path = processed / name / MANIFEST
        if not path.is_file():
            raise FoldsError(f"{path} is missing: prepare it with `dvc repro crop@{name}`")
        clips += read_manifest(path)
    return clips


def cross_validated(clips: Sequence[Clip]) -> list[Clip]:
    """The clips without the corpora whose speakers stand in one or two folds (an incomplete mirror): nothing of such a
    corpus would be trained, and its few clips would choose the epochs.
    """
    folds: dict[str, set[int]] = {}
    for clip in clips:
        if clip.fold is not None:
            folds.setdefault(clip.corpus, set()).add(clip.fold)
    few = {corpus for corpus, found in folds.items() if len(found) < LEAST}
    if few == set(folds):
        return list(clips)
    for corpus in sorted(few):
        print(f"{corpus}: speakers in fewer than {LEAST} folds, so it is left out of the cross-validation")
    return [clip for clip in clips if clip.corpus not in few]


def published(clips: Sequence[Clip]) -> list[Clip]:
    """The clips under their corpus's own labels, of the corpora whose owner published more than the seven emotions tell
    apart: in a mixture with others nobody could say what a neutral clip is.

    Raises:
        FoldsError: there is no such corpus.
    """
    found = sorted({clip.corpus for clip in clips})
    label_of = {name: corpora.get(name).published_label for name in found}
    if not any(label_of.values()):
        raise FoldsError(
            f"folds.classes is published, but {', '.join(found)} tell apart no more than the seven emotions do"
        )
    for name in found:
        if label_of[name] is None:
            print(f"{name}: published with no class beyond the seven emotions, so it is left out")
    # People voted among the emotions, so votes say nothing about the classes.
    unsaid = dict.fromkeys(("votes", "votes_face", "votes_voice"))
    return [
        clip.model_copy(update={"label": label(clip), **unsaid}) for clip in clips if (label := label_of[clip.corpus])
    ]


def classes_of(clips: Sequence[Clip]) -> tuple[str, ...]:
    """What is told apart: the seven emotions, then what the clips are labelled beyond them."""
    return (*EMOTIONS, *sorted({clip.label for clip in clips if clip.label} - set(EMOTIONS)))


def fold_numbers(clips: Sequence[Clip]) -> list[int]:
    """The folds that there are, in order.

    Raises:
        FoldsError: there are fewer than three: one to test, one to validate and one to train on.
    """
    numbers = sorted({c.fold for c in clips if c.fold is not None and c.split != "unused"})
    if len(numbers) < LEAST:
        names = ", ".join(sorted({c.corpus for c in clips})) or "these corpora"
        raise FoldsError(
            f"{names}: cross-validation needs three folds of speakers or more, and there are {len(numbers)}. A corpus "
            "with an official split and no folds (face images) can only be added to one that has them"
        )
    return numbers


def assign_fold(clips: Sequence[Clip], number: int) -> list[Clip]:
    """Put each clip on its side when fold `number` is tested.

    In each corpus the speakers of that fold are tested, those of the next one (after the last, the first) validate, and
    all others train. Clips without a fold train if they have no official split or are of the official training split;
    else they are not used, since no speaker of theirs is ever tested here.
    """
    of_corpus: dict[str, set[int]] = {}
    for clip in clips:
        if clip.fold is not None:
            of_corpus.setdefault(clip.corpus, set()).add(clip.fold)
    following = {}
    for corpus, found in of_corpus.items():
        numbers = sorted(found)
        following[corpus] = numbers[bisect_right(numbers, number) % len(numbers)]

    def of(clip: Clip) -> SplitName:
        if clip.split == "unused":
            return "unused"
        if clip.fold is None:
            return "train" if clip.split in (None, "train") else "unused"
        if clip.fold == number:
            return "test"
        return "val" if clip.fold == following[clip.corpus] else "train"

    return [c.model_copy(update={"split": of(c)}) for c in clips]


def cross_validate(params: Params, processed: Path, out: Path) -> Report:
    """Train and test once for each fold, and write what came of it.

    The hyperparameters are `params.train` as it is written, never what the search found: it searched on the validation
    speakers of one split, who are test speakers here.

    Args:
        params: `folds` says which modalities are given, which classes are told apart and how many folds are trained at
            once.
        processed: the folder of prepared samples and of each corpus's manifest.
        out: gets `metrics.json` (the report but for its rows), `folds.csv` and `speakers.csv` (the rows),
            `predictions.csv` (a row per clip) and `figures/speakers.png`.

    Returns:
        See `report`.

    Raises:
        FoldsError: a corpus is not prepared, there are too few folds, no clip holds these modalities, or no corpus has
            more classes than the seven emotions where these are asked for.
    """
    params = as_folds_train(params)
    listed = prepared(processed, params.corpora)
    listed = cross_validated(published(listed) if params.folds.classes == "published" else listed)
    clips = with_modalities(listed, params.folds.modalities)
    refuse_met(params, {c.corpus for c in clips if c.fold is not None})
    numbers = fold_numbers(clips)
    classes = classes_of(clips)
    key = work_key(params, clips, classes, corpus_keys(params, clips, processed))
    rounds = [
        Round(f"fold {number}", params, assign_fold(clips, number), WORK / "folds" / key / str(number))
        for number in numbers
    ]
    with mlflow_runs.reopen("folds", params, key=f"folds-{key}") as run:
        done = train_and_test(rounds, classes, processed, run)
        left_out = sum(c.fold is not None for c in listed) - sum(c.fold is not None for c in clips)
        told = report(done, params, left_out, classes)
        _write(told, done, classes, out)
        run.metrics(summary(told))
        run.figure(out, "folds")
        run.outcome(f"UAR {told['uar']:.3f} over {len(numbers)} folds")
    return told


def report(done: Sequence[Answers], params: Params, left_out: int = 0, classes: Sequence[str] = EMOTIONS) -> Report:
    """What cross-validation says.

    Args:
        done: all folds.
        params: those of the run.
        left_out: clips of these speakers that hold none of the modalities (recordings too quiet to count as voice), and
            so were not asked.
        classes: what was told apart, in the order of the probabilities.

    Returns:
        Fit for JSON. `uar` is the mean over the folds, its interval Student's t over them; `pooled` has the scores of
        all clips together, with intervals over the speakers, `per_class` recall, precision and F1 of each class, and
        `by_corpus` the scores of each corpus; `per_speaker` least, median and most of the speakers' own scores; `folds`
        and `speakers` a row for each.
    """
    from scipy.stats import t

    clips = [clip for fold in done for clip in fold.clips]
    truth = targets(clips, classes)
    answers = one_hot(np.concatenate([fold.probabilities for fold in done]))
    bootstrap = Bootstrap(params.evaluate.bootstrap, params.seed)
    of_speaker: dict[str, list[int]] = {}
    for place, clip in enumerate(clips):
        of_speaker.setdefault(clip.person, []).append(place)

    folds = [
        {
            "fold": fold.clips[0].fold,
            "n": len(fold.clips),
            "n_speakers": n_speakers(fold.clips),
            **_scores(targets(fold.clips, classes), one_hot(fold.probabilities)),
            "epoch": int(fold.best["epoch"]),
            "val_uar": fold.best["val_uar"],
        }
        for fold in done
    ]
    speakers = [
        {
            **{name: getattr(clips[places[0]], name) for name in ("corpus", "speaker", "sex", "fold")},
            "n": len(places),
            "n_classes": len(set(truth[places].tolist())),
            **_scores(truth[places], answers[places]),
        }
        for _, places in sorted(of_speaker.items())
    ]
    uars = np.array([fold["uar"] for fold in folds])
    half = t.ppf(0.975, len(uars) - 1) * uars.std(ddof=1) / np.sqrt(len(uars))
    told: Report = {
        "protocol": _protocol(clips, params, len(folds), left_out, classes),
        **about(clips, params.train.pairing),
        "modalities": list(params.folds.modalities),
        "n_folds": len(folds),
        "n_left_out": left_out,
        "uar": float(uars.mean()),
        "uar_low": float(uars.mean() - half),
        "uar_high": float(uars.mean() + half),
        "uar_sd": float(uars.std(ddof=1)),
        "pooled": score(truth, answers, clips, bootstrap, metrics.uar, metrics.war, metrics.macro_f1),
        "per_class": metrics.per_class(metrics.soft_confusion(truth, answers), classes),
        "by_corpus": by(lambda c: c.corpus, truth, answers, clips, bootstrap),
        "per_speaker": {key: _spread([row[key] for row in speakers]) for key in ("uar", "war")},
        "folds": folds,
        "speakers": speakers,
    }
    return {key: plain(value) for key, value in told.items()}


def summary(told: Report) -> Report:
    """A report without its rows: what is compared between versions."""
    return {key: value for key, value in told.items() if key not in ("folds", "speakers")}


def in_words(told: Report) -> str:
    """A report as a few lines of text."""
    pooled, speakers = told["pooled"], told["per_speaker"]["uar"]
    folds = " ".join(f"{fold['uar']:.3f}" for fold in told["folds"])
    lines = [
        told["protocol"],
        *([f"Note: {told['note']}."] if "note" in told else []),
        f"UAR of each fold    {folds}",
        f"mean over folds     {told['uar']:.3f} (95% {told['uar_low']:.3f} to {told['uar_high']:.3f})",
        f"all clips pooled    {pooled['uar']:.3f} (95% {pooled['uar_low']:.3f} to {pooled['uar_high']:.3f})",
        f"accuracy, pooled    {pooled['war']:.3f} (95% {pooled['war_low']:.3f} to {pooled['war_high']:.3f})",
        f"of a single speaker {speakers['min']:.3f} to {speakers['max']:.3f}, median {speakers['median']:.3f}",
    ]
    return "\n".join(lines)


def as_folds_train(params: Params) -> Params:
    """The parameters of a run of folds: `train.epochs` is `folds.epochs`, and only the branches of `folds.modalities`
    are trained.
    """
    epochs = {} if params.folds.epochs is None else {"epochs": params.folds.epochs}
    own = [name for name in params.train.branches if name in params.folds.modalities]
    branches = {name: params.train.branches[name] | epochs for name in own}
    return params.model_copy(update={"train": params.train.model_copy(update=epochs | {"branches": branches})})


def trainings(params: Params) -> list[Train]:
    """What is trained: the whole network, or each branch apart."""
    return [params.train.of_branch(name) for name in params.train.branches] or [params.train]


def refuse_met(params: Params, tested: set[str]) -> None:
    """A network that goes on from weights which learnt from a corpus, or is taught by them, has met that corpus, and
    what else was made of its recordings.

    Raises:
        FoldsError: one of the trainings would.
    """
    recordings = {corpora.recorded_for(name) for name in tested}
    for training in trainings(params):
        for key in ("init_from", "taught_by"):
            name = getattr(training, key)
            if name and (path := Path(name)).is_file():
                met = sorted(n for n in learnt_from(read_origin(path)) if corpora.recorded_for(n) in recordings)
                if met:
                    raise FoldsError(
                        f"{path} (train.{key}) learnt from {', '.join(met)}: a network that "
                        f"{'goes on from it' if key == 'init_from' else 'it teaches'} has met what is to be tested. "
                        f"Set {key}: null"
                    )


def as_written(params: Params) -> str:
    """Where the hyperparameters come from, in words."""
    epochs = " or ".join(str(number) for number in sorted({train.epochs for train in trainings(params)}))
    return f"Hyperparameters as params.yaml has them, the best of {epochs} epochs, seed {params.seed}."


def corpus_keys(params: Params, clips: Sequence[Clip], processed: Path) -> dict[str, str]:
    """For each corpus the key of everything in it that decides a result: of all clips, since each is trained on in some
    round.
    """
    learnt = [c.model_copy(update={"split": "train"}) for c in clips]
    return {
        name: data_key(params, processed / name / MANIFEST, [c for c in learnt if c.corpus == name], processed)
        for name in sorted({c.corpus for c in clips})
    }


def work_key(params: Params, clips: Sequence[Clip], classes: Sequence[str], keys: Mapping[str, str]) -> str:
    """The key of everything that decides what comes of these clips.

    Args:
        keys: of each corpus, `corpus_keys`.
    """
    own = [keys[name] for name in sorted({c.corpus for c in clips})]
    # A reader may give other labels than the manifests hold, and a side is given here.
    told = " ".join([*classes, *(f"{c.label} {c.split}" for c in clips)])
    return fingerprint([*own, params.train, "+".join(params.folds.modalities), told], [Path(__file__)])


def train_and_test(rounds: Sequence[Round], classes: Sequence[str], processed: Path, parent: Run) -> list[Answers]:
    """What came of each round, in their order; `folds.jobs` of the first says how many are trained at once.

    Args:
        classes: what is told apart.
        processed: the folder of prepared samples.
        parent: the run of which each round's own is a part.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    pool = Parallel(n_jobs=rounds[0].params.folds.jobs, return_as="generator_unordered")
    tasks = (delayed(_train_and_test)(one, classes, processed, parent) for one in rounds)
    done = {tested.name: tested for tested in tqdm(pool(tasks), total=len(rounds), desc="folds", unit="fold")}
    return [done[one.name] for one in rounds]


def _train_and_test(one: Round, classes: Sequence[str], processed: Path, parent: Run) -> Answers:
    """Train and test once, in a process of its own, unless that is done: `WORK/answers.npz` holds the answers."""
    import torch
    from filelock import FileLock

    torch.set_num_threads(1)
    params, test = one.params, [c for c in one.clips if c.split == "test"]
    file, checkpoint = one.work / "answers.npz", one.work / "network.ckpt"
    one.work.mkdir(parents=True, exist_ok=True)
    # A worker may outlive a run that was killed: the next run waits until it is done, and has its answers.
    with FileLock(one.work / "lock"):
        if not file.exists():
            key = "-".join(one.work.relative_to(WORK).parts)
            with mlflow_runs.reopen(one.name, params, key=key, parent=parent) as run:

                def on_epoch(row: dict[str, float]) -> None:
                    run.metrics({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

                fitted = fit(
                    params,
                    params.train,
                    one.clips,
                    processed,
                    seed=params.seed,
                    checkpoint=checkpoint,
                    on_epoch=on_epoch,
                    title=one.name,
                    classes=classes,
                )
                probabilities = predict(fitted.network, test, processed, modalities=params.folds.modalities)
                scores = _scores(targets(test, classes), one_hot(probabilities))
                run.metrics({"test": scores})
                run.outcome(f"UAR {scores['uar']:.3f}")
            part = file.with_suffix(".part")
            with part.open("wb") as stream:
                np.savez(stream, probabilities=probabilities, best=json.dumps(fitted.best))
            part.replace(file)
            forget(checkpoint)
    with np.load(file) as answers:
        return Answers(one.name, test, answers["probabilities"], json.loads(answers["best"].item()))


def _scores(truth: metrics.Ints, answers: npt.NDArray[np.float64]) -> Report:
    counts = metrics.soft_confusion(truth, answers)
    return {"uar": float(metrics.uar(counts)), "war": float(metrics.war(counts))}


def _spread(values: Sequence[float]) -> Report:
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)}


def _protocol(clips: Sequence[Clip], params: Params, folds: int, left_out: int, classes: Sequence[str]) -> str:
    """How the scores came about, in words."""
    tested = []
    for name in sorted({c.corpus for c in clips}):
        own = [c for c in clips if c.corpus == name]
        tested.append(f"{name}, {counted(len(own), 'clip')} of {counted(n_speakers(own), 'speaker')}")
    told_apart = "" if tuple(classes) == EMOTIONS else f" Told apart as published: {', '.join(classes)}."
    without = f" Left out, since they hold none of that: {counted(left_out, 'clip')} of theirs." if left_out else ""
    return (
        f"{folds}-fold cross-validation by speaker over the corpora's own folds ({'; '.join(tested)}): each clip is "
        "tested once, by a network that was trained without its speaker; of the other folds the next one chooses the "
        f"epoch and the rest trains. Given: {', '.join(params.folds.modalities)}.{told_apart}{without} "
        f"{as_written(params)} "
        "Against intended labels. The mean over folds has a 95% interval of Student's t; folds share training data, so "
        "that it is rather too narrow. "
        f"Other intervals: 95%, {params.evaluate.bootstrap} resamples of {resampled(clips)}."
    )


def _write(told: Report, done: Sequence[Answers], classes: Sequence[str], out: Path) -> None:
    """The same report gives the same bytes."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", summary(told))
    for name in ("folds", "speakers"):
        rows = told[name]
        write_csv(out / f"{name}.csv", list(rows[0]), (row.values() for row in rows))
    clips = [clip for fold in done for clip in fold.clips]
    write_predictions(out / "predictions.csv", clips, np.concatenate([f.probabilities for f in done]), classes)
    plot_speakers(told, out / "figures" / "speakers.png")
