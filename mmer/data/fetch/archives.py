"""Unpacking archives that came from elsewhere: zip, and tar as it is or packed with gzip, bzip2 or xz.

All of an archive is unpacked into a hidden folder first, and moved to its place only once the last member was read and
its checksum was right. Archives within archives stay as they are.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from mmer.errors import MmerError

CHUNK = 1 << 16
"""Bytes read at once."""
MAX_HEADER = 1 << 20
"""Bytes of one tar header: tarfile reads it at once, whatever length it claims."""
PACKERS: dict[bytes, Callable[[Path], AbstractContextManager[Any]]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
"""What a tar may be packed with, by its first bytes."""
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
    NotImplementedError,
)
"""What the standard library raises on archives that are damaged, or made to break it."""


@dataclass(frozen=True)
class UnpackLimits:
    """What one archive may unpack to."""

    members: int = 200_000
    member_bytes: int = 16 << 30
    total_bytes: int = 64 << 30
    ratio: float = 200
    """Unpacked over packed; media hardly shrink at all, bombs 1,000 times and more."""
    ratio_from_bytes: int = 64 << 20
    """So much may be unpacked at any ratio."""


class ArchiveError(MmerError):
    """An archive is damaged or refused; nothing of it was unpacked."""


def plain_path(name: str) -> PurePosixPath | None:
    """A name from elsewhere as a path that stays below the folder it is joined to; None where it does not, or is
    no plain name on every system.
    """
    path = PurePosixPath(name)
    odd = any(ord(c) < 32 or c in "\\:\x7f" for c in name)
    return None if not path.parts or path.is_absolute() or ".." in path.parts or odd else path


def unpack(
    archive: Path, folder: Path, limits: UnpackLimits | None = None, tick: Callable[[], None] = lambda: None
) -> int:
    """Unpack an archive into a folder: all of it, or nothing.

    Args:
        archive: zip or tar.
        folder: where its members go; files of the same names are replaced.
        limits: what it may hold.
        tick: called again and again; what it raises ends the unpacking.

    Returns:
        Number of files unpacked.

    Raises:
        ArchiveError: it is no archive, damaged, too large, or not one that a careful owner would make.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".{archive.name}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    try:
        with _explained(archive):
            staged = Staged(archive, staging, limits or UnpackLimits(), tick)
            with archive.open("rb") as file:
                head = file.read(6)
            (_unzip if head.startswith((b"PK\3\4", b"PK\5\6")) else _untar)(archive, head, staged)
            for path in staged.files:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (staging / path).replace(folder / path)
            return len(staged.files)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class Staged:
    """The members that were unpacked so far, in a folder of their own."""

    def __init__(self, archive: Path, folder: Path, limits: UnpackLimits, tick: Callable[[], None]) -> None:
        folder.mkdir()
        self.files: list[PurePosixPath] = []
        self._archive, self._folder, self._limits, self._tick = archive, folder, limits, tick
        self._packed = archive.stat().st_size
        self._free = shutil.disk_usage(folder).free
        self._members = self._bytes = 0

    def refuse(self, why: str) -> ArchiveError:
        return ArchiveError(f"{self._archive.name}: refused, {why}; nothing of it was unpacked")

    def member(self, name: str, *, folder: bool, kind: str = "") -> None:
        """Look at a member before it is read.

        Args:
            kind: what it is, if neither a file nor a folder.
        """
        self._members += 1
        if self._members > self._limits.members:
            raise self.refuse(f"it has more than {self._limits.members:,} members")
        if kind:
            raise self.refuse(f"its member {name!r} is {kind}")
        if plain_path(name) is None and not (folder and PurePosixPath(name) == PurePosixPath()):
            raise self.refuse(f"its member {name!r} would leave the folder, or is no plain name")

    def bound(self, total: int) -> None:
        """Look at the bytes unpacked in all, or announced."""
        if total > self._limits.total_bytes:
            raise self.refuse(f"it unpacks to more than {self._limits.total_bytes:,} bytes")
        if total > max(self._limits.ratio_from_bytes, self._limits.ratio * self._packed):
            raise self.refuse(f"it unpacks to more than {self._limits.ratio:g} times its {self._packed:,} bytes")
        if total > self._free:
            raise self.refuse(
                f"it unpacks to more than the {self._free:,} bytes that are free in {self._folder.parent}"
            )

    def add(self, name: str, size: int, packed: IO[bytes]) -> None:
        """Unpack a file, counting: its header may lie about its size."""
        path = PurePosixPath(name)
        try:
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            file = (self._folder / path).open("xb")
        except (FileExistsError, NotADirectoryError):
            raise self.refuse(f"it has two members that are called {name!r}") from None
        written = 0
        with file:
            while piece := packed.read(CHUNK):
                self._tick()
                written += len(piece)
                self._bytes += len(piece)
                if written > self._limits.member_bytes:
                    raise self.refuse(f"its member {name!r} has more than {self._limits.member_bytes:,} bytes")
                self.bound(self._bytes)
                file.write(piece)
        if written != size:
            raise tarfile.ReadError(f"member {name!r} has {written:,} bytes, its header says {size:,}")
        self.files.append(path)


def _unzip(archive: Path, _: bytes, staged: Staged) -> None:
    kinds = {0: "", stat.S_IFREG: "", stat.S_IFDIR: "", stat.S_IFLNK: "a link"}
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        for member in members:
            kind = kinds.get(stat.S_IFMT(member.external_attr >> 16), "a device or the like")
            if member.flag_bits & 1:
                kind = "encrypted"
            # zipfile cuts a name at its first NUL; we look at all of it
            staged.member(member.orig_filename, folder=member.is_dir(), kind=kind)
        staged.bound(sum(member.file_size for member in members))
        for member in members:
            if not member.is_dir():
                with opened.open(member) as packed:
                    staged.add(member.filename, member.file_size, packed)


def _untar(archive: Path, head: bytes, staged: Staged) -> None:
    opened_by = next((p for magic, p in PACKERS.items() if head.startswith(magic)), lambda path: path.open("rb"))
    with opened_by(archive) as stream:
        metered = _Metered(stream, staged)
        with tarfile.open(fileobj=cast(IO[bytes], metered), mode="r:") as opened:
            for member in opened:
                kind = (
                    "a link" if member.issym() or member.islnk() else "" if member.isdir() else "a device or the like"
                )
                if member.isreg():
                    kind = "sparse" if member.issparse() else ""
                staged.member(member.name, folder=member.isdir(), kind=kind)
                if packed := opened.extractfile(member):
                    with packed:
                        staged.add(member.name, member.size, packed)
        # tarfile takes a cut or a broken header for the end: the true end is a block of zeros
        if metered.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end is missing")
        while metered.read(CHUNK):  # to the checksum behind it
            pass


class _Metered(io.RawIOBase):
    """A stream that is unpacked no further than the limits go, whatever its headers say."""

    def __init__(self, stream: IO[bytes], staged: Staged) -> None:
        super().__init__()
        self._stream, self._staged = stream, staged
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise self._staged.refuse(f"it has a header of {size:,} bytes")
        self.last = self._stream.read(size)
        self._staged.bound(self._stream.tell())
        return self.last

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._staged.bound(offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """Tell what is wrong with an archive, or with the disk."""
    try:
        yield
    except ArchiveError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise ArchiveError(f"{archive.name}: cannot be unpacked here: {error.strerror}") from None
        raise ArchiveError(f"{archive.name}: damaged, or no archive ({error}); nothing of it was unpacked") from None
    except BROKEN as error:
        raise ArchiveError(f"{archive.name}: damaged, or no archive ({error}); nothing of it was unpacked") from None
    except RuntimeError as error:  # a zip whose members disagree with its directory about encryption
        raise ArchiveError(f"{archive.name}: refused ({error}); nothing of it was unpacked") from None
