"""The parameters that a model carries in its own metadata, so that recognition needs no params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class Block(BaseModel):
    """A part of params.yaml: unknown keys are errors, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(Block):
    """A voice is heard relative to how loud it has been: its gain is taken out, and what is voice is told by what lies
    before it (mmer/runtime/voice.py)."""

    fall_db_s: float = Field(4.0, gt=0)
    """By how much the followed level falls, dB a second; it jumps up with what is louder."""
    rise_db_s: float = Field(2.0, gt=0)
    """By how much the followed floor rises, dB a second; it drops at once to what is softer."""
    range_db: float = Field(30.0, gt=0)
    """What lies further below the level is no voice."""
    margin_db: float = Field(5.0, ge=0)
    """What lies no further above the floor is no voice but steady noise."""


class Input(Block):
    """What a model sees; stored in its graph, so that recognition needs no params.yaml."""

    step_s: float = Field(0.2, gt=0, le=1)
    """Seconds between two steps. Step k (from 0) stands at (k + 1) * step_s."""
    voice_window_s: float = Field(0.6, gt=0, le=5)
    """Length of the voice window that ends at each step."""
    face_size: int = Field(64, ge=32, le=112, multiple_of=16)
    """Side of the face crop, pixels."""
    scene_size: int = Field(64, ge=32, le=224, multiple_of=16)
    """Side of the whole image made small, pixels."""
    level: Level | None = None
    """None: a voice is heard as loud as it was recorded, and `media.silence_dbfs` alone tells what is silence."""


class Media(Block):
    """Limits and rules of decoding."""

    frame_side: int = Field(640, ge=64)
    """Frames are shrunk to at most this long side, pixels."""
    silence_dbfs: float = Field(-50, lt=0)
    """A voice window below this level (RMS, dB of full scale) is silence."""
    max_duration_s: float = Field(600, gt=0)
    """Longest clip that is decoded."""
    max_pixels: int = Field(9_000_000, gt=0)
    """Largest picture that is decoded (a little over 4K UHD)."""
    max_image_pixels: int = Field(50_000_000, gt=0)
    """Largest still image: what telephones take. Above `max_pixels` it is read by a process of its own, with limits."""
    max_fps: float = Field(240, gt=0)
    """Pictures in a second of a video (slow motion of telephones has 240)."""
    timeout_s: float = Field(120, gt=0)
    """Seconds that decoding one file may take."""
    max_memory_mb: int = Field(2048, gt=0)
    """Address space of one ffmpeg (Linux only): 4K UHD takes up to 930."""


class Faces(Block):
    """Detection (MTCNN), tracking and cropping."""

    min_face: int = Field(40, ge=12)
    """Smallest face looked for, pixels of the shrunk frame."""
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    """Of the P-, R- and O-Net."""
    margin: float = Field(0.1, ge=-0.4, le=1)
    """Added on each side of the detected box, as a share of its size, before it is made square."""
    max_gap_s: float = Field(0.6, ge=0)
    """A face that is lost for no longer keeps its last box."""
    detect_every_s: float = Field(3.0, ge=0)
    """Seconds between two searches of the whole picture while a face is followed from its last box
    (docs/preparing.md); 0 searches every picture."""
    max_people: int = Field(4, ge=1, le=8)
    """People followed at once, each with an id that stays; of more, the largest faces. Preparing follows one."""
    align: bool = False
    """A face's crop is laid on its eyes and mouth: turned upright, of one size and in one place (docs/preparing.md)."""


class Shown(Block):
    """Temperatures of what is shown live, by what it rests on and for how many seconds: the first second of a voice
    tells less than the network, which was calibrated on whole clips, believes (mmer/evaluation/as_shown.py)."""

    seconds: tuple[float, ...] = Field(min_length=2)
    """Of evidence so far, rising; between two the temperature is interpolated, before and after them it stays."""
    face: tuple[float, ...]
    voice: tuple[float, ...]
    both: tuple[float, ...]

    @model_validator(mode="after")
    def _one_for_each(self) -> Shown:
        for name in ("face", "voice", "both"):
            if len(getattr(self, name)) != len(self.seconds):
                raise ValueError(f"{name} needs as many temperatures as there are seconds")
        return self
