"""An archive is unpacked whole, below its folder and within its limits, or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mmer.data.fetch.archives import ArchiveError, Staged, UnpackLimits, unpack
from tests.conftest import ROOT
from tests.httpserver import only_half

SMALL = UnpackLimits(members=50, member_bytes=400_000, total_bytes=1_000_000, ratio=20, ratio_from_bytes=200_000)
NOISE = os.urandom(3000)
RIGHT = {"Actor_01/good.wav": NOISE, "notes.txt": b"good"}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}


def zipped(members: dict[str, bytes], *, stored: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(members: dict[str, bytes], *special: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in special:
            archive.addfile(info)
    return buffer.getvalue()


def zip_special(mode: int, data: str = "/etc/passwd") -> bytes:
    """A zip with a member of that Unix mode."""
    buffer = io.BytesIO(zipped(RIGHT))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("special")
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return buffer.getvalue()


def zip_encrypted() -> bytes:
    """A zip that says of its members that they are encrypted."""
    data = bytearray(zipped(RIGHT))
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            data[at + flags] |= 1
    return bytes(data)


def zip_lying(says: int, members: dict[str, bytes]) -> bytes:
    """A zip whose headers state another size of its last member than it has."""
    data = bytearray(zipped(members))
    for magic, size in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.rindex(magic) + size, says)
    return bytes(data)


def zip_overlapping(names: int) -> bytes:
    """A zip whose directory lists one member's bytes again and again."""
    whole = zipped({"a": bytes(100_000)})
    start = whole.index(b"PK\1\2")
    end = whole.index(b"PK\5\6")
    entries = [whole[start:end][:46] + bytes([97 + n]) + whole[start:end][47:] for n in range(names)]
    locals_ = [whole[:30] + bytes([97 + n]) + whole[31:start] for n in range(names)]
    entries = [e[:42] + struct.pack("<I", sum(map(len, locals_[:n]))) + e[46:] for n, e in enumerate(entries)]
    body = b"".join(locals_)
    directory = b"".join(entries)
    return body + directory + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, names, names, len(directory), len(body), 0)


def tar_special(kind: bytes, target: str = "") -> bytes:
    info = tarfile.TarInfo("special")
    info.type, info.linkname = kind, target
    return tarred(RIGHT, info)


def tar_pax_bomb() -> bytes:
    """A tar whose extended header claims to be a gigabyte long."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    return info.tobuf() + bytes(10240)


def tar_sparse() -> bytes:
    """An old GNU sparse member: a gigabyte of nothing in 512 bytes."""
    info = tarfile.TarInfo("sparse")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[483:495] = b"%011o\0" % (1 << 30)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + NOISE[:512] + bytes(10240)


def cut_at_a_member() -> bytes:
    """A tar that ends after a whole member, as if that were all."""
    whole = tarred({"a": NOISE[:512], "b": NOISE[:512]})
    return whole[: whole.index(b"b\0\0\0\0")]


def broken_second_header() -> bytes:
    whole = bytearray(tarred({"a": NOISE[:512], "b": NOISE[:512]}))
    whole[whole.index(b"b\0\0\0\0") + 150] ^= 1
    return bytes(whole)


WHOLE = zipped(RIGHT)
GZ = gzip.compress(tarred(RIGHT))

FAULTS: dict[str, tuple[list[bytes], str]] = {
    "leaves-folder": (
        [f(RIGHT | {n: b"evil"}) for f in (zipped, tarred) for n in ("../evil", "a/../../evil", "..", "a/../b")],
        "would leave the folder",
    ),
    "absolute": ([f(RIGHT | {"/tmp/evil": b"evil"}) for f in (zipped, tarred)], "would leave the folder"),  # noqa: S108
    "odd-name": (
        [f(RIGHT | {n: b"evil"}) for f in (zipped, tarred) for n in ("..\\evil", "C:evil", "a\nb", "a\x1b[2Jb")],
        "no plain name",
    ),
    "nul-in-name": ([zipped(RIGHT | {"evil@.txt": b"evil"}).replace(b"evil@", b"evil\0")], "no plain name"),
    "link": (
        [zip_special(0o120777), tar_special(tarfile.SYMTYPE, "/etc"), tar_special(tarfile.LNKTYPE, "notes.txt")],
        "is a link",
    ),
    "device": (
        [zip_special(0o020666), zip_special(0o010666)]
        + [tar_special(k) for k in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z")],
        "is a device or the like",
    ),
    "sparse": ([tar_sparse()], "is sparse"),
    "twice": (
        [zipped(RIGHT | {"./notes.txt": b"other"}), tarred(RIGHT | {"Actor_01//good.wav": b"other"})]
        + [f(RIGHT | {"notes.txt/a": b"other"}) for f in (zipped, tarred)],
        "two members that are called",
    ),
    "encrypted": ([zip_encrypted()], "is encrypted"),
    "too-many": ([f({str(n): b"" for n in range(51)}) for f in (zipped, tarred)], "more than 50 members"),
    "too-large-member": (
        [f(RIGHT | {"a": os.urandom(400_001)}) for f in (zipped, tarred)],
        "'a' has more than 400,000 bytes",
    ),
    "too-large": (
        [f({str(n): os.urandom(350_000) for n in range(3)}) for f in (zipped, tarred)],
        "more than 1,000,000 bytes",
    ),
    "bomb": (
        [zipped({"a": bytes(300_000)})] + [PACKERS[p](tarred({"a": bytes(300_000)})) for p in PACKERS if p != "tar"],
        "more than 20 times its",
    ),
    "bomb-overlapping": ([zip_overlapping(8)], "more than 20 times its"),
    "bomb-behind-the-end": ([gzip.compress(tarred(RIGHT) + bytes(900_000))], "more than 20 times its"),
    "header-too-long": ([tar_pax_bomb(), gzip.compress(tar_pax_bomb())], "a header of 1,073,741,824 bytes"),
    "lies-about-size": (
        [zip_lying(5, {"a": NOISE}), zip_lying(9000, {"a": NOISE}), zip_lying(0, {"a": bytes(300_000)})],
        "damaged",
    ),
    "truncated": (
        [WHOLE[:-30], WHOLE[:1000], GZ[:-4], GZ[:1000], cut_at_a_member(), tarred(RIGHT)[:3000]]
        + [PACKERS[p](tarred(RIGHT))[:-20] for p in ("tar.bz2", "tar.xz")],
        "damaged",
    ),
    "damaged": (
        [
            WHOLE[:500] + bytes(100) + WHOLE[600:],
            GZ[:500] + bytes(100) + GZ[600:],
            GZ[:-8] + b"\0\0\0\0" + GZ[-4:],
            broken_second_header(),
        ],
        "damaged",
    ),
    "no-archive": ([b"<html>please log in</html>", b"", b"PK\3\4"], "damaged, or no archive"),
}


@pytest.mark.parametrize(("name", "which"), [(n, i) for n, (made, _) in FAULTS.items() for i in range(len(made))])
def test_of_a_broken_or_malicious_archive_nothing_is_unpacked(tmp_path: Path, name: str, which: int) -> None:
    made, error = FAULTS[name]
    (tmp_path / "archive").write_bytes(made[which])
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "before.txt").write_bytes(b"was here")
    with pytest.raises(ArchiveError, match=f"archive: .*{error}.*; nothing of it was unpacked") as told:
        unpack(tmp_path / "archive", tmp_path / "into", SMALL)
    assert str(tmp_path) not in str(told.value) or "free in" in str(told.value)
    assert only_half(tmp_path / "into", {"before.txt": b"was here"}) == []
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["archive", "before.txt", "into"]


def test_the_documentation_lists_these_archives_and_no_others() -> None:
    section = (ROOT / "docs" / "fetching.md").read_text().split("## Faults in archives")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z0-9-]+)`", " ".join(rows))) == sorted(FAULTS)


@pytest.mark.parametrize("kind", ["zip", "zip-stored", *PACKERS])
def test_an_archive_is_unpacked_with_its_folders(tmp_path: Path, kind: str) -> None:
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    if kind.startswith("zip"):
        data = zipped({"Actor_01/": b"", **RIGHT}, stored=kind == "zip-stored")
    else:
        data = PACKERS[kind](tarred(RIGHT, folder))
    (tmp_path / "archive").write_bytes(data)
    assert unpack(tmp_path / "archive", tmp_path / "into" / "deep", SMALL) == len(RIGHT)
    assert only_half(tmp_path / "into" / "deep", RIGHT) == []
    assert all((tmp_path / "into" / "deep" / name).is_file() for name in RIGHT)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_tars_that_tools_write_are_read(tmp_path: Path, form: int) -> None:
    long = {"d" * 90 + "/" + "n" * 90 + str(n): os.urandom(511 + n) for n in range(4)}
    (tmp_path / "a.tar").write_bytes(tarred(long, form=form))
    assert unpack(tmp_path / "a.tar", tmp_path, SMALL) == 4
    assert all((tmp_path / name).read_bytes() == data for name, data in long.items())


def test_bytes_are_counted_whatever_was_announced(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(WHOLE)
    staged = Staged(tmp_path / "a.zip", tmp_path / "into", SMALL, lambda: None)
    with pytest.raises(ArchiveError, match="more than 20 times its"):
        staged.add("a", 5, io.BytesIO(bytes(300_000)))


def test_an_archive_in_an_archive_stays_as_it_is(tmp_path: Path) -> None:
    inner = zipped({"../evil": b"evil"})
    (tmp_path / "a.zip").write_bytes(zipped({"inner.zip": inner}))
    assert unpack(tmp_path / "a.zip", tmp_path / "into", SMALL) == 1
    assert (tmp_path / "into" / "inner.zip").read_bytes() == inner


def test_permissions_of_an_archive_are_not_taken_over(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.mode, info.uid = 0o6777, 12345
    (tmp_path / "a.tar").write_bytes(tarred({}, info))
    unpack(tmp_path / "a.tar", tmp_path, SMALL)
    assert (tmp_path / "a").stat().st_mode & 0o7111 == 0
    assert (tmp_path / "a").stat().st_uid == os.getuid()


def test_what_a_killed_run_left_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(WHOLE)
    (tmp_path / ".a.zip.unpacking").mkdir()
    (tmp_path / ".a.zip.unpacking" / "notes.txt").write_bytes(b"half")
    unpack(tmp_path / "a.zip", tmp_path, SMALL)
    assert (tmp_path / "notes.txt").read_bytes() == b"good"
    assert not (tmp_path / ".a.zip.unpacking").exists()


def test_unpacking_can_be_called_off(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    (tmp_path / "a.zip").write_bytes(WHOLE)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "a.zip", tmp_path / "into", SMALL, stop)
    assert list((tmp_path / "into").iterdir()) == []


def test_an_archive_that_is_cut_or_changed_anywhere_gives_all_or_nothing(tmp_path: Path) -> None:
    """Each format, cut at forty places, and with each of forty bytes changed."""
    for kind, whole in {"zip": WHOLE, **{k: pack(tarred(RIGHT)) for k, pack in PACKERS.items()}}.items():
        places = range(0, len(whole), len(whole) // 40)
        broken = [whole[:at] for at in places]
        broken += [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in places]
        for number, data in enumerate(broken):
            into = tmp_path / f"{kind}{number}"
            (tmp_path / "archive").write_bytes(data)
            try:
                count = unpack(tmp_path / "archive", into, SMALL)
            except ArchiveError:
                assert list(into.iterdir()) == [], f"{kind}, {number}"
            else:
                assert count == len(RIGHT), f"{kind}, {number}"
                # a tar that is not packed has no checksum of what its members hold
                assert kind == "tar" or only_half(into, RIGHT) == [], f"{kind}, {number}"
