"""The schema of `params.yaml`: its keys, defaults and bounds, as one object that is validated once and passed down.

mmer/params.py reads the file. Nothing else in the project reads a setting from a file or a global.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from mmer.errors import MmerError
from mmer.labels import MODALITIES, ModalityName
from mmer.runtime.config import Block, Faces, Input, Media, Share

#: Keys that had another name, by that name: an error tells it, and weights of then are read.
RENAMED = {
    "model.voice.front": "model.voice.frontend",
    "model.voice.summary": "model.voice.pooling",
    "train.hold": "train.still_steps",
    "train.nothing": "train.outlier_exposure",
    "train.start": "train.init_from",
    "tune.budget.madds_per_s": "tune.budget.macs_per_s",
    "evaluate.mistakes": "evaluate.confident_errors",
    "degrade": "robustness",
}


SPEAKER_BANDS = 40
"""Mel bands that a speaker encoder hears."""


class ConfigError(MmerError, ValueError):
    """params.yaml cannot be used; the message names the key, the cause and the nearest right one."""


def set_dotted(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """Put a value into nested mappings: `("train.lr", 0.1)` becomes `{"train": {"lr": 0.1}}`."""
    *parents, last = dotted.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = value


def leaves(block: type[Block]) -> list[str]:
    """The dotted names of all values in a block: `face.width` in Model."""
    names = []
    for name, field in block.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Block):
            names += [f"{name}.{leaf}" for leaf in leaves(inner)]
        else:
            names.append(name)
    return names


class Split(Block):
    """Which folds of speakers are held out."""

    test_fold: int = Field(1, ge=1)
    """The fold of speakers that is tested."""
    val_fold: int = Field(2, ge=1)
    """The fold of speakers that chooses the epoch and the hyperparameters."""
    test_corpora: tuple[str, ...] = ()
    """Cross-corpus: these are tested whole, and nothing of them is trained; of the others nothing is tested, and their
    own test speakers are not trained on either."""

    @model_validator(mode="after")
    def _apart(self) -> Split:
        if self.test_fold == self.val_fold:
            raise ValueError("test_fold and val_fold must differ: nothing may be tuned on the test speakers")
        return self


class Download(Block):
    """Which corpora are fetched."""

    corpora: tuple[str, ...] = ()
    """Their names; a corpus that is in place already need not stand here."""
    parallel: int = Field(4, ge=1, le=16)
    """Files fetched at once."""


class Prepare(Block):
    """How work over clips is spread."""

    workers: int = -1
    """Processes; -1 is one per core."""
    backend: Literal["loky", "dask", "ray"] = "loky"
    """Who does it: loky on one machine; dask or ray on a cluster (docs/preparing.md)."""
    max_bad_fraction: Share = 0.02
    """Share of a corpus's clips that may be unreadable (each is reported and skipped) before the stage fails."""


class Validate(Block):
    """Limits of the data checks whose breach is a warning or an error (mmer/data/validation.py says which)."""

    min_face_rate: Share = 0.7
    """Least share of steps with a face, over the clips of a corpus that have a picture."""
    min_speakers: int = Field(3, ge=1)
    """Least number of test speakers."""
    max_class_ratio: float = Field(10, ge=1)
    """Most frequent over least frequent emotion."""


Fusion = Literal["concat", "gated", "cross_attention", "late", "joint"]


class FaceNet(Block):
    """The network on the face crop."""

    kind: Literal["mobilefacenet", "mobilenet_v3_small"] = "mobilefacenet"
    """Made for faces, or for pictures of anything (docs/model.md)."""
    width: float = Field(0.25, gt=0, le=1)
    """Factor on its channels."""
    embedding: int = Field(128, ge=8)
    """Numbers that it gives for a face."""
    grey: bool = False
    """Look at lightness alone: for a model whose training faces are grey (FER2013), but which meets colour."""


class SceneNet(Block):
    """The shallow CNN on the whole image."""

    channels: int = Field(8, ge=4)
    """Of its first block; each of the three after it has twice as many as the one before."""
    embedding: int = Field(64, ge=8)
    """Numbers that it gives for an image."""


class Temporal(Block):
    """What gathers evidence over the steps (one for each modality where `fusion` is late); docs/model.md."""

    kind: Literal["lstm", "gru", "attention", "mean"] = "lstm"
    """Recurrence, attention over a window, or the mean."""
    hidden: int = Field(96, ge=8, multiple_of=4)
    """Size of what is known at a step; also of what gated and cross_attention mix. Attention's four heads share it."""
    below: tuple[int, ...] = ()
    """Sizes of LSTMs, one over the other, that see the frames of a step first (kind: gru)."""
    context: int = Field(25, ge=2, le=500)
    """Steps that attention looks back over, and in which mean forgets two thirds; the others learn how long."""

    @model_validator(mode="after")
    def _a_gru_gathers(self) -> Temporal:
        if self.below and self.kind != "gru":
            raise ValueError(f"what LSTMs below say is gathered by a GRU, and kind is {self.kind}")
        return self


class VoiceNet(Block):
    """The CNN on the voice window."""

    frontend: Literal["waveform", "logmel", "pcen", "mel"] = "waveform"
    """What its blocks see: a filter bank learnt on the waveform; mel energies as logarithms; or these normalised in
    each band by its recent level (PCEN). Or the mel energies of each 10 ms as they are, with no blocks at all: what the
    LSTM of a speaker encoder hears (`train.voice_weights`)."""
    blocks: Literal["1d", "2d", "none"] = "1d"
    """Whether they run over time alone, or over bands and time; 2d needs the bands of `logmel` or `pcen`, and `none`
    goes with `mel`."""
    channels: int = Field(24, ge=4)
    """The 1D blocks have two, three and four times as many, the 2D ones half, once and twice."""
    embedding: int = Field(128, ge=8)
    """Numbers that it gives for a window, or for a frame of it."""
    pooling: Literal["window", "frame"] = "window"
    """What is gathered over time: one embedding a step, the window summed up; or one of every 32 or 40 ms
    (mmer/model/voice.py)."""
    temporal: Temporal | None = None
    """With `fusion: late` or `joint`: what gathers its evidence, instead of `model.temporal`."""

    @model_validator(mode="after")
    def _blocks_see_what_they_need(self) -> VoiceNet:
        if self.blocks == "2d" and self.frontend == "waveform":
            raise ValueError(
                "blocks: 2d looks at neighbouring bands, and those of frontend: waveform have no order; take frontend: "
                "logmel or pcen"
            )
        plain = self.blocks == "none", self.frontend == "mel"
        if any(plain) and not (all(plain) and self.pooling == "frame" and self.embedding == SPEAKER_BANDS):
            raise ValueError(
                f"frontend: mel, blocks: none, pooling: frame and embedding: {SPEAKER_BANDS} go together: the energies "
                "of each frame as they are"
            )
        return self


class Model(Block):
    """The network: its parts, their sizes and how they meet."""

    modalities: tuple[ModalityName, ...] = Field(MODALITIES, min_length=1)
    """Those that it may use; one of which the training data holds nothing is off anyway."""

    face: FaceNet = FaceNet()
    scene: SceneNet = SceneNet()
    voice: VoiceNet = VoiceNet()
    temporal: Temporal = Temporal()
    fusion: Fusion = "concat"
    """Where the modalities meet: before `temporal`, in one of three ways; or (late) as calibrated log-probabilities
    after one `temporal` each, for training data in which faces and voices are not of the same clips; or (joint) so and
    with what a further `temporal`, which sees them all, adds where several are present."""

    @model_validator(mode="after")
    def _each_once(self) -> Model:
        if len(set(self.modalities)) < len(self.modalities):
            raise ValueError("modalities names one twice")
        return self


class Channels(Block):
    """How often a voice in training goes through each of what lies between a mouth and a model
    (mmer/training/channels.py)."""

    equaliser: Share = 0.0
    clipping: Share = 0.0
    compression: Share = 0.0
    gate: Share = 0.0
    telephone: Share = 0.0
    babble: Share = 0.0
    gain: Share = 0.0
    codec: Share = 0.0
    """Taken as a real codec left it (stages/code.py); the others come on top."""
    shift: Share = 0.0
    """The start moved by up to a step."""


class Cameras(Block):
    """How far and how often a face in training is changed by what lies between a face and a model
    (mmer/training/cameras.py); it comes on top of `augment`."""

    roll_deg: float = Field(0.0, ge=0, le=180)
    """Rolled by up to so much, half of the faces by less than a third of it."""
    scale: Share = 0.0
    """Made larger or smaller by up to this share."""
    shift: Share = 0.0
    """Moved by up to this share of the side."""
    perspective: Share = 0.0
    """Each corner moved by up to this share of the side."""
    covered: Share = 0.0
    """Chance of a mask, dark glasses or a hand."""
    light: Share = 0.0
    """Chance of another exposure, light from one side, noise."""
    small: Share = 0.0
    """Chance that few pixels were the whole face."""
    codec: Share = 0.0
    """Chance of a strong codec."""


class Balance(Block):
    """How often a clip is drawn in an epoch: 0 leaves a corpus (an emotion) as frequent as its clips make it, 1 draws
    all corpora (in each corpus, all emotions) equally often."""

    corpora: Share = 0.5
    """Between the corpora."""
    emotions: Share = 1.0
    """Between the emotions of a corpus."""


class Train(Block):
    """One training."""

    epochs: int = Field(16, ge=0)
    """0: what `init_from` starts from is kept as it is."""
    """Passes over the training clips."""
    batch_size: int = Field(16, ge=2)
    """Clips in a batch."""
    lr: float = Field(0.002, gt=0)
    """Peak learning rate of AdamW under one cosine cycle."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW's."""
    loss: Literal["cross_entropy", "balanced", "focal"] = "cross_entropy"
    """`balanced` weighs each emotion by its rarity, `focal` each clip by how unsure the network is
    (mmer/training/losses.py)."""
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    """Share of the target that is spread evenly over all emotions."""
    ema: float = Field(0.0, ge=0, lt=1)
    """The weights that are validated and kept are an exponential moving average of those of the updates, with this
    decay; 0 keeps the last."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Ends the training after so many epochs that were no better on the validation speakers."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Chance that a number is zeroed in training: of the joined embeddings, and of what goes into a head."""
    modality_dropout: float = Field(0.15, ge=0, lt=1)
    """Chance, per clip and modality, that a modality is hidden (never all that a clip has)."""
    voice_mask: float = Field(0.2, ge=0, lt=1)
    """Share of the bands and of the frames of a voice window that may be hidden (SpecAugment)."""
    auxiliary: float = Field(0.3, ge=0)
    """Weight of each branch's own loss."""
    affect: float = Field(1.0, ge=0)
    """Weight of the loss of valence and arousal, where training clips tell them; 0: they are not learnt. Where they are
    not, the network has no head for them."""
    augment: Share = 0.5
    """Strength of the augmentation, 0 (none) to 1."""
    channels: Channels | None = None
    """None: a voice is only changed as `augment` says."""
    cameras: Cameras | None = None
    """None: a face is only changed as `augment` says."""
    outlier_exposure: float = Field(0.0, ge=0, lt=0.5)
    """Share of the clips that are replaced by what shows and tells nothing, learnt as no emotion more than another
    (outlier exposure, Hendrycks et al. 2019)."""
    mixup: float = Field(0.0, ge=0)
    """Each voice is mixed, as log energies, with another of the batch, by shares of Beta(mixup, mixup), and so are the
    emotions to be learnt; for branches of voice alone: what else a clip holds is not mixed. 0: none."""
    consistency: float = Field(0.0, ge=0)
    """Weight of the demand that a face which is mirrored or moved a little is answered as before; doubles the time that
    faces take."""
    balance: Balance = Balance()
    targets: Literal["intended", "votes", "both"] = "intended"
    """What is learnt where people voted: the intended emotion, their distribution, or the mean of the two."""
    taught: Share = 0.0
    """How much a teacher's answer counts beside the target: the one of `taught_by`, else of data/teacher.npz
    (stages/teach.py)."""
    taught_by: str | None = None
    """A network.safetensors, of the same `input`, that teaches: it answers each clip as this network sees it, with all
    that augmentation did (function matching, Beyer et al. 2022, arXiv:2106.05237); `taught` says how much that
    counts. `votes`: of clips that people voted on alike, how many were meant as each emotion
    (mmer/training/votes.py)."""
    pairing: Literal["none", "label", "speaker"] = "none"
    """Also joins voices and faces of different recordings into artificial clips of one emotion: `label` of different
    people, `speaker` of one (the voices that a corpus recorded alone beside films of the same person); every report of
    such a training says so."""
    still_steps: int = Field(8, ge=1)
    """A still picture is looked at for up to so many steps."""
    voice_weights: Literal["resemblyzer"] | None = None
    """Speaker-recognition weights that the LSTM on the voice's mel energies starts from: those in the package
    Resemblyzer (mmer/model/pretrained.py)."""
    face_weights: str | None = None
    """Face-recognition weights that the face network starts from, below MMER_MIRROR; where they are not there, it
    starts from nothing and says so."""
    begun_rate: Share = 1.0
    """Share of `lr` at which that goes on learning which began from `voice_weights`, or from branches trained apart
    (`fusion: joint`); 0 keeps it as it is."""
    init_from: str | None = None
    """A network.safetensors of an earlier training, whose branches of the same shape are gone on from."""
    start_share: float = Field(0.0, ge=0, lt=1)
    """What is kept of each epoch lies by this share on the way back to what `init_from` started: between the two, a
    network keeps more of what it could before, on other data (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models")."""
    memory_mb: int = Field(512, ge=0)
    """Samples that were read once stay in memory, as long as they take no more."""
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """On how many the stage `train` trains, each with its share of every batch: GPUs where there are any (`auto`: all),
    else processes. The search and cross-validations take one."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """`auto`: bfloat16 on a GPU that knows it, else float32."""
    branches: dict[ModalityName, dict[str, Any]] = Field(default_factory=dict)
    """With `fusion: late`: the branches are trained apart, each on the clips that hold its modality and with these keys
    of `train` changed: {voice: {epochs: 60}}."""

    @model_validator(mode="after")
    def _something_is_learnt_or_kept(self) -> Train:
        if not self.epochs and not self.init_from:
            raise ValueError("epochs: 0 keeps what init_from names: name it, or train for an epoch or more")
        return self

    @model_validator(mode="after")
    def _there_is_a_start(self) -> Train:
        if self.start_share and not self.init_from:
            raise ValueError("start_share is a share of what init_from names: name it, or leave it 0")
        return self

    @model_validator(mode="after")
    def _who_teaches_is_heard(self) -> Train:
        if self.taught_by and not self.taught:
            raise ValueError("taught_by names a teacher of whom nothing counts: set taught, from 0 to 1")
        return self

    @model_validator(mode="after")
    def _branches_are_trainings(self) -> Train:
        for name, changed in self.branches.items():
            for key in changed:
                if key not in Train.model_fields or key == "branches":
                    raise ValueError(f"branches.{name}: unknown key {key!r}.{suggest(key, Train.model_fields)}")
            try:
                self.of_branch(name)
            except ValidationError as error:
                raise ValueError(f"branches.{name}: " + "; ".join(explain_error(e) for e in error.errors())) from None
        if self.branches and self.pairing != "none":
            raise ValueError("branches are trained apart, and pairing joins them: choose one")
        return self

    def of_branch(self, name: ModalityName) -> Train:
        """The training of one modality's branch."""
        return Train.model_validate(self.model_dump() | {"branches": {}} | self.branches.get(name, {}))


Value = bool | int | float | str | None


class Dimension(Block):
    """What a searched key may be: a number of an interval, `{low: 0.001, high: 0.01, log: true}`, or one of several
    values, `[lstm, gru]`.
    """

    low: float | None = None
    """Least value of the interval."""
    high: float | None = None
    """Largest value of the interval."""
    log: bool = False
    """Whether the interval is searched on a logarithmic scale."""
    choices: tuple[Value, ...] = ()
    """The values, where it is no interval."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"choices": given} if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Dimension:
        if self.low is None or self.high is None:
            if not self.choices or self.low is not None or self.high is not None or self.log:
                raise ValueError("give either low and high, or a list of values")
            if len(set(self.choices)) < len(self.choices):
                raise ValueError("a value stands in the list twice")
        elif self.choices:
            raise ValueError("give either low and high, or a list of values, not both")
        elif not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 where log is true")
        return self

    def contains(self, value: Value) -> bool:
        """Whether the key may be that."""
        if self.choices:
            return value in self.choices
        assert self.low is not None
        assert self.high is not None
        return isinstance(value, int | float) and self.low <= value <= self.high

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The values that must be right for all to be right."""
        return self.choices or (self.low, self.high)


class Budget(Block):
    """What a network may cost; a configuration over it is never trained."""

    parameters: Annotated[int, Field(gt=0)] | None = None
    """Learnt numbers."""
    macs_per_s: Annotated[float, Field(gt=0)] | None = None
    """Multiply-adds for a second of live input (mmer/model/cost.py)."""


class Tune(Block):
    """The search: many short trainings, then the best of them in full (mmer/search/search.py)."""

    trials: int = Field(8, ge=1)
    """Configurations that are tried."""
    epochs: int = Field(3, ge=1)
    """Epochs of one trial."""
    finalists: int = Field(2, ge=1)
    """Trials that are trained again for `train.epochs`; the champion is one of them."""
    tolerance: Share = 0.01
    """UAR that may be given up for a cheaper network: the champion is the finalist with the fewest multiply-adds that
    comes so close to the best."""
    budget: Budget = Budget()
    space: dict[str, Dimension] = Field(default_factory=dict)
    """Keys of `train` and `model` by dotted name, and what each may be; the first trial is what params.yaml says."""
    storage: str | None = None
    """URL of an Optuna database that several workers share; by default a SQLite file of one worker under `.mmer/`."""

    @model_validator(mode="after")
    def _keys_of_train_and_model(self) -> Tune:
        blocks: dict[str, type[Block]] = {"train": Train, "model": Model}
        known = [f"{root}.{key}" for root, block in blocks.items() for key in leaves(block)]
        for key, dimension in self.space.items():
            if key not in known:
                raise ValueError(f"space holds {key!r}, which is no key of train or model.{suggest(key, known)}")
            root, inner = key.split(".", 1)
            for value in dimension.extremes:
                tree: dict[str, Any] = {}
                set_dotted(tree, inner, value)
                try:
                    blocks[root].model_validate(tree)
                except ValidationError as error:
                    raise ValueError(f"space.{key}: {error.errors()[0]['msg']} (it is {value!r})") from None
        return self


class Evaluate(Block):
    """How results are told."""

    bootstrap: int = Field(1000, ge=100)
    """Resamples of the test speakers behind each 95% interval."""
    confident_errors: int = Field(3, ge=0)
    """Of each corpus, how many of the mistakes that the model was surest of are explained."""


class Robustness(Block):
    """Scores under noise, blur, darkness and the like."""

    clips: int = Field(300, ge=20)
    """Test clips of each corpus that are looked at, at most: each goes through the graph some sixty times."""


Classes = Literal["emotions", "published"]


class Folds(Block):
    """K-fold cross-validation by speaker."""

    modalities: tuple[ModalityName, ...] = Field(MODALITIES, min_length=1)
    """What the networks are given; of each clip the rest is taken away."""
    classes: Classes = "emotions"
    """What the networks tell apart: the seven emotions; or `published`, the classes of those corpora whose owner
    published more than these (RAVDESS: calm apart from neutral), and the other corpora are left out."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """Of each fold's training; None is `train.epochs`, which of a mixture of corpora are shorter than those of one."""
    jobs: Annotated[int, Field(ge=1)] | Literal[-1] = -1
    """Folds trained at once, each by a process with one thread; -1 is one per core. The results do not depend on it."""


class Quantised(Block):
    """The graph with int8 weights."""

    max_loss: float = Field(0.01, ge=-1, le=1)
    """Most UAR that it may lose on the test clips; where it loses more, it does not ship."""


class Package(Block):
    """What a graph must keep of the network it was exported from, and what it is called."""

    status: Literal["experiment", "candidate", "release"] = "experiment"
    """Told by the model wherever it is used."""
    max_difference: float = Field(1e-3, gt=0)
    """Largest difference of a probability, over all test clips."""
    quantised: Quantised = Quantised()


class Params(Block):
    """All of params.yaml."""

    seed: int = Field(0, ge=0)
    """Everything random follows from it."""
    licences: tuple[str, ...] = ()
    """Licences with conditions that you accept, by the name that a corpus's reader gives (docs/corpora.md)."""
    corpora: tuple[str, ...] = Field(("demo",), min_length=1)
    """The corpora that are prepared, trained on and tested, by the names of their readers (docs/corpora.md)."""
    split: Split = Split()
    input: Input = Input()
    media: Media = Media()
    faces: Faces = Faces()
    download: Download = Download()
    prepare: Prepare = Prepare()
    validate_: Validate = Field(Validate(), alias="validate")
    model: Model = Model()
    train: Train = Train()
    tune: Tune = Tune()
    evaluate: Evaluate = Evaluate()
    robustness: Robustness = Robustness()
    folds: Folds = Folds()
    package: Package = Package()

    @model_validator(mode="after")
    def _blocks_fit_together(self) -> Params:
        if self.train.branches and self.model.fusion not in ("late", "joint"):
            raise ValueError("train.branches trains the branches apart, which needs model.fusion: late or joint")
        tested = set(self.split.test_corpora)
        if unknown := sorted(tested - set(self.corpora)):
            raise ValueError(f"split.test_corpora names {unknown[0]!r}, which corpora does not")
        if tested == set(self.corpora):
            raise ValueError("split.test_corpora names all corpora: none is left to train on")
        return self


def explain_error(error: Any) -> str:
    """One pydantic error as a sentence that names the key and, for an unknown one, its nearest neighbour."""
    *parents, last = error["loc"] or ("params",)
    name = ".".join(str(p) for p in error["loc"]) or "params"
    if error["type"] == "extra_forbidden":
        return f"unknown key {name!r}.{suggest(str(last), _keys(parents))}"
    was = "" if isinstance(error["input"], dict) else f" (it is {error['input']!r})"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}{was}"


def _keys(parents: list[str | int]) -> list[str]:
    """The keys allowed in the block at that place."""
    block: Any = Params
    for parent in parents:
        found = next((f for n, f in block.model_fields.items() if parent in (n, f.alias)), None)
        if found is None or not isinstance(found.annotation, type) or not issubclass(found.annotation, Block):
            return list(Dimension.model_fields)
        block = found.annotation
    return [f.alias or n for n, f in block.model_fields.items()]


def suggest(name: str, known: Iterable[str]) -> str:
    """What an unknown key was meant to be: its new name, or its nearest neighbour."""
    known = list(known)
    for old, new in RENAMED.items():
        for before, now in ((old, new), (old.rpartition(".")[2], new.rpartition(".")[2])):
            if name == before and now in known:
                return f" It is called {now!r} now."
    near = [k for k in known if k.endswith(f".{name}")] or difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."


def renamed(model: dict[str, Any]) -> dict[str, Any]:
    """A `model` block with the present names of its keys: weights outlive them."""
    tree = copy.deepcopy(model)
    for old, new in RENAMED.items():
        *parents, last = old.split(".")
        if parents[:1] != ["model"]:
            continue
        block = tree
        for parent in parents[1:]:
            block = block.get(parent) or {}
        if last in block:
            block[new.rpartition(".")[2]] = block.pop(last)
    return tree
