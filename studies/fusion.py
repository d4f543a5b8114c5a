"""Where a face and a voice should meet, on real audio-visual clips: cross-validation by speaker over one corpus.

    python -m studies.fusion --data DATA --from network.safetensors javanese

The network that is named (late fusion) never saw the corpus. In each fold its branches go on with the training
speakers' clips, apart; then, branches as they are, each rival learns to join them on the clips that hold both: what
`fusion: joint` adds to late fusion, with each kind of network over time, and the same without late fusion's sum; and
`PAIRED` once more with the voices that the corpus recorded alone, each beside a face of another recording of its
emotion (`train.pairing`: of anybody, or of the same speaker). Every rival sees the same hidden states; the epoch is
chosen on the fold's validation speakers. UAR over all folds' test clips, 95% over speakers; of several seeds the mean.
A table goes to standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmer import metrics
from mmer.config import Params
from mmer.data.clips import Clip
from mmer.data.samples import Sample, load_clip
from mmer.evaluation.cross_validation import assign_fold, fold_numbers, prepared
from mmer.labels import EMOTIONS
from mmer.model.fusion import JointFusion, LateFusion
from mmer.model.network import EmotionNet, clip_logits
from mmer.params import load_params
from mmer.training.augment import beside
from mmer.training.batches import collate, partners_of, target_of
from mmer.training.fit import fit
from mmer.training.inference import calibrate_together, predict
from studies.scores import Answers, mean_uar, resampled, uar

KINDS = ("lstm", "gru", "attention", "mean")
PAIRED = "lstm"
"""The kind that is also taught with pairs."""
EPOCHS, BATCH, RATE, DROPOUT = 40, 16, 2e-3, 0.3


def both(clips: Sequence[Clip], split: str) -> list[Clip]:
    """The clips of a side that hold a face and a voice."""
    return [c for c in clips if c.split == split and c.has_face and c.has_voice]


def pairs(clips: Sequence[Clip], pairing: str, processed: Path, seed: int) -> list[tuple[Clip, Sample]]:
    """Each training voice that was recorded alone, beside one of the faces that `pairing` allows it, as it moves."""
    rng, training = np.random.default_rng(seed), [clip for clip in clips if clip.split == "train"]
    # By label: the films of all speakers, which are what shows a face here, for its own sake.
    faces = [clip.model_copy(update={"has_voice": False}) for clip in training if clip.has_face]
    partners = partners_of([*faces, *(clip for clip in training if not clip.has_face)], pairing)
    found = []
    for clip in training:
        if films := partners.get(clip.trial):
            film = load_clip(films[rng.integers(len(films))], processed)
            found.append((clip, beside(load_clip(clip, processed), film)))
    return found


@torch.no_grad()
def known(network: EmotionNet, given: Sequence[tuple[Clip, Sample]]) -> dict[str, Tensor]:
    """What late fusion says of each step and what its branches know there, padded to the longest clip."""
    assert isinstance(network.fusion, LateFusion)
    batch = collate([sample for _, sample in given], [target_of(clip, "intended") for clip, _ in given], network.input)
    parts = []
    for k in range(len(given)):
        faces, scenes, voice, present = (x[k : k + 1] for x in (batch.faces, batch.scenes, batch.voice, batch.present))
        joined = network.embed(faces, scenes, voice, present)
        logits, _, said, _ = network.fusion.apart(joined, network.start(1))
        parts.append((logits, torch.cat([*said, joined[..., -3:]], -1)))
    logits, hidden = (torch.cat(part) for part in zip(*parts, strict=True))
    return {"logits": logits, "known": hidden, "valid": batch.valid, "target": batch.target}


def learn(fusion: JointFusion, train: dict[str, Tensor], val: dict[str, Tensor], *, summed: bool, seed: int) -> None:
    """Train what joins, and keep the epoch that the validation speakers like best."""
    torch.manual_seed(seed)
    learnt = [*fusion.together.parameters(), *fusion.adds.parameters()]
    optimizer = torch.optim.AdamW(learnt, RATE, weight_decay=0.02)
    best, kept = (-1.0, -np.inf), dict[str, Any]()
    for _ in range(EPOCHS):
        fusion.train()
        for chosen in torch.split(torch.randperm(len(train["target"])), BATCH):
            said = answer(fusion, {name: x[chosen] for name, x in train.items()}, summed=summed)
            loss = torch.nn.functional.cross_entropy(said, train["target"][chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learnt, 5.0)
            optimizer.step()
        fusion.eval()
        with torch.no_grad():
            said, truth = answer(fusion, val, summed=summed), val["target"].argmax(1)
            found = uar(truth.numpy(), said.argmax(1).numpy()), -float(torch.nn.functional.cross_entropy(said, truth))
        if found > best:
            best, kept = found, {key: value.clone() for key, value in fusion.state_dict().items()}
    fusion.load_state_dict(kept)


def answer(fusion: JointFusion, of: dict[str, Tensor], *, summed: bool) -> Tensor:
    """Logits [n, 7] of clips."""
    state = torch.zeros(len(of["known"]), fusion.together.state_size)
    said, _ = fusion.join(of["logits"] if summed else torch.zeros_like(of["logits"]), of["known"], state)
    return clip_logits(said, of["known"][..., -3:], of["valid"])


def one_fold(params: Params, clips: Sequence[Clip], processed: Path, seeds: int) -> dict[str, list[Answers]]:
    """What each rival says of the test clips: [n, 7] for each seed."""
    test, validation = both(clips, "test"), both(clips, "val")
    network = fit(params, params.train, clips, processed, seed=params.seed).network
    said = {
        "face": [predict(network, test, processed, modalities=["face"])],
        "voice": [predict(network, test, processed, modalities=["voice"])],
        "late": [predict(network, test, processed)],
    }
    calibrate_together(network, validation, processed)
    said["late, calibrated together"] = [predict(network, test, processed)]
    real = [(clip, load_clip(clip, processed)) for clip in both(clips, "train")]
    val, asked = (known(network, [(c, load_clip(c, processed)) for c in side]) for side in (validation, test))
    for pairing in ("none", "label", "speaker"):
        train = known(network, [*real, *pairs(clips, pairing, processed, params.seed)])
        for kind in KINDS if pairing == "none" else [PAIRED]:
            for summed in (True, False):
                name = f"{kind} {'added to late' if summed else 'alone'}"
                for seed in range(seeds):
                    torch.manual_seed(seed)
                    model = params.model.model_copy(update={"fusion": "joint"})
                    model = model.model_copy(update={"temporal": model.temporal.model_copy(update={"kind": kind})})
                    joint = EmotionNet(params.input, model, network.modalities, DROPOUT).fusion
                    assert isinstance(joint, JointFusion)
                    learn(joint, train, val, summed=summed, seed=seed)
                    with torch.no_grad():
                        told = answer(joint, asked, summed=summed).softmax(1).numpy()
                    said.setdefault(name if pairing == "none" else f"{name}, pairing: {pairing}", []).append(told)
    return said


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m studies.fusion", description=__doc__.split("\n")[0])
    parser.add_argument("corpus", help="of real audio-visual clips")
    parser.add_argument("--from", dest="begun", required=True, help="weights that never saw it, of late fusion")
    parser.add_argument("--data", type=Path, default=Path("data"), help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path("release/params.yaml"), help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="of each rival; default 3")
    parser.add_argument("--epochs", type=int, nargs=2, default=(4, 6), metavar=("FACE", "VOICE"), help="default: 4 6")
    parser.add_argument("--taught", type=float, default=0.0, metavar="SHARE",
                        help="of what the voice learns, from DATA/teacher.npz; default: none")  # fmt: skip
    parser.add_argument(
        "--alone", action="store_true", help="test one speaker in each fold, and choose the epoch on one"
    )
    given = parser.parse_args()
    begun: dict[str, Any] = {"init_from": given.begun, "targets": "intended"}
    face, voice = given.epochs
    usual = load_params(given.params).train.branches
    branches = {
        "face": usual["face"] | begun | {"epochs": face, "batch_size": 8},
        "voice": usual["voice"] | begun | {"epochs": voice, "taught": given.taught},
    }
    params = load_params(given.params, {"model.fusion": "late", "train.branches": branches, "corpora": [given.corpus]})
    processed = given.data / "processed"
    clips = prepared(processed, [given.corpus])
    if given.alone:
        speakers = sorted({clip.person for clip in clips})
        clips = [clip.model_copy(update={"fold": 1 + speakers.index(clip.person)}) for clip in clips]
    truth, people, said = list[int](), list[str](), dict[str, list[list[Answers]]]()
    for number in fold_numbers(clips):
        ours = assign_fold(clips, number)
        truth += [clip.target for clip in both(ours, "test")]
        people += [clip.person for clip in both(ours, "test")]
        for name, answers in one_fold(params, ours, processed, given.seeds).items():
            said.setdefault(name, []).append(answers)
        print(f"fold {number}: {len(truth)} clips so far", flush=True)
    right, n = np.array(truth), len(set(people))
    print(f"\n{given.corpus}: {len(truth)} clips of {n} speakers, {len(EMOTIONS)} answers; seeds: {given.seeds}\n")
    print("| joined by | UAR (95% over speakers) | over late fusion (95%) |\n| --- | ---: | ---: |")
    summed = [np.concatenate([fold[0] for fold in said["late"]])]
    late = resampled(right, summed, people)
    for name, folds in said.items():
        runs = [np.concatenate([fold[seed] for fold in folds]) for seed in range(len(folds[0]))]
        mean = mean_uar(right, runs)
        again = resampled(right, runs, people)
        low, high = metrics.percentile_interval(again)
        more = again - late
        gain = mean - mean_uar(right, summed)
        around = (
            "–"
            if name == "late"
            else f"{gain:+.3f} ({'{:+.3f} to {:+.3f}'.format(*metrics.percentile_interval(more))})"
        )
        print(f"| {name} | {mean:.3f} ({low:.3f}–{high:.3f}) | {around} |", flush=True)


if __name__ == "__main__":
    main()
