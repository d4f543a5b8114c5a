"""Claims about the network itself, whatever its weights: streaming equals whole, absent means absent."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torchaudio.functional import melscale_fbanks

from mmer.config import Params
from mmer.labels import EMOTIONS, MODALITIES
from mmer.model.fusion import LateFusion
from mmer.model.mobilefacenet import MobileFaceNet
from mmer.model.network import EmotionNet, Mixture, clip_logits, pixels
from mmer.model.pretrained import SPEAKER_GAIN_DB, WeightsError, start_from, start_voice
from mmer.model.voice import MEL_BANDS, PCEN, MelBank
from mmer.packaging.export import export
from mmer.params import load_params
from mmer.runtime.config import Faces, Media
from mmer.training.checkpoints import Origin, voice_weights
from tests.conftest import ROOT

SMALL = {
    "input.face_size": 32,
    "input.scene_size": 32,
    "input.voice_window_s": 0.4,
    "model.face.width": 0.125,
    "model.face.embedding": 16,
    "model.scene.channels": 4,
    "model.scene.embedding": 8,
    "model.voice.channels": 4,
    "model.voice.embedding": 16,
    "model.temporal.hidden": 8,
    "model.temporal.context": 3,
}
RIVALS = {
    f"{kind}, {fusion}": {"model.temporal.kind": kind, "model.fusion": fusion}
    for kind in ("lstm", "gru", "attention", "mean")
    for fusion in ("concat", "gated", "cross_attention", "late", "joint")
} | {
    "late, frame by frame": {"model.fusion": "late", "model.voice.pooling": "frame"},
    "late, log-mel frame by frame": {
        "model.fusion": "late",
        "model.voice.pooling": "frame",
        "model.voice.frontend": "logmel",
        "model.voice.temporal": {"kind": "gru", "hidden": 12},
    },
    "late, 2D blocks frame by frame": {
        "model.fusion": "late",
        "model.voice.pooling": "frame",
        "model.voice.frontend": "logmel",
        "model.voice.blocks": "2d",
        "model.voice.temporal": {"kind": "gru", "hidden": 12},
    },
    "late, PCEN frame by frame": {
        "model.fusion": "late",
        "model.voice.pooling": "frame",
        "model.voice.frontend": "pcen",
        "model.voice.temporal": {"kind": "gru", "hidden": 12},
    },
    "joint, a speaker encoder's LSTMs": {
        "model.fusion": "joint",
        "model.voice": {
            "frontend": "mel",
            "blocks": "none",
            "pooling": "frame",
            "embedding": 40,
            "temporal": {"kind": "gru", "hidden": 12, "below": [16, 8]},
        },
    },
    "concat, 2D blocks on PCEN": {"model.voice.frontend": "pcen", "model.voice.blocks": "2d"},
    "concat, frame by frame": {"model.voice.pooling": "frame"},
    "late, logmel, grey": {"model.fusion": "late", "model.voice.frontend": "logmel", "model.face.grey": True},
    "mobilenet_v3_small": {"model.face.kind": "mobilenet_v3_small", "model.face.width": 0.5},
    "face and voice": {"model.modalities": ["voice", "face"], "model.fusion": "cross_attention"},
    "voice alone": {"model.modalities": ["voice"], "model.fusion": "gated"},
}


def make(**given: object) -> EmotionNet:
    """A tiny network with all of `given` but its sizes."""
    torch.manual_seed(0)
    params = load_params(ROOT / "params.yaml", SMALL | given)
    return EmotionNet(params.input, params.model)


@pytest.fixture(scope="module", params=RIVALS)
def network(request: pytest.FixtureRequest) -> EmotionNet:
    net = make(**RIVALS[request.param])
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)):
        norm.running_mean.normal_(0, 0.1)  # as if trained: a fresh one would hide a forgotten eval()
        norm.running_var.uniform_(0.5, 2)
    return net.eval()


def clip(network: EmotionNet, batch: int = 2, steps: int = 7, seed: int = 0) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    side, scene = network.input.face_size, network.input.scene_size
    return [
        torch.randint(0, 256, (batch, steps, side, side, 3), generator=made, dtype=torch.uint8),
        torch.randint(0, 256, (batch, steps, scene, scene, 3), generator=made, dtype=torch.uint8),
        torch.randn(batch, steps, network.window, generator=made) * 0.1,
        torch.ones(batch, steps, 3),
    ]


@torch.no_grad()
def test_step_by_step_equals_whole(network: EmotionNet) -> None:
    inputs = clip(network)
    whole = network(*inputs, network.start(2))
    state, steps = network.start(2), []
    for k in range(7):
        out = network(*(x[:, k : k + 1] for x in inputs), state)
        state = out.state
        steps.append(out.logits)
    torch.testing.assert_close(torch.cat(steps, 1), whole.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(state, whole.state, atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_future_does_not_change_the_past(network: EmotionNet) -> None:
    inputs = clip(network)
    before = network(*inputs, network.start(2)).logits[:, :4]
    for x in inputs:
        x[:, 4:] = 0  # as in the padding of a batch
    torch.testing.assert_close(network(*inputs, network.start(2)).logits[:, :4], before)


@pytest.mark.parametrize("name", MODALITIES)
@torch.no_grad()
def test_what_is_absent_is_not_looked_at(network: EmotionNet, name: str) -> None:
    inputs, other, column = clip(network), clip(network, seed=1), MODALITIES.index(name)
    inputs[3][..., column] = 0
    base = network(*inputs, network.start(2)).logits
    inputs[column] = other[column]
    torch.testing.assert_close(network(*inputs, network.start(2)).logits, base)
    inputs[3][..., column] = 1
    if name not in network.modalities:
        torch.testing.assert_close(network(*inputs, network.start(2)).logits, base)
        return
    assert not torch.allclose(network(*inputs, network.start(2)).logits, base, atol=1e-3), "present, it must count"


@torch.no_grad()
def test_the_graph_says_what_the_network_says_of_any_number_of_clips_and_steps(
    network: EmotionNet, tmp_path: Path
) -> None:
    path = tmp_path / "mmer.onnx"
    export(network, path, media=Media(), faces=Faces(), origin=Origin(corpora=("demo",)), revision="test")
    graph = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = [port.name for port in graph.get_inputs()]
    for batch, steps in ((1, 1), (3, 5)):
        state = network.start(batch)
        for seed in range(2):  # the second goes on from the state of the first
            inputs = clip(network, batch, steps, seed)
            inputs[3] = (torch.rand(batch, steps, 3, generator=torch.Generator().manual_seed(seed)) > 0.3).float()
            feeds = dict(zip(["faces", "scenes", "voice", "present", "state"], [*inputs, state], strict=True))
            logits, after, alone = graph.run(None, {name: feeds[name].numpy() for name in wanted})
            said = network(*inputs, state)
            state = said.state
            torch.testing.assert_close(torch.from_numpy(logits), said.logits, atol=1e-4, rtol=0)
            torch.testing.assert_close(torch.from_numpy(after), state, atol=1e-4, rtol=0)
            torch.testing.assert_close(torch.from_numpy(alone), network.unimodal(said), atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_modality_that_was_not_trained_is_off(params: Params) -> None:
    network = EmotionNet(params.input, params.model, ["voice"]).eval()
    inputs, other = clip(network), clip(network, seed=1)
    base = network(*inputs, network.start(2)).logits
    inputs[0], inputs[1] = other[0], other[1]
    torch.testing.assert_close(network(*inputs, network.start(2)).logits, base)
    assert set(network.branch) == {"voice"}


@torch.no_grad()
def test_clips_in_a_batch_do_not_touch_each_other(network: EmotionNet) -> None:
    inputs = clip(network)
    alone = network(*(x[:1] for x in inputs), network.start(1)).logits
    torch.testing.assert_close(network(*inputs, network.start(2)).logits[:1], alone, atol=1e-5, rtol=0)


def test_clip_logits_count_only_steps_with_evidence() -> None:
    logits = torch.tensor(np.arange(4 * 7, dtype=np.float32).reshape(1, 4, 7))
    present, valid = torch.zeros(1, 4, 3), torch.tensor([[1.0, 1, 1, 0]])
    present[0, 1, 2] = 1
    torch.testing.assert_close(clip_logits(logits, present, valid), logits[:, 1])
    present[0, 3, 0] = 1  # padding, however it is marked
    torch.testing.assert_close(clip_logits(logits, present, valid), logits[:, 1])
    torch.testing.assert_close(clip_logits(logits, torch.zeros(1, 4, 3), valid), logits[:, :3].mean(1))


def test_every_parameter_learns(network: EmotionNet) -> None:
    out = network(*clip(network), network.start(2))
    (out.logits.square().sum() + sum(b.square().sum() for b in out.branches.values())).backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert out.logits.shape == (2, 7, len(EMOTIONS))
    network.zero_grad()


@torch.no_grad()
def test_late_fusion_adds_what_is_present_and_calibrated(params: Params) -> None:
    torch.manual_seed(0)
    network = EmotionNet(params.input, params.model.model_copy(update={"fusion": "late"})).eval()
    assert isinstance(network.fusion, LateFusion)
    network.fusion.temperature[:] = torch.tensor([2.0, 0.5, 1.0])
    inputs = clip(network)
    inputs[3][:, :, 1] = 0
    out = network(*inputs, network.start(2))
    face, voice = out.branches["face"] / 2, out.branches["voice"]
    torch.testing.assert_close(out.logits, face.log_softmax(-1) + voice.log_softmax(-1))


@pytest.mark.parametrize("fusion", ["concat", "late"])
@torch.no_grad()
def test_a_network_tells_apart_as_many_classes_as_it_is_given(params: Params, fusion: str) -> None:
    model, classes = params.model.model_copy(update={"fusion": fusion}), (*EMOTIONS, "calm")
    network = EmotionNet(params.input, model, classes=classes).eval()
    out = network(*clip(network), network.start(2))
    assert network.classes == classes
    assert {x.shape for x in (out.logits, *out.branches.values())} == {(2, 7, 8)}
    assert network.unimodal(out).shape == (2, 7, 3, 8)


def test_grey_is_lightness_three_times() -> None:
    x = torch.tensor([[[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [90, 90, 90]]]], dtype=torch.uint8)
    y = pixels(x, grey=True)
    torch.testing.assert_close(y[0, 0].flatten(), torch.tensor([76.245, 149.685, 29.07, 90.0]) / 127.5 - 1)
    assert torch.equal(y[:, 0], y[:, 1])
    assert torch.equal(y[:, 0], y[:, 2])


def test_the_mel_bank_is_that_of_torchaudio() -> None:
    from torchaudio.transforms import MelSpectrogram

    theirs = MelSpectrogram(
        16_000, 400, hop_length=160, f_min=50.0, f_max=8000.0, n_mels=MEL_BANDS, center=False, mel_scale="slaney"
    )
    x = torch.randn(3, 9600) * 0.1
    torch.testing.assert_close(MelBank(MEL_BANDS)(x), theirs(x), rtol=1e-3, atol=1e-4)


def energies(frames: int = 38) -> torch.Tensor:
    """Of four windows in three bands."""
    return torch.randn(4, 3, frames, generator=torch.Generator().manual_seed(0)).exp()


@torch.no_grad()
def test_pcen_is_the_recurrence_of_its_paper_from_the_first_frame_of_the_window_on() -> None:
    x, level, said = energies(), energies()[..., 0], []
    for k in range(x.shape[-1]):
        level = 0.975 * level + 0.025 * x[..., k]
        said.append((x[..., k] / (1e-6 + level) ** 0.98 + 2) ** 0.5 - 2**0.5)
    torch.testing.assert_close(PCEN(3, 38)(x), torch.stack(said, -1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_pcen_takes_most_of_a_gain_out_and_leaves_an_outburst_in() -> None:
    pcen, x = PCEN(3, 38), energies()
    usual, louder = pcen(x), pcen(x * 1000)  # 30 dB
    assert (louder - usual).abs().mean() < 0.15 * usual.mean()
    x[..., 19:] *= 100
    assert pcen(x)[..., 19:].mean() > 3 * usual[..., 19:].mean()


@torch.no_grad()
def test_face_recognition_weights_are_taken_over_whole(mirror: Path) -> None:
    """At their own size what our network makes of a picture is what theirs made of it, but for the clip of ReLU6."""
    face = MobileFaceNet(112, 1.0, 128).eval()
    start_from(face, mirror / "mobilefacenet" / "mobilefacenet.pt")
    given = torch.load(mirror / "mobilefacenet" / "mobilefacenet.pt", map_location="cpu", weights_only=True)
    p = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        parts = (given[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return torch.nn.functional.batch_norm(x, *parts)

    theirs = norm(torch.nn.functional.conv2d((p - mean) / deviation, given["conv1.0.weight"], None, 2, 1), "conv1.1")
    inner = face.features[0](p * 2 - 1)[..., 1:-1, 1:-1]  # at the edge our padding is another grey than theirs
    torch.testing.assert_close(inner, theirs.relu()[..., 1:-1, 1:-1], atol=1e-3, rtol=1e-3)
    small = MobileFaceNet(64, 1.0, 128)
    start_from(small, mirror / "mobilefacenet" / "mobilefacenet.pt")
    with pytest.raises(WeightsError, match="width 1"):
        start_from(MobileFaceNet(64, 0.5, 128), mirror / "mobilefacenet" / "mobilefacenet.pt")


@torch.no_grad()
def test_a_speaker_encoders_lstms_are_taken_over_whole() -> None:
    """What they make of a voice is what the package's own network makes of its mel energies."""
    path = voice_weights("resemblyzer")
    if path is None:
        pytest.skip("the package Resemblyzer is not installed")
    given = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    theirs = torch.nn.LSTM(40, 256, 3, batch_first=True)
    theirs.load_state_dict(
        {key.removeprefix("lstm."): value for key, value in given.items() if key.startswith("lstm.")}
    )
    speaker = RIVALS["joint, a speaker encoder's LSTMs"]["model.voice"]
    whole = speaker | {"temporal": {"kind": "gru", "hidden": 12, "below": [256, 256, 256]}}
    network = make(**{"model.fusion": "late", "model.voice": whole}).eval()
    start_voice(network, path)
    voice = torch.randn(1, 3200 + 400 - 160, generator=torch.Generator().manual_seed(0)) * 0.05
    energy = MelBank(40, 0.0)(voice)[..., :20]
    widths = melscale_fbanks(201, 0.0, 8000.0, 40, 16000, "slaney", "slaney").amax(0)
    widths = widths / melscale_fbanks(201, 0.0, 8000.0, 40, 16000, None, "slaney").amax(0)
    expected, _ = theirs(10 ** (SPEAKER_GAIN_DB / 10) * widths * energy.transpose(1, 2))
    x = torch.cat([energy.transpose(1, 2), torch.ones(1, 20, 1)], -1)
    for layer in network.fusion.temporal["voice"].layers:
        x, _ = layer(x, x, torch.zeros(1, 512))
    torch.testing.assert_close(x, expected, atol=1e-5, rtol=0)
    with pytest.raises(WeightsError, match="frontend: mel"):
        start_voice(make(**{"model.fusion": "late"}), path)


@torch.no_grad()
def test_a_modalitys_say_counts_only_where_there_are_others() -> None:
    network = make(**{"model.fusion": "late"}).eval()
    inputs = clip(network)
    said = []
    for here in ((1, 0, 0), (0, 0, 1), (1, 0, 1)):
        inputs[3][...] = torch.tensor(here, dtype=torch.float32)
        network.fusion.say.fill_(1.0)
        before = network(*inputs, network.start(2)).logits
        network.fusion.say[0] = 0.0
        said.append((before, network(*inputs, network.start(2)).logits))
    for before, after in said[:2]:
        torch.testing.assert_close(after, before)
    torch.testing.assert_close(said[2][1], said[1][1], msg="without a say the face is as if it were absent")


@torch.no_grad()
def test_joint_fusion_changes_nothing_of_a_modality_alone() -> None:
    network = make(**{"model.fusion": "joint"}).eval()
    network.fusion.adds.weight.normal_(0, 1)
    inputs = clip(network)
    late = LateFusion.forward
    for here in ((1, 0, 0), (0, 0, 1), (1, 0, 1)):
        inputs[3][...] = torch.tensor(here, dtype=torch.float32)
        joined = network.embed(*inputs)
        apart = late(network.fusion, joined, network.start(2)[:, : network.fusion.apart_size]).logits
        said = network.decide(joined, network.start(2)).logits
        assert (sum(here) == 1) == torch.equal(said, apart)


@torch.no_grad()
def test_a_voice_mixed_with_itself_is_itself_and_a_mixture_is_there_where_one_of_its_voices_is() -> None:
    network = make(**RIVALS["late, log-mel frame by frame"]).eval()
    inputs = clip(network, batch=2, steps=4)
    inputs[3][0, :2, 2] = 0
    alone = network.embed(*inputs)
    itself = network.embed(*inputs, Mixture(torch.arange(2), torch.tensor([0.3, 0.7])))
    torch.testing.assert_close(itself, alone, atol=1e-5, rtol=0)
    swapped = network.embed(*inputs, Mixture(torch.tensor([1, 0]), torch.tensor([0.0, 0.6])))
    assert swapped[..., -1].tolist() == [[1, 1, 1, 1], [1, 1, 1, 1]]
    voice = slice(sum(network.embeddings[m] for m in ("face", "scene")), -3)
    torch.testing.assert_close(swapped[0, :, voice], alone[1, :, voice], atol=1e-5, rtol=0)
    torch.testing.assert_close(swapped[..., : voice.start], alone[..., : voice.start])
    assert (swapped[1, :, voice] - alone[1, :, voice]).abs().max() > 0.01, "heard with the other"
