"""The command line: `mmer predict clip.mp4`, `mmer explain clip.mp4`, `mmer stream --camera`, `mmer serve`,
`mmer info`, `mmer demo-corpus`, `mmer folds`, `mmer promote`, `mmer rollback`, `mmer follow`.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmer import __version__
from mmer.errors import MmerError
from mmer.labels import EMOTIONS, MODALITIES

if TYPE_CHECKING:
    from mmer.runtime.calibration import Calibration
    from mmer.runtime.graph import ModelInfo
    from mmer.runtime.results import Prediction, Step

DRAWN = "This model was trained on drawn people: what it says is no evidence about real ones."
FOLDS, CROSS_CORPUS = Path("reports/folds"), Path("reports/cross_corpus")
"""Where the reports of `mmer folds` go."""

BAR = 12
"""Characters of a full bar."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0, or 1 where something could not be done; argparse itself exits with 2 on a wrong command line.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold what no encoding has
    args = parser().parse_args(argv)
    atexit.register(gc.freeze)  # else Python looks for cycles in all that was loaded before it ends: 80 ms
    try:
        code: int = args.run(args)
    except MmerError as error:
        return _complain(error)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "mmer":  # a mistake in here
            raise
        return _complain(
            f"`mmer {args.command}` needs {error.name}, which is not installed: pip install '{args.needs}'"
        )
    except BrokenPipeError:  # `mmer predict … | head`
        sys.stderr.close()
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(prog="mmer", description="Emotion from a person's face, surroundings and voice.")
    whole.add_argument("--version", action="version", version=f"mmer {__version__}")
    whole.set_defaults(needs="mmer")  # what to install for a command's packages: the package itself, or with an extra
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="the model's folder, or a graph in it (default: $MMER_MODEL, else release/ here, else mmer's own)",
    )

    predict = commands.add_parser(
        "predict",
        parents=[model],
        help="recognise the emotion in clips",
        description="Recognise the emotion in clips, of any length. A file that cannot be used is a row with its "
        "reason; the exit code is 1 where that happened to a file that was named, or to all. Files of a folder that "
        "turn out to be no clips are no failure.",
    )
    predict.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="a video, sound or image; or a folder of them"
    )
    predict.add_argument("--json", action="store_true", help="print one JSON object per clip and line")
    predict.add_argument("--start", type=_seconds_of, default=0.0, metavar="S", help="begin at this second")
    predict.add_argument("--end", type=_seconds_of, metavar="S", help="end at this second")
    predict.add_argument(
        "--neutral",
        type=Path,
        metavar="CLIP",
        help="some seconds of the same person at rest, taken off what is said of the others (docs/calibration.md)",
    )
    tables = predict.add_argument_group(
        "tables",
        "Files whose names end in .csv or .parquet, instead of what is printed. A run that was cut goes on when it is "
        "called again, and what is done is not done again unless a file or the model is another: TABLE.journal knows.",
    )
    tables.add_argument("--csv", type=Path, metavar="TABLE", help="a row for each clip, those that failed among them")
    tables.add_argument("--steps", type=Path, metavar="TABLE", help="with --csv: also a row for each step of each clip")
    tables.add_argument(
        "--utterances", type=Path, metavar="TABLE", help="with --csv: also a row for each utterance of each clip"
    )
    tables.add_argument(
        "--people", type=Path, metavar="TABLE", help="with --csv: also a row for each person at each step"
    )
    tables.add_argument(
        "--jobs", type=_count_of, metavar="N", help="with --csv: clips at once (default: as many as cores)"
    )
    files = predict.add_argument_group(
        "a file for each clip",
        "A name with the ending is the file; one without is a folder of files named as the clips.",
    )
    files.add_argument(
        "--plot", type=Path, metavar="PNG", help="the timeline as a picture (PNG of several clips: PNG-1, PNG-2, …)"
    )
    files.add_argument("--eaf", type=Path, metavar="EAF", help="the timeline as tiers of an annotation for ELAN")
    files.add_argument("--textgrid", type=Path, metavar="TEXTGRID", help="the same for Praat")
    predict.set_defaults(run=_predict, needs="mmer[research]")

    explain = commands.add_parser(
        "explain",
        parents=[model],
        help="draw why a clip was recognised as it was",
        description="Draw what face, surroundings and voice brought to an emotion at each moment of a clip (by leaving "
        "each out), and which parts of the face were looked at (by covering them).",
    )
    explain.add_argument("path", type=Path, metavar="CLIP", help="a video, sound or image")
    explain.add_argument("--emotion", choices=EMOTIONS, help="instead of the one that is recognised")
    explain.add_argument("--out", type=Path, metavar="PNG", default=Path("explain.png"), help="default: %(default)s")
    explain.set_defaults(run=_explain)

    stream = commands.add_parser(
        "stream",
        help="send a clip or a camera to a running service, live",
        description="Send a clip, played at its own speed, or a camera (without a microphone: for that, open the page) "
        "to a running service, and print a line for each step that it answers.",
    )
    source = stream.add_mutually_exclusive_group(required=True)
    source.add_argument("--file", type=Path, metavar="CLIP", help="a video, sound or image")
    source.add_argument("--camera", nargs="?", const="0", metavar="N", help="the first camera, or the N-th from 0")
    stream.add_argument("url", nargs="?", default="http://localhost:3000", metavar="URL", help="default: %(default)s")
    stream.add_argument("--speed", type=float, default=1.0, metavar="X", help="2 plays the clip twice as fast")
    stream.add_argument("--key", metavar="KEY", help="the service's API key (default: $MMER_KEY)")
    stream.add_argument("--json", action="store_true", help="print the service's messages, one a line")
    stream.set_defaults(run=_stream)

    serve = commands.add_parser(
        "serve",
        parents=[model],
        help="serve the page, live streams and uploads over HTTP",
        description="Serve the page, live streams and uploads over HTTP, until Ctrl-C.",
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0: whoever reaches this machine (default: %(default)s)"
    )
    serve.add_argument("--port", type=int, default=3000, metavar="N", help="default: %(default)s")
    serve.set_defaults(run=_serve, needs="mmer[serve]")

    info = commands.add_parser("info", parents=[model], help="say what a model is and was trained on")
    info.set_defaults(run=_info)

    demo = commands.add_parser("demo-corpus", help="draw a small corpus of speaking faces, for trying the pipeline")
    demo.add_argument("out", type=Path, metavar="OUT", help="the folder to write to")
    demo.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed draws the same corpus (default: %(default)s)"
    )
    demo.add_argument("--speakers", type=int, default=26, metavar="N", help="how many (default: %(default)s)")
    demo.add_argument(
        "--takes", type=int, default=2, metavar="N", help="clips per speaker and emotion (default: %(default)s)"
    )
    demo.add_argument("--affect", action="store_true", help="also tell the valence and arousal of each clip")
    demo.set_defaults(run=_demo_corpus, needs="mmer[train]")

    folds = commands.add_parser("folds", help="cross-validate by speaker, or leave whole corpora out")
    folds.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="YAML", help="default: params.yaml")
    folds.add_argument("--corpora", nargs="+", metavar="NAME", help="instead of those of params.yaml")
    folds.add_argument(
        "--leave-out",
        nargs="*",
        metavar="CORPUS",
        help="instead of folds of speakers: test each of these corpora whole, by a network that was trained on the "
        "others and never heard it (without names: each of the corpora in turn)",
    )
    folds.add_argument("--modalities", nargs="+", choices=MODALITIES, metavar="NAME", help=" ".join(MODALITIES))
    folds.add_argument(
        "--classes",
        metavar="NAME",
        help="emotions: the seven; published: those that a corpus's owner tells apart, if more",
    )
    folds.add_argument("--epochs", type=int, metavar="N", help="instead of train.epochs")
    folds.add_argument("--jobs", type=int, metavar="N", help="folds trained at once, each in one thread; -1: all cores")
    folds.add_argument("--out", type=Path, metavar="DIR", help=f"default: {FOLDS}, or with --leave-out {CROSS_CORPUS}")
    folds.set_defaults(run=_folds, needs="mmer[train]")

    promote = commands.add_parser(
        "promote",
        help="put a version of MLflow's registry into production, or on trial",
        description="Move the alias `production` of MLflow's registry ($MLFLOW_TRACKING_URI, else mlflow.db) to a "
        "version, or with --share the alias `canary`. Services take it by `mmer follow`.",
    )
    promote.add_argument("version", metavar="VERSION", help="a number, or an alias: champion is the last packaged")
    promote.add_argument("--share", type=_share_of, metavar="S", help="try it on this share of new streams: 0.1")
    promote.set_defaults(run=_promote, needs="mmer[train]")

    back = commands.add_parser(
        "rollback",
        help="end a trial, or put the version before into production again",
        description="End the trial of a canary; where there is none, move the alias `production` back to the version "
        "before.",
    )
    back.set_defaults(run=_rollback, needs="mmer[train]")

    follow = commands.add_parser(
        "follow",
        help="bring what is in production into a folder that services serve",
        description="Bring the versions that MLflow's registry names into a folder, and name them in its served.json. "
        "Services whose MMER_MODEL is that folder take them within a second, and cut no stream off. A version that "
        "cannot be served is told, and the one before goes on.",
    )
    follow.add_argument("folder", type=Path, metavar="DIR", help="made where it is not there")
    follow.add_argument("--every", type=_seconds_of, default=10.0, metavar="S", help="look so often (default: 10)")
    follow.add_argument("--once", action="store_true", help="look once; the exit code is 1 where something is refused")
    follow.set_defaults(run=_follow, needs="mmer[train]")
    return whole


def _predict(args: argparse.Namespace) -> int:
    from mmer.batch.places import EAF, PICTURE, TEXTGRID, places
    from mmer.batch.told import own_files, refuse, tell

    if args.end is not None and args.end <= args.start:
        return _complain(f"--end {args.end:g} must be later than --start {args.start:g}")
    if args.csv is None and (args.steps or args.utterances or args.people or args.jobs):
        return _complain(
            "--steps, --utterances, --people and --jobs go with --csv: what is done is kept beside that table"
        )
    if args.csv is not None and args.json:
        return _complain("--json prints what --csv writes to a table: one or the other")
    if args.plot:
        from mmer.plots.timeline import plot_timeline
    if args.eaf or args.textgrid:
        from mmer.batch.annotations import write_annotation  # what it needs may be missing: told before any work
    recognizer = own_files(args.model)
    if recognizer.info.drawings:
        print(f"mmer: {DRAWN}", file=sys.stderr)
    found = dict(_clips(args.paths))
    if not found:
        return _complain(f"no video, sound or image in {', '.join(map(str, args.paths))}")
    outs = {kind: out for kind, out in ((PICTURE, args.plot), (EAF, args.eaf), (TEXTGRID, args.textgrid)) if out}
    calibration = None if args.neutral is None else recognizer.calibrate(args.neutral)
    if args.csv is not None:
        return _tables(args, found, outs, recognizer.info, calibration)
    failed, done = 0, 0
    for (path, named), files in zip(found.items(), places(list(found), args.paths, outs), strict=True):
        try:
            prediction = recognizer.predict(
                path, keep_crops=args.plot is not None, start_s=args.start, end_s=args.end, calibration=calibration
            )
        except (MmerError, OSError) as error:
            reason = f"{path}\n        not recognised: {getattr(error, 'reason', error)}\n"
            print(json.dumps(refuse(path, error)) if args.json else _printable(reason), flush=True)
            failed |= _complain(error) if named else 0
            continue
        done += 1
        print(json.dumps(prediction.to_json()) if args.json else _table(prediction), flush=True)
        for kind, out in files.items():
            try:
                if kind == PICTURE:
                    plot_timeline(prediction, out)
                else:
                    write_annotation(tell(prediction), path, out, args.start)
            except (OSError, ValueError) as error:
                failed |= _complain(f"{out} cannot be written: {error}")
    return failed if done else 1


def _tables(
    args: argparse.Namespace,
    found: Mapping[Path, bool],
    files: Mapping[str, Path],
    info: ModelInfo,
    calibration: Calibration | None,
) -> int:
    """Of files, each with whether it was named itself."""
    from mmer.batch.pool import Job
    from mmer.batch.run import Outputs, run
    from mmer.batch.tables import MORE

    more = {name: path for name in MORE if (path := getattr(args, name))}
    out, job = Outputs(args.csv, more, files), Job(args.model, args.start, args.end, calibration)
    try:
        outcome = run(list(found), args.paths, job, out, info, args.jobs)
    except KeyboardInterrupt:
        print(f"mmer: stopped: {args.csv} holds what is done; the same command goes on", file=sys.stderr)
        return 130
    except OSError as error:
        return _complain(error)
    print(f"{outcome}: {' '.join(map(str, out.tables))}")
    return int(not outcome.recognised or any(found[path] for path in outcome.failed))


def _stream(args: argparse.Namespace) -> int:
    import asyncio
    import os

    from mmer.client.playback import film, pieces, play
    from mmer.client.stream import LostError, connect, stay

    if args.camera is not None and not args.camera.isdecimal():  # `--camera URL`: no number was given
        args.camera, args.url = "0", args.camera
    clip = pieces(args.file) if args.file else []
    sound = any(piece.voice for piece in clip)
    picture = args.file is None or any(piece.jpeg for piece in clip)

    def show(message: dict[str, Any], late_s: float) -> None:
        if args.json:
            print(json.dumps(message), flush=True)
        elif message["type"] == "step":
            share = max(message["probabilities"].values())
            here = " ".join(name for name, there in message["present"].items() if there) or "nothing to go by"
            label = message["label"] or "–"
            print(
                f"{message['t']:6.1f}s  {label:<9} {_bar(share)} {share:4.0%}  {1000 * late_s:4.0f} ms  {here}",
                flush=True,
            )
        elif message["type"] == "utterance":
            print(_spoken(message), flush=True)
        elif message["type"] == "dropped":
            print(f"mmer: the service is behind and skipped {message['steps']} steps", file=sys.stderr)
        elif message["type"] == "error":
            print(f"mmer: {message['message']}", file=sys.stderr)

    def lost(error: LostError) -> None:
        print(f"mmer: {error}; trying again", file=sys.stderr)

    async def run() -> None:
        key = args.key or os.environ.get("MMER_KEY")
        if args.file:
            async with connect(args.url, key=key, video=picture, audio=sound) as session:
                await play(session, clip, show, speed=args.speed)
        else:
            await stay(args.url, lambda session: film(session, int(args.camera), show), lost=lost, key=key, audio=False)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(args: argparse.Namespace) -> int:
    import importlib.util
    import os

    from mmer.runtime.graph import find_model
    from mmer.runtime.versions import SERVED

    if importlib.util.find_spec("bentoml") is None:
        raise ModuleNotFoundError("no bentoml", name="bentoml")
    package = Path(__file__).resolve().parent
    installed = package / "app"  # setup.py puts there what the repository has beside the package
    home = installed if (installed / "service.py").is_file() else package.parent
    named = args.model or Path(os.environ.get("MMER_MODEL") or "release")
    os.environ["MMER_MODEL"] = str((named if (named / SERVED).is_file() else find_model(args.model)).resolve())
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    what = ["service:svc", "--working-dir", str(home), "--host", args.host, "--port", str(args.port)]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", *what])  # noqa: S606 - a list, and no shell


def _explain(args: argparse.Namespace) -> int:
    from mmer.plots.explanation import plot_explanation
    from mmer.runtime.recognizer import Recognizer, explain_clip

    recognizer = Recognizer.load(args.model)
    if recognizer.info.drawings:
        print(f"mmer: {DRAWN}", file=sys.stderr)
    prediction, explanation = explain_clip(recognizer, args.path, args.emotion)
    if explanation is None:
        return _complain(f"{args.path} shows no face and no voice that the model could go by: nothing to explain")
    info = prediction.model
    note = DRAWN if info.drawings else ""
    plot_explanation(explanation, args.out, step_s=info.input.step_s, title=args.path.name, note=note)
    means = {name: float(values.mean()) for name, values in explanation.contributions.items()}
    told = ", ".join(f"{name} {mean:+.2f}" for name, mean in means.items())
    print(f"{args.path}: {explanation.emotion}; brought on average, in nats: {told}\n{args.out}")
    return 0


def _info(args: argparse.Namespace) -> int:
    from mmer.runtime.graph import find_model
    from mmer.runtime.recognizer import Recognizer

    info = Recognizer.load(args.model).info
    given = info.input
    rows = {
        "version": f"{info.version} (git {info.git})",
        "emotions": " ".join(info.labels),
        "modalities": " ".join(info.modalities) + _untrained(info),
        **({"affect": f"valence and arousal, from {' or '.join(info.affect)}"} if info.affect else {}),
        "status": info.status,
        "trained on": ", ".join(info.corpora) + _made_up(info),
        **({"gone on from": str(info.start[0])} if info.start else {}),
        "licence": info.licence,
        "step": f"{given.step_s:g} s, voice window {given.voice_window_s:g} s",
        "pictures": f"face {given.face_size} px, scene {given.scene_size} px",
        "folder": str(find_model(args.model).parent),
        "limits": f"{info.media.max_duration_s:g} s a clip, faces from {info.faces.min_face} px",
    }
    print("\n".join(f"{name:<12} {value}" for name, value in rows.items()))
    if info.drawings:
        print(f"\n{DRAWN}")
    return 0


def _demo_corpus(args: argparse.Namespace) -> int:
    from mmer.data.demo.corpus import draw_corpus

    draw_corpus(args.out, seed=args.seed, speakers=args.speakers, takes=args.takes, affect=args.affect)
    print(f"{args.out}: drawn people, for trying the pipeline; no evidence about real ones")
    return 0


def _folds(args: argparse.Namespace) -> int:
    from mmer.evaluation import cross_corpus, cross_validation
    from mmer.params import load_params

    if args.leave_out is not None and args.classes == "published":
        return _complain(
            "corpora share no classes but the seven emotions: --leave-out or --classes published, not both"
        )
    given = {f"folds.{key}": getattr(args, key) for key in ("modalities", "classes", "epochs", "jobs")}
    params = load_params(args.params, {key: value for key, value in given.items() if value is not None})
    if args.corpora:  # only what is prepared counts here, not how it is fetched and split
        params = params.model_copy(update={"corpora": tuple(args.corpora)})
    processed = Path("data/processed")
    if args.leave_out is None:
        print(cross_validation.in_words(cross_validation.cross_validate(params, processed, args.out or FOLDS)))
    else:
        told = cross_corpus.leave_out(
            params, args.leave_out, processed, args.out or CROSS_CORPUS, FOLDS / "metrics.json"
        )
        print(cross_corpus.in_words(told))
    return 0


def _promote(args: argparse.Namespace) -> int:
    from mmer.packaging import deploy

    print(deploy.promote(args.version, args.share))
    return 0


def _rollback(_: argparse.Namespace) -> int:
    from mmer.packaging import deploy

    print(deploy.rollback())
    return 0


def _follow(args: argparse.Namespace) -> int:
    from mmer.packaging import deploy

    def told(text: str) -> None:
        print(f"mmer: {text}", file=sys.stderr, flush=True)

    try:
        return int(not deploy.follow(args.folder, None if args.once else args.every, told))
    except KeyboardInterrupt:
        return 130


def _clips(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Each file named, and of each folder named the media files below it, in the order of their names; with each,
    whether it was named itself. Hidden files (such as a Mac's `._clip.mp4`) are no clips.
    """
    from mmer.runtime.media import IMAGE, SOUND, VIDEO

    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        hidden = 0
        for found in sorted(path.rglob("*")):
            if found.suffix.lower() in VIDEO + SOUND + IMAGE and found.is_file():
                if any(part.startswith(".") for part in found.relative_to(path).parts):
                    hidden += 1
                else:
                    yield found, False
        if hidden:
            files = "1 hidden file" if hidden == 1 else f"{hidden} hidden files"
            print(f"mmer: {_printable(str(path))}: {files} left out", file=sys.stderr)


def _table(prediction: Prediction) -> str:
    """The clip second by second, and what it is as a whole."""
    rows = [_printable(prediction.path), f"{'time':>7}  {'emotion':<9} {'':<{BAR}}   p    face voice"]
    for step in _seconds(prediction):
        probability = float(step.probabilities.max())
        seen = " ".join(f"{'yes' if step.present[name] else '–':^5}" for name in ("face", "voice"))
        rows.append(f"{step.t:6.1f}s  {step.label or '–':<9} {_bar(probability)} {probability:4.0%}  {seen}".rstrip())
    if prediction.label is None:
        shown = any(note.code in ("no_face", "small_face") for note in prediction.notes)
        picture = "no face was found in its picture" if shown else "no picture"
        rows.append(f"        nothing to go by: {picture}, and no voice above the silence level")
    else:
        best = sorted(zip(prediction.probabilities.tolist(), EMOTIONS, strict=True), reverse=True)
        rows.append(f"  whole  {prediction.label:<9} {_bar(best[0][0])} {best[0][0]:4.0%}")
        rows.append("         " + "  ".join(f"{name} {probability:.0%}" for probability, name in best))
    rows += [_spoken(utterance.to_json()) for utterance in prediction.utterances]
    if said := [f"{name} {value:+.2f}" for name, value in prediction.affect.items() if value is not None]:
        rows.append("         " + ", ".join(said))
    if lacks := [name for name in prediction.missing if name in prediction.model.modalities]:
        rows.append(f"         without {' and '.join(lacks)}")
    rows += [f"         the file {note.text}" for note in prediction.notes]
    return "\n".join(rows) + "\n"


def _seconds(prediction: Prediction) -> Iterator[Step]:
    """One row a second: the mean of its steps' probabilities over those with evidence, and what any of them had."""
    import numpy as np

    per_row = max(1, round(1 / prediction.model.input.step_s))
    for first in range(0, len(prediction.steps), per_row):
        steps = prediction.steps[first : first + per_row]
        counted = [s for s in steps if s.label is not None] or steps
        probabilities = np.mean([s.probabilities for s in counted], axis=0)
        label = EMOTIONS[int(probabilities.argmax())] if counted[0].label is not None else None
        present = {name: any(s.present[name] for s in steps) for name in MODALITIES}
        yield replace(steps[-1], probabilities=probabilities, label=label, present=present)


def _spoken(utterance: Mapping[str, Any]) -> str:
    """An utterance in a line."""
    share = f"{utterance['label']} {utterance['confidence']:.0%}" if utterance["label"] else "nothing to go by"
    return f"         spoken from {utterance['start']:.1f} to {utterance['end']:.1f} s: {share}"


def _bar(share: float) -> str:
    """A share as a bar of eighths of a character."""
    eighths = round(share * BAR * 8)
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]).strip().ljust(BAR)


def _untrained(info: ModelInfo) -> str:
    names = [name for name in MODALITIES if name not in info.modalities]
    return f" (not trained: {', '.join(names)})" if names else ""


def _made_up(info: ModelInfo) -> str:
    """What in the training was not a clip of a person."""
    parts = ["some are drawings"] if info.partly_drawn and not info.drawings else []
    parts += ["faces and voices of different recordings were paired"] if info.pairing != "none" else []
    return f" ({'; '.join(parts)})" if parts else ""


def _complain(problem: object) -> int:
    print(f"mmer: {_printable(str(problem))}", file=sys.stderr)
    return 1


def _printable(text: str) -> str:
    """A text with what a terminal should not be sent (a file's name may hold it) escaped."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _seconds_of(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e6:
        raise ValueError(text)
    return seconds


def _share_of(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ValueError(text)
    return share


def _count_of(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


if __name__ == "__main__":
    sys.exit(main())
