"""Claims about training on several devices, here two processes (gloo): it learns what one learns, a kill of either ends
both, and the same command goes on.
"""

import contextlib
import csv
import os
import platform
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from mmer.config import Params
from mmer.data.clips import read_manifest, write_manifest
from mmer.params import load_params, varied
from mmer.training import devices
from mmer.training.checkpoints import load_network, save_network
from mmer.training.fit import fit
from mmer.training.inference import score
from tests.conftest import ROOT
from tests.serving import end
from tests.team import wait
from tests.tiny import SMALL_NETWORK, tiny_corpus

EPOCHS = 12
SMALL = {
    **SMALL_NETWORK,
    "train.epochs": EPOCHS,
    "train.batch_size": 16,
    "train.lr": 0.01,
    "train.augment": 0.0,
}


def home(folder: Path, speakers: int) -> Params:
    """Fill a folder in which `stages.train` can run; its parameters, for two processes."""
    params = varied(load_params(ROOT / "params.yaml", SMALL), {"train.devices": 2})
    clips = tiny_corpus(folder / "data/processed", params, speakers=speakers)
    (folder / "data/processed/clips.parquet").unlink()
    validating = [f"s{k}" for k in range(2, 6)]
    clips = [c.model_copy(update={"split": "val"}) if c.speaker in validating else c for c in clips]
    write_manifest(folder / "data/clips.parquet", clips)
    (folder / "reports").mkdir()
    (folder / "reports/validation.json").write_text("{}")
    (folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump(by_alias=True, mode="json")))
    return params


@contextlib.contextmanager
def started(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "stages.train", "--as-written"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end(process)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_go_on_after_a_kill_of_either(tmp_path: Path) -> None:
    params, checkpoints = home(tmp_path, speakers=14), tmp_path / ".mmer/checkpoints"

    def told() -> str:
        return (tmp_path / "log").read_text()

    def begins(epoch: int, process: "subprocess.Popen[bytes]") -> bool:
        return f"train {epoch}/{EPOCHS}" in told() or process.poll() is not None

    for epoch, mine in ((3, False), (7, True)):
        with started(tmp_path) as process:
            wait(partial(begins, epoch, process), 1200)
            assert process.poll() is None, told()[-3000:]
            (other,) = psutil.Process(process.pid).children()
            (process if mine else other).send_signal(signal.SIGKILL)
            assert process.wait(120) != 0
            psutil.wait_procs([other], timeout=120)
        assert not other.is_running(), "nobody is left behind"
        assert len(list(checkpoints.glob("*.ckpt"))) == 1
    with started(tmp_path) as process:
        assert process.wait(1200) == 0, told()[-3000:]

    with (tmp_path / "reports/train/history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(float(row["epoch"])) for row in rows] == list(range(1, EPOCHS + 1))
    begun = re.findall(rf"train (\d+)/{EPOCHS}:   0%", told())
    assert len(begun) <= EPOCHS + 2, "an epoch that was cut is trained again, and no other"

    clips = read_manifest(tmp_path / "data/clips.parquet")
    torch.set_num_threads(1)
    of_one = [fit(params, params.train, clips, tmp_path / "data/processed", seed=s).best["val_uar"] for s in range(3)]
    of_two = max(float(row["val_uar"]) for row in rows)
    print(
        f"validation UAR of two processes: {of_two:.3f}; of one, seeds 0 to 2: {', '.join(f'{u:.3f}' for u in of_one)}"
    )
    assert min(of_one) - 2 / 28 <= of_two, "chance is two of the 28 clips that validate"
    kept = load_network(tmp_path / "models/network.safetensors")
    validation = [clip for clip in clips if clip.split == "val"]
    assert score(kept, validation, tmp_path / "data/processed")["val_uar"] == pytest.approx(of_two, abs=1e-6)


def test_each_process_takes_its_share_of_every_batch(tmp_path: Path) -> None:
    from mmer.training.batches import batches

    params = load_params(ROOT / "params.yaml", SMALL)
    clips = tiny_corpus(tmp_path, params, speakers=5)[:35]
    order = torch.randperm(35).numpy()

    def sizes(*part: int) -> list[int]:
        made = batches(clips, order, tmp_path, params, params.train, seed=(0, 0), part=part)
        return [len(batch.target) for batch in made]

    assert sizes(0, 1) == [16, 16, 3]
    assert (sizes(0, 2), sizes(1, 2)) == ([8, 8], [8, 8]), "three clips are too few for two processes"
    parts = [next(batches(clips, order, tmp_path, params, params.train, seed=(0, 0), part=(k, 2))) for k in range(2)]
    whole = next(batches(clips, order, tmp_path, params, params.train, seed=(0, 0)))
    assert torch.equal(torch.stack([part.target for part in parts], 1).flatten(0, 1), whole.target)
    assert torch.equal(parts[1].faces, whole.faces[1::2])


def test_in_bfloat16_it_learns_and_what_is_kept_is_float32(tmp_path: Path) -> None:
    changed = {"train.precision": "bf16-mixed", "train.epochs": 1, "train.memory_mb": 0}
    params = load_params(ROOT / "params.yaml", SMALL | changed)
    clips, kinds = tiny_corpus(tmp_path, params, speakers=4), set()

    def watch(module: torch.nn.Module, _: object, said: torch.Tensor) -> None:
        if isinstance(module, torch.nn.Conv2d):
            kinds.add(said.dtype)

    with torch.nn.modules.module.register_module_forward_hook(watch):
        done = fit(params, params.train, clips, tmp_path, seed=0)
    assert torch.bfloat16 in kinds
    assert {v.dtype for v in done.network.state_dict().values() if v.is_floating_point()} == {torch.float32}
    assert all(v.isfinite().all() for v in done.network.state_dict().values())


def test_more_devices_than_there_are_is_an_error_that_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    train = load_params(ROOT / "params.yaml", {"train.devices": 4}).train
    with pytest.raises(devices.DevicesError, match="there are 2 GPUs"):
        devices.launch(train)


@pytest.mark.slow
def test_weights_that_are_not_trained_on_leave_a_history_of_nothing(tmp_path: Path) -> None:
    """`epochs: 0` takes a network as it is (docs/tutorial.md tells how the release fares on one's own clips)."""
    params = varied(home(tmp_path, speakers=8), {"train.devices": 1, "train.epochs": 1, "model.fusion": "late"})
    clips = read_manifest(tmp_path / "data/clips.parquet")
    begun = fit(params, params.train, clips, tmp_path / "data/processed", seed=0)
    save_network(begun.network, tmp_path / "begun.safetensors", begun.origin)
    as_it_is = varied(params, {"train.epochs": 0, "train.init_from": "begun.safetensors"})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(as_it_is.model_dump(by_alias=True, mode="json")))
    with started(tmp_path) as process:
        assert process.wait(600) == 0, (tmp_path / "log").read_text()[-3000:]
    assert (tmp_path / "reports/train/history.csv").read_text().strip() == ""
    kept, given = load_network(tmp_path / "models/network.safetensors").state_dict(), begun.network.state_dict()
    assert [name for name in given if not torch.equal(kept[name], given[name])] in ([], ["fusion.temperature"])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about how glibc keeps memory")
def test_a_training_uses_the_memory_again_that_it_freed() -> None:
    devices.keep_memory()

    def new_pages() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.empty(48 << 20, dtype=torch.uint8).fill_(1)  # more than glibc would ever keep by itself
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    # What is small may lie in the first ones that were freed.
    assert min(new_pages() for _ in range(20)) < 100, "12,288 pages hold it"
