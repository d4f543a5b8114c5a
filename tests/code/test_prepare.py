"""Claims about preparing corpora: all good clips are there, every bad one is reported, nothing is left half written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmer.config import Params
from mmer.data.clips import MANIFEST, read_manifest
from mmer.data.crop import crop_corpus
from mmer.data.extract import extract_corpus
from mmer.data.prepare import REPORT, PrepareError
from mmer.data.samples import FramesReader, load_sample
from tests import graphs

ROOT = Path(__file__).resolve().parents[2]
VIDEO, MUTE, VOICE = "01-01-03-01-01-01-01.mp4", "02-01-04-01-01-01-01.mp4", "03-01-05-01-01-01-02.flac"
CLIPS = ["01-03-01-01-01-01", "01-04-01-01-01-01", "01-05-01-01-01-02"]


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trials named as RAVDESS names them: a video, a mute video with its voice beside it, a voice alone."""
    raw = tmp_path_factory.mktemp("raw")
    picture = ("-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=1.4")
    sound = ("-f", "lavfi", "-i", "aevalsrc='if(gte(t,0.8),0.5*sin(2*PI*300*t),0)':s=16000:d=1.4")
    ffmpeg(*picture, *sound, raw / VIDEO)
    ffmpeg(*picture, raw / MUTE)
    ffmpeg(*sound, raw / MUTE.replace("02-", "03-", 1).replace(".mp4", ".flac"))
    ffmpeg(*sound, raw / VOICE)
    return raw


@pytest.fixture
def raw(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "raw"))


@pytest.fixture(scope="module")
def detector() -> Path:
    """MTCNN's three nets: those of the pipeline, else exported here."""
    folder = ROOT / "models/detector"
    if not (folder / "onet.onnx").is_file():
        pytest.importorskip("facenet_pytorch", reason="the detector is not exported, and its package is not installed")
        return graphs.detector()
    return folder


def with_rules(params: Params, **rules: object) -> Params:
    return params.model_copy(update={"prepare": params.prepare.model_copy(update={"workers": 1, **rules})})


@pytest.fixture
def one(params: Params) -> Params:
    """One worker."""
    return with_rules(params)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_corpus_is_extracted_whole(raw: Path, tmp_path: Path, one: Params) -> None:
    out = tmp_path / "interim"
    extract_corpus("ravdess", raw, out, one)
    clips = read_manifest(out / MANIFEST)
    assert [clip.clip_id for clip in clips] == CLIPS
    assert [(clip.has_face, clip.has_scene, clip.has_voice) for clip in clips] == [
        (True, True, True),
        (True, True, True),
        (False, False, True),
    ]
    for clip in clips:
        assert clip.steps == 7
        assert clip.duration_s == pytest.approx(1.4, abs=0.05)
        assert len(clip.sha256) == 64
        frames = FramesReader(out / f"{clip.clip_id}.npz")
        assert len(list(frames.jpegs())) == (7 if clip.has_face else 0)
        assert sum(map(len, frames.voice(1000))) == pytest.approx(1.4 * 16_000, abs=800)
        assert np.isnan(frames.times).all() != clip.has_face
    report = json.loads((out / REPORT).read_text())
    assert report == {"corpus": "ravdess", "clips": 3, "listed": 3, "bad": [], "hours": pytest.approx(4.2 / 3600, 0.05)}


def test_parallel_work_gives_the_bytes_of_serial_work(
    raw: Path, tmp_path: Path, params: Params, detector: Path
) -> None:
    made = []
    for workers in (1, 2):
        interim, processed = tmp_path / f"interim{workers}", tmp_path / f"processed{workers}"
        extract_corpus("ravdess", raw, interim, with_rules(params, workers=workers))
        crop_corpus("ravdess", interim, processed, detector, with_rules(params, workers=workers))
        made.append((contents(interim), contents(processed)))
    assert made[0] == made[1]


def test_crops_say_what_is_present_when(raw: Path, tmp_path: Path, one: Params, detector: Path) -> None:
    """The voice begins at 0.8 s: the window that ends at step 3 (0.8 s) is silent. A test picture shows no face."""
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    extract_corpus("ravdess", raw, interim, one)
    crop_corpus("ravdess", interim, processed, detector, one)
    for clip in read_manifest(processed / MANIFEST):
        sample = load_sample(processed / f"{clip.clip_id}.npz")
        size, scene_size = one.input.face_size, one.input.scene_size
        assert sample.faces.shape == (7, size, size, 3)
        assert sample.scenes.shape == (7, scene_size, scene_size, 3)
        assert not sample.present[:, 0].any()
        assert sample.present[:, 1].tolist() == [clip.has_scene] * 7
        assert sample.present[:, 2].tolist() == [False] * 4 + [True] * 3
        assert (clip.has_face, clip.face_rate, clip.has_voice) == (False, 0, True)
        assert clip.voice_rate == pytest.approx(3 / 7)
    heard_only = processed / f"{CLIPS[2]}.npz"
    assert heard_only.stat().st_size < 60_000  # faces and scenes of nothing take no room


def spoil(raw: Path) -> None:
    """Three more clips: an empty file, a letter, and half a video."""
    (raw / "01-01-06-01-01-01-03.mp4").touch()
    (raw / "01-01-06-01-01-01-04.mp4").write_text("Dear reader, this is a letter.\n" * 9)
    whole = (raw / VIDEO).read_bytes()
    (raw / "01-01-06-01-01-01-05.mp4").write_bytes(whole[: len(whole) // 2])


def test_bad_clips_are_reported_and_the_others_finished(
    raw: Path, tmp_path: Path, params: Params, detector: Path
) -> None:
    spoil(raw)
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    lenient = with_rules(params, max_bad_fraction=0.5)
    extract_corpus("ravdess", raw, interim, lenient)
    assert [clip.clip_id for clip in read_manifest(interim / MANIFEST)] == CLIPS
    report = json.loads((interim / REPORT).read_text())
    assert (report["clips"], report["listed"]) == (3, 6)
    assert [(entry["clip_id"], entry["path"]) for entry in report["bad"]] == [
        (f"01-06-01-01-01-0{n}", f"01-01-06-01-01-01-0{n}.mp4") for n in (3, 4, 5)
    ]
    empty, letter, cut = (entry["reason"] for entry in report["bad"])
    assert "empty" in empty
    assert "is no video" in letter
    assert "breaks off" in cut

    crop_corpus("ravdess", interim, processed, detector, lenient)
    assert json.loads((processed / REPORT).read_text()) == report


def test_a_damaged_file_of_frames_is_reported(raw: Path, tmp_path: Path, params: Params, detector: Path) -> None:
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    lenient = with_rules(params, max_bad_fraction=0.5)
    extract_corpus("ravdess", raw, interim, lenient)
    damaged = interim / f"{CLIPS[0]}.npz"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    crop_corpus("ravdess", interim, processed, detector, lenient)
    report = json.loads((processed / REPORT).read_text())
    assert [entry["clip_id"] for entry in report["bad"]] == CLIPS[:1]
    assert [clip.clip_id for clip in read_manifest(processed / MANIFEST)] == CLIPS[1:]


def test_too_many_bad_clips_fail_the_corpus_with_the_reasons(raw: Path, tmp_path: Path, one: Params) -> None:
    spoil(raw)
    with pytest.raises(PrepareError, match=r"3 of 6 clips of ravdess are bad.*max_bad_fraction allows 2%") as error:
        extract_corpus("ravdess", raw, tmp_path / "interim", one)
    assert "01-06-01-01-01-03: 01-01-06-01-01-01-03.mp4: is empty" in str(error.value)
    assert not (tmp_path / "interim" / MANIFEST).exists()
    assert len(json.loads((tmp_path / "interim" / REPORT).read_text())["bad"]) == 3


def test_a_corpus_without_clips_is_an_error(tmp_path: Path, one: Params) -> None:
    with pytest.raises(PrepareError, match="holds no clip of ravdess"):
        extract_corpus("ravdess", tmp_path, tmp_path / "interim", one)


def test_missing_ffmpeg_stops_at_once(raw: Path, tmp_path: Path, one: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PrepareError, match="install it"):
        extract_corpus("ravdess", raw, tmp_path / "interim", one)


def test_cropping_before_extraction_or_without_a_detector_says_what_to_run(
    raw: Path, tmp_path: Path, one: Params, detector: Path
) -> None:
    with pytest.raises(PrepareError, match="dvc repro extract@ravdess"):
        crop_corpus("ravdess", tmp_path / "interim", tmp_path / "processed", detector, one)
    extract_corpus("ravdess", raw, tmp_path / "interim", one)
    with pytest.raises(PrepareError, match="dvc repro detector"):
        crop_corpus("ravdess", tmp_path / "interim", tmp_path / "processed", tmp_path, one)


FULL_DISK = """
import resource, sys
from pathlib import Path
from mmer.params import load_params
from mmer.data.extract import extract_corpus
from mmer.data.prepare import PrepareError
params = load_params("params.yaml", {"prepare.workers": int(sys.argv[3])})
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # a disk that ends in the middle of a file
try:
    extract_corpus("ravdess", Path(sys.argv[1]), Path(sys.argv[2]), params)
except PrepareError as error:
    raise SystemExit(f"extract: {error}")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_with_the_reason_and_leaves_no_half_file(raw: Path, tmp_path: Path, workers: int) -> None:
    out = tmp_path / "interim"
    command = [sys.executable, "-c", FULL_DISK, str(raw), str(out), str(workers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "extract: ravdess cannot be prepared" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    for path in out.iterdir():
        assert path.suffix == ".npz"
        assert len(list(FramesReader(path).jpegs())) in (0, 7)


@pytest.mark.parametrize("stage", ["extract", "crop"])
def test_a_stage_that_cannot_work_ends_with_one_line_and_code_1(stage: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    command = [sys.executable, "-m", f"stages.{stage}", "demo"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("data/")
    assert done.stderr.count("\n") == 1


def test_real_clips_are_prepared_with_their_faces_and_voices(
    mirror: Path, tmp_path: Path, one: Params, detector: Path
) -> None:
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    extract_corpus("crema_d", mirror / "crema_d", interim, one)
    crop_corpus("crema_d", interim, processed, detector, one)
    clips = read_manifest(processed / MANIFEST)
    assert len(clips) == 3
    for clip in clips:
        assert clip.face_rate > 0.9
        assert 0.3 < clip.voice_rate < 1
        sample = load_sample(processed / f"{clip.clip_id}.npz")
        assert sample.faces[sample.present[:, 0]].std() > 20
        assert sample.present.shape == (clip.steps, 3)


def test_the_workers_of_a_dask_cluster_give_the_same_bytes(
    raw: Path, tmp_path: Path, params: Params, detector: Path
) -> None:
    """A real scheduler and two real worker processes, named as those of a cluster are (DASK_SCHEDULER_ADDRESS)."""
    dask = pytest.importorskip("dask", reason="dask[distributed] is not installed")
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        workers = {worker.pid for worker in cluster.workers.values()}
        assert len(workers) == 2
        assert os.getpid() not in workers
        made = []
        for backend in ("loky", "dask"):
            interim, processed = tmp_path / f"interim-{backend}", tmp_path / f"processed-{backend}"
            rules = with_rules(params, backend=backend, workers=2)
            with dask.config.set({"scheduler-address": cluster.scheduler_address}):
                extract_corpus("ravdess", raw, interim, rules)
                crop_corpus("ravdess", interim, processed, detector, rules)
            made.append((contents(interim), contents(processed)))
        assert made[0] == made[1]
        with cluster.get_client() as client:
            assert sum(client.run(lambda dask_worker: len(dask_worker.state.log) > 0).values()) >= 1, (
                "they did it, not this process"
            )


KILLED = """
import os, signal, sys
from pathlib import Path
from mmer.data import extract, prepare
from mmer.params import load_params

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

params = load_params("params.yaml", {"prepare.workers": 2, "prepare.backend": sys.argv[4]})
whole, fatal = extract._extract, sys.argv[3]
def some(clip, **given):
    return killed() if clip.clip_id == fatal else whole(clip, **given)
if __name__ == "__main__":
    extract._extract = some
    try:
        extract.extract_corpus("ravdess", Path(sys.argv[1]), Path(sys.argv[2]), params)
    except prepare.PrepareError as error:
        raise SystemExit(f"extract: {error}")
"""


@pytest.mark.parametrize("backend", ["loky", "dask", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_clip_that_kills_its_workers_is_an_error_and_leaves_no_half_file(
    raw: Path, tmp_path: Path, backend: str
) -> None:
    """Dask and Ray give it to three more workers first, and start each anew."""
    out, program = tmp_path / "interim", tmp_path / "program.py"
    program.write_text(KILLED)  # a file: Dask's workers begin by reading what began them
    command = [sys.executable, str(program), str(raw), str(out), CLIPS[1], backend]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 1
    assert "extract: a worker was killed" in done.stderr
    assert "PrepareError" not in done.stderr
    assert not (out / MANIFEST).exists()
    for path in out.iterdir():
        assert len(list(FramesReader(path).jpegs())) in (0, 7)


def test_a_part_of_a_file_is_prepared_as_if_it_were_the_whole(raw: Path, tmp_path: Path, one: Params) -> None:
    """The voice begins at 0.8 s of the file: 0.2 s into the part."""
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copy(raw / VIDEO, folder / "talk.mp4")
    (folder / "clips.csv").write_text(
        "path,label,speaker,start,end\ntalk.mp4,happy,ann,0.6,1.2\ntalk.mp4,sad,ann,0,0.6\n"
    )
    extract_corpus("folder", folder, tmp_path / "interim", one)
    clips = {clip.label: clip for clip in read_manifest(tmp_path / "interim" / MANIFEST)}
    assert clips["happy"].sha256 != clips["sad"].sha256, "two parts of one file are not one file twice"
    for clip in clips.values():
        assert clip.steps == 3
        frames = FramesReader(tmp_path / "interim" / f"{clip.clip_id}.npz")
        voice = np.abs(np.concatenate(list(frames.voice(3200))))
        assert len(list(frames.jpegs())) == 3
        assert len(voice) == pytest.approx(0.6 * 16_000, abs=800)
        if clip.label == "happy":
            assert np.flatnonzero(voice > 3000)[0] == pytest.approx(0.2 * 16_000, abs=400)
        else:
            assert voice.max() < 100


def test_a_picture_without_surroundings_is_the_crop_itself(tmp_path: Path, one: Params, detector: Path) -> None:
    """FER2013's images are faces cut out tightly, in which a detector misses many."""
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    (tmp_path / "raw" / "train" / "happy").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "raw" / "train" / "happy" / "Training_1.jpg"), image)
    extract_corpus("fer2013", tmp_path / "raw", tmp_path / "interim", one)
    crop_corpus("fer2013", tmp_path / "interim", tmp_path / "processed", detector, one)
    (clip,) = read_manifest(tmp_path / "processed" / MANIFEST)
    sample = load_sample(tmp_path / "processed" / f"{clip.clip_id}.npz")
    assert sample.present.tolist() == [[True, False, False]]
    assert (clip.has_face, clip.has_scene, clip.face_rate) == (True, False, 1.0)
    shown = cv2.imread(str(tmp_path / "raw" / "train" / "happy" / "Training_1.jpg"))
    assert shown is not None
    assert np.abs(shown[:, :, ::-1].mean((0, 1)) - sample.faces[0].mean((0, 1))).max() < 2


def test_a_cluster_that_is_not_there_or_not_installed_says_so(
    raw: Path, tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    dask = pytest.importorskip("dask", reason="dask[distributed] is not installed")
    nowhere = {"scheduler-address": "tcp://127.0.0.1:9", "distributed.comm.timeouts.connect": "1s"}
    with dask.config.set(nowhere), pytest.raises(PrepareError, match=r"no Dask scheduler answers at .*127\.0\.0\.1:9"):
        extract_corpus("ravdess", raw, tmp_path / "interim", with_rules(params, backend="dask"))
    for backend, package in (("ray", "ray"), ("dask", "distributed")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(PrepareError, match=f"backend is {backend}, which is not installed: `pip install"):
            extract_corpus("ravdess", raw, tmp_path / "interim", with_rules(params, backend=backend))


LONG = """
import resource, sys
from pathlib import Path
from mmer.params import load_params
from mmer.data.crop import crop_corpus
from mmer.data.extract import extract_corpus

raw, out, detector = map(Path, sys.argv[1:])
params = load_params("params.yaml", {"prepare.workers": 1, "media.max_duration_s": 4000, "media.timeout_s": 2000})
extract_corpus("folder", raw, out / "interim", params)
crop_corpus("folder", out / "interim", out / "processed", detector, params)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_a_long_video_is_prepared_in_the_memory_of_a_short_one(drawn: Path, tmp_path: Path, detector: Path) -> None:
    """Ten minutes take what ten seconds take, within 20 MB; benchmarks/preparing.py does it with an hour."""
    used = []
    for times in (7, 420):
        home = tmp_path / str(times)
        home.mkdir()
        ffmpeg("-stream_loop", str(times), "-i", drawn / VIDEO, "-c", "copy", home / "long.mkv")
        (home / "clips.csv").write_text("path,label,speaker\nlong.mkv,happy,ann\n")
        command = [sys.executable, "-c", LONG, str(home), str(home / "out"), str(detector)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        used.append(float(done.stdout.split()[-1]))
        (clip,) = read_manifest(home / "out" / "processed" / MANIFEST)
        assert clip.duration_s > 1.3 * times
    assert used[1] < used[0] + 20
