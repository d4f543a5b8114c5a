"""Samples on disk: what a clip becomes on its way to the network, one file per clip.

Extraction writes a frames file, which `FramesReader` reads: `jpegs` uint8, one picture per step one after the other;
`sizes` int64 [T], of each, 0 where a step has none ([0] where the clip has no picture); `times` float32 [T], the true
presentation time of each in seconds, no later than its step's; `voice` int16 [N] at 16 kHz mono; `steps` int64 [1], T.
Cropping turns it into a `Sample`. Both live on the same grid of steps: step k, from 0, stands at (k + 1) * step_s and
has the newest frame that is not later, and the voice window that ends there, so that a clip and a live stream are the
same computation.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mmer.data.clips import Clip
from mmer.labels import MODALITIES, ModalityName
from mmer.runtime.config import Input
from mmer.runtime.types import Floats
from mmer.runtime.voice import hear

SPOOL = 1 << 20
"""Bytes of an array that are kept in memory while it is written."""


@dataclass(frozen=True)
class Sample:
    """What the network sees of a clip. A modality that is absent is absent in `present`, whatever its array holds."""

    faces: npt.NDArray[np.uint8]
    """[T, S, S, 3] RGB."""
    scenes: npt.NDArray[np.uint8]
    """[T, C, C, 3] RGB."""
    voice: npt.NDArray[np.int16]
    """[N] at 16 kHz mono."""
    present: npt.NDArray[np.bool_]
    """[T, 3]: face, scene, voice."""

    def windows(self, given: Input) -> Floats:
        """The voice window that ends at each step as a network is to hear it, float32 [T, W]."""
        return hear(self.voice, len(self.present), given, 0.0)[0]


def as_pass(sample: Sample, given: Input, state_size: int) -> dict[str, npt.NDArray[Any]]:
    """What a forward pass takes to see a whole clip at once, B = 1, from the state at the start."""
    return {
        "faces": sample.faces[None],
        "scenes": sample.scenes[None],
        "voice": sample.windows(given)[None],
        "present": sample.present[None].astype(np.float32),
        "state": np.zeros((1, state_size), np.float32),
    }


class Writer:
    """Writes an npz file array by array and row by row, so that no clip is too long for the memory; the file appears
    when the context ends well, whole, or not at all.

    The bytes depend on the arrays alone. Arrays of nothing but zeros (the faces of a clip that is only heard) are
    deflated, to a thousandth; real ones are stored, since that reads faster.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays: dict[str, _Growing] = {}

    def __enter__(self) -> Writer:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def append(self, name: str, rows: npt.NDArray[Any]) -> None:
        """Add rows [n, ...] to an array; the first rows decide its dtype and the shape of a row."""
        if name not in self._arrays:
            self._arrays[name] = _Growing(rows.dtype, rows.shape[1:], self._path.parent)
        self._arrays[name].append(rows)

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        part = self._path.with_name(self._path.name + ".part")
        try:
            if failed is None:
                with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
                    for name, array in self._arrays.items():
                        array.write(archive, f"{name}.npy")
                part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
            for array in self._arrays.values():
                array.spool.close()


class _Growing:
    """An array that grows by rows: in memory while it is small, else in a file without a name in `folder` (not in /tmp,
    which may be memory)."""

    def __init__(self, dtype: np.dtype[Any], row: tuple[int, ...], folder: Path) -> None:
        self.spool = tempfile.SpooledTemporaryFile(SPOOL, dir=str(folder))  # noqa: SIM115 (the writer closes it)
        self._dtype, self._row, self._rows, self._zero = dtype, row, 0, True

    def append(self, rows: npt.NDArray[Any]) -> None:
        if rows.dtype != self._dtype or rows.shape[1:] != self._row:
            raise ValueError(f"rows are {rows.dtype} {rows.shape[1:]}, not {self._dtype} {self._row} as before")
        self.spool.write(rows.tobytes())
        self._rows += len(rows)
        self._zero &= not rows.any()

    def write(self, archive: zipfile.ZipFile, name: str) -> None:
        member = zipfile.ZipInfo(name)
        member.compress_type = zipfile.ZIP_DEFLATED if self._zero else zipfile.ZIP_STORED
        header = io.BytesIO()
        described = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(header, described | {"shape": (self._rows, *self._row)})
        member.file_size = header.tell() + self.spool.tell()
        self.spool.seek(0)
        with archive.open(member, "w") as file:
            file.write(header.getvalue())
            shutil.copyfileobj(self.spool, file, SPOOL)


class FramesReader:
    """A `Frames` file, read piece by piece."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with np.load(path, allow_pickle=False) as file:
            self.steps = int(file["steps"][0])
            self.times: npt.NDArray[np.float32] = file["times"]
            self._sizes = file["sizes"]

    def jpegs(self) -> Iterator[bytes]:
        """One picture per step, empty where a step has none; nothing at all where the clip has none."""
        with zipfile.ZipFile(self._path) as archive, archive.open("jpegs.npy") as file:
            _skip_header(file)
            for size in self._sizes.tolist():
                yield file.read(size)

    def voice(self, samples: int) -> Iterator[npt.NDArray[np.int16]]:
        """The voice in pieces of so many samples, the last one shorter."""
        with zipfile.ZipFile(self._path) as archive, archive.open("voice.npy") as file:
            _skip_header(file)
            while piece := file.read(2 * samples):
                yield np.frombuffer(piece, np.int16)


def _skip_header(file: IO[bytes]) -> None:
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)


def save_sample(path: Path, sample: Sample) -> None:
    """Write a `Sample` file; it appears whole or not at all."""
    with Writer(path) as writer:
        for name, array in vars(sample).items():
            writer.append(name, array)


def load_sample(path: Path, modalities: Sequence[ModalityName] = MODALITIES) -> Sample:
    """Read a `Sample` file.

    Args:
        modalities: those whose arrays are read; of the others only the shape is, and they are zeros that take no
            memory. `present` is as it is in the file.
    """
    with np.load(path, allow_pickle=False) as file:
        faces, scenes, voice = (
            file[name] if modality in modalities else _zeros_like(file.zip, name)
            for name, modality in zip(("faces", "scenes", "voice"), MODALITIES, strict=True)
        )
        return Sample(faces, scenes, voice, file["present"])


class Memory:
    """Reads samples as `load_sample` does and keeps them, as long as all together take no more than so many bytes: for
    a process in which the files do not change.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._kept: dict[tuple[Path, tuple[ModalityName, ...]], Sample] = {}

    def __call__(self, path: Path, modalities: Sequence[ModalityName] = MODALITIES) -> Sample:
        """The sample; its arrays may not be written to."""
        key = path, tuple(modalities)
        if key not in self._kept:
            sample = load_sample(path, modalities)
            size = sum(array.nbytes for array in vars(sample).values() if array.strides[0])
            if size > self._left:
                return sample
            self._left -= size
            self._kept[key] = sample
        return self._kept[key]


def _zeros_like(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Zeros of the shape and dtype of an array in an npz file, which is not read."""
    with archive.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return np.broadcast_to(dtype.type(0), shape)


Read = Callable[[Path, Sequence[ModalityName]], Sample]
"""`load_sample`, or one that remembers."""


def load_clip(clip: Clip, processed: Path, read: Read = load_sample) -> Sample:
    """A clip's sample, without what the clip is said not to hold: a modality that was taken away is absent."""
    holds = (clip.has_face, clip.has_scene, clip.has_voice)
    sample = read(processed / clip.sample, [m for m, there in zip(MODALITIES, holds, strict=True) if there])
    return replace(sample, present=sample.present & holds)
