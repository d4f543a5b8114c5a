"""Time preparing (extract and crop) against facenet-pytorch's loop over identical frames, and say where the time goes.

All times are of the processor (this process and those it starts), not of the clock, so that other work on the machine
does little harm; each is given per second of video. Without clips, those of one speaker of the demo corpus are drawn on
the spot: no evidence about people. `--hours 1` measures instead how much memory a clip of that length takes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch start their threads

import cv2

from mmer.config import Params
from mmer.data.crop import crop_corpus
from mmer.data.demo.corpus import draw_corpus
from mmer.data.extract import JPEG_QUALITY, extract_corpus
from mmer.params import load_params
from mmer.runtime import media
from mmer.runtime.detector import Detector
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Picture

Frames = list[tuple[float, Picture]]


def spent() -> float:
    """Processor seconds of this process and of all that it started and that have ended."""
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in use)


def cost(work: Callable[[], object], times: int = 1) -> float:
    """Processor seconds of some work, the mean of several times."""
    start = spent()
    for _ in range(times):
        work()
    return (spent() - start) / times


def null_decode(clip: Path) -> None:
    """The floor: ffmpeg alone decodes the file and throws it away."""
    subprocess.run(["ffmpeg", "-v", "error", "-threads", "1", "-i", clip, "-f", "null", "-"], check=True)


def grid(clip: Path, params: Params) -> tuple[Frames, float]:
    """A clip's frames on the grid of steps, and its length in seconds."""
    frames: Frames = []
    decoded = media.decode(clip, params.media, params.input.step_s, lambda _, t, rgb: frames.append((t, rgb)))
    return frames, decoded.duration_s


def against_facenet(clips: list[Frames], seconds: float, folder: Path, params: Params) -> list[str]:
    """Every frame by facenet-pytorch, every frame by our detector, and our tracker, frame by frame in turn."""
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    detector, rules = Detector.load(folder, params.faces), params.faces
    theirs = MTCNN(keep_all=True, min_face_size=rules.min_face, thresholds=list(rules.thresholds), factor=0.709)
    for rgb in (clips[0][0][1],) * 2:  # the first detection allocates
        detector.detect(rgb)
        theirs.detect(rgb)
    facenet = every = tracked = 0.0
    for frames in clips:
        tracker = Tracker(detector, rules, params.input)
        for t, rgb in frames:
            facenet += cost(partial(theirs.detect, rgb))
            every += cost(partial(detector.detect, rgb))
            tracked += cost(partial(tracker.track, rgb, t))
    rows = {"facenet-pytorch, every frame": facenet, "our detector, every frame": every, "our tracker, crops": tracked}
    return [f"  {name:<36} {1000 * s / seconds:8.1f} {facenet / s:6.1f}" for name, s in rows.items()]


def parts(clips: list[Path], decoded: list[Frames], seconds: float, params: Params) -> list[str]:
    """The parts of extract and crop that are not the faces."""

    def each(work: Callable[[Path], object]) -> float:
        return sum(cost(partial(work, clip), 3) for clip in clips)

    pictures = [rgb for frames in decoded for _, rgb in frames]
    jpegs = [cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1] for rgb in pictures]
    start = cost(lambda: subprocess.run(["ffmpeg", "-version"], stdout=subprocess.DEVNULL, check=True), 10) * len(clips)
    probe = each(lambda clip: media.probe(clip, params.media))
    whole = each(lambda clip: media.decode(clip, params.media, params.input.step_s, lambda *_: None))
    rows = {
        "floor: ffmpeg starts": start,
        "floor: ffmpeg starts and decodes": each(null_decode),
        "probe (ffprobe starts, reads)": probe,
        "decode onto the grid (ffmpeg)": whole - probe,
        "pictures to JPEG": cost(
            lambda: [cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 95]) for rgb in pictures]
        ),
        "JPEG to pictures": cost(lambda: [cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in jpegs]),
    }
    return [f"  {name:<36} {1000 * s / seconds:8.1f}" for name, s in rows.items()]


def link(clips: list[Path], copies: int, raw: Path) -> None:
    """A corpus of clips, each so many times, as the reader `folder` takes it: the files are links."""
    raw.mkdir()
    names = []
    for k in range(copies):
        for clip in clips:
            names.append(f"{k:04}-{clip.name}")
            (raw / names[-1]).symlink_to(clip.absolute())
    (raw / "clips.csv").write_text("path,label,speaker\n" + "".join(f"{name},happy,one\n" for name in names))


def whole_stages(clips: list[Path], copies: int, seconds: float, folder: Path, params: Params) -> list[str]:
    """extract and crop as the stages run them, with one worker and with two."""
    rows = []
    with tempfile.TemporaryDirectory() as home:
        raw = Path(home) / "raw"
        link(clips, copies, raw)
        for workers in (1, 2):
            rules = params.prepare.model_copy(update={"workers": workers})
            given = params.model_copy(update={"prepare": rules})
            interim, processed = (Path(home) / f"{stage}-{workers}" for stage in ("interim", "processed"))
            clock = time.monotonic()
            extract = cost(partial(alone, extract_corpus, "folder", raw, interim, given))
            crop = cost(partial(alone, crop_corpus, "folder", interim, processed, folder, given))
            clock = time.monotonic() - clock
            whole = seconds * copies
            rows.append(
                f"  {workers:>7} {1000 * extract / whole:11.1f} {1000 * crop / whole:8.1f} "
                f"{1000 * (extract + crop) / whole:8.1f} {whole / (extract + crop):15.1f} {whole / clock:18.1f}"
            )
    return rows


def alone(stage: Callable[..., None], *given: object) -> None:
    """A stage, and the end of its workers, so that what they spent is known."""
    from joblib.externals.loky import get_reusable_executor

    stage(*given)
    get_reusable_executor().shutdown(wait=True)


LONG = """
import resource, sys
from pathlib import Path
from mmer.params import load_params
from mmer.data.crop import crop_corpus
from mmer.data.extract import extract_corpus

raw, out, detector = map(Path, sys.argv[1:])
params = load_params("params.yaml", {"prepare.workers": 1, "media.max_duration_s": 1e6, "media.timeout_s": 1e6})
extract_corpus("folder", raw, out / "interim", params)
crop_corpus("folder", out / "interim", out / "processed", detector, params)
print(*(resource.getrusage(who).ru_maxrss // 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""


def memory(clip: Path, seconds: float, folder: Path) -> str:
    """One line of the table of memory: a clip, looped to a length, prepared in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        once, video = home / "once.mkv", home / "long.mkv"  # some containers cannot be looped
        quiet, tracks = ["ffmpeg", "-v", "error"], ["-map", "0:V", "-map", "0:a?"]
        subprocess.run([*quiet, "-i", clip, *tracks, "-c:v", "libx264", "-c:a", "aac", once], check=True)
        subprocess.run([*quiet, "-stream_loop", "-1", "-i", once, "-t", str(seconds), "-c", "copy", video], check=True)
        (home / "clips.csv").write_text(f"path,label,speaker\n{video.name},happy,one\n")
        command = [sys.executable, "-c", LONG, str(home), str(home / "out"), str(folder)]
        start = spent()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        took = spent() - start
        ours, ffmpeg = done.stdout.split()
        written = sum(path.stat().st_size for path in (home / "out" / "processed").glob("*.npz")) / 1e6
    return f"  {seconds:>8.0f} {ours:>12} {ffmpeg:>10} {took:>12.1f} {written:>15.1f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="videos (default: drawn clips)")
    parser.add_argument("--copies", type=int, default=8, help="of each, for the stages (default: %(default)s)")
    parser.add_argument("--hours", type=float, help="measure the memory instead, of the first clip looped so long")
    parser.add_argument("--detector", type=Path, default=Path("models/detector"), help="(default: %(default)s)")
    args = parser.parse_args()
    params = load_params()
    cv2.setNumThreads(1)

    with tempfile.TemporaryDirectory() as drawings:
        if not args.clips:
            draw_corpus(Path(drawings), speakers=1, takes=1, workers=1)
        clips = args.clips or sorted(Path(drawings).glob("clips/*.mp4"))
        if args.hours:
            print("   seconds python MB  ffmpeg MB  CPU seconds  sample file MB")
            for seconds in (10, args.hours * 3600):
                print(memory(clips[0], seconds, args.detector.absolute()), flush=True)
            return
        groups: dict[tuple[int, int], list[Path]] = {}
        for clip in clips:
            found = media.probe(clip, params.media)
            groups.setdefault((found.width, found.height), []).append(clip)
        for (width, height), group in groups.items():
            frames, lengths = zip(*(grid(clip, params) for clip in group), strict=True)
            seconds = sum(lengths)
            count = sum(len(f) for f in frames)
            print(f"{width}x{height}: {len(group)} clips of {seconds / len(group):.1f} s, {count} frames on the grid")
            print("  faces, on identical frames           CPU ms/s  ratio")
            print(*against_facenet(list(frames), seconds, args.detector, params), sep="\n")
            print("  parts                                CPU ms/s")
            print(*parts(group, list(frames), seconds, params), sep="\n")
            print("  workers  extract ms/s  crop ms/s  both ms/s  x real time, CPU  x real time, clock")
            print(*whole_stages(group, args.copies, seconds, args.detector, params), sep="\n", flush=True)


if __name__ == "__main__":
    main()
