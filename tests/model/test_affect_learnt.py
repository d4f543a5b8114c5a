"""Claims about valence and arousal on drawn people, whose corpus knows them: from samples to what a recogniser says."""

import json

import numpy as np
import pytest
import torch

from mmer import metrics
from mmer.data.clips import Clip
from mmer.data.demo.expressions import AFFECT
from mmer.labels import DIMENSIONS, MODALITIES
from mmer.model.network import EmotionNet
from mmer.runtime.recognizer import Recognizer
from mmer.training.fit import fit
from mmer.training.inference import answer, told_affect
from tests.model.conftest import Trained, export_to


def told(trained: Trained) -> list[Clip]:
    """The clips with their valence and arousal, as `mmer demo-corpus --affect` tells them."""
    clips = []
    for clip in trained.clips:
        truth = json.loads((trained.raw / clip.path).resolve().with_suffix(".json").read_text())
        valence, arousal = np.mean(truth["intensities"]) * np.array(AFFECT[clip.label])
        clips.append(clip.model_copy(update={"valence": valence, "arousal": arousal}))
    return clips


@pytest.mark.slow
def test_people_never_seen_are_told_by_their_valence_and_arousal(
    trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> None:
    params, clips, folder = trained.params, told(trained), tmp_path_factory.mktemp("affect")
    test = [c for c in clips if c.split == "test"]
    torch.manual_seed(0)
    untrained = answer(EmotionNet(params.input, params.model, affect=MODALITIES), test, trained.processed).affect
    assert untrained is not None
    by_chance = metrics.ccc(metrics.sums(told_affect(test), untrained).sum(0))

    done = fit(params, params.train, clips, trained.processed, seed=0)
    export_to(folder, done, params)
    (folder / "detector").symlink_to(trained.folder / "detector")
    recognizer = Recognizer.load(folder)
    found = [recognizer.predict(trained.raw / clip.path).affect for clip in test]
    said = np.array([[of[name] for name in DIMENSIONS] for of in found], np.float32)
    prepared = answer(done.network, test, trained.processed).affect
    assert prepared is not None
    alike = metrics.ccc(metrics.sums(prepared, said).sum(0))
    assert (alike > 0.98).all(), "pictures were coded once more when they were prepared"
    ccc = metrics.ccc(metrics.sums(told_affect(test), said).sum(0))
    assert (by_chance < 0.1).all()
    assert (ccc > 0.4).all(), f"{ccc} of {len(test)} clips"
