"""A HEIC writer for tests: HEVC pictures of ffmpeg in the boxes of ISO 23008-12, since no library here writes them."""

from __future__ import annotations

import argparse
import struct
import subprocess
import tempfile
from pathlib import Path


def box(kind: bytes, *parts: bytes, version: int | None = None, flags: int = 0) -> bytes:
    """A box; a full one where it has a version."""
    head = b"" if version is None else struct.pack(">I", version << 24 | flags)
    body = head + b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def coded(picture: Path, crop: str) -> tuple[bytes, bytes, int, int]:
    """A part of a picture as HEVC: its decoder configuration, its data, width and height."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "still.mp4")
        command = ["ffmpeg", "-v", "error", "-i", str(picture), "-vf", f"{crop},format=yuv420p", "-c:v", "libx265"]
        subprocess.run([*command, "-tag:v", "hvc1", "-x265-params", "log-level=none:crf=12", str(film)], check=True)
        data = film.read_bytes()
    at = data.index(b"hvcC") - 4
    configuration = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    entry = data.index(b"hvc1", data.index(b"stsd"))
    width, height = struct.unpack(">HH", data[entry + 28 : entry + 32])
    media = data.index(b"mdat")
    return configuration, data[media + 4 : media - 4 + int.from_bytes(data[media - 4 : media], "big")], width, height


def heic(items: list[tuple[bytes, bytes, int, int]], size: tuple[int, int], columns: int = 1, turned: int = 0) -> bytes:
    """A HEIC of one picture, or of a grid of tiles; `turned` is by how many quarters anticlockwise it is shown."""
    grid = len(items) > 1
    ids = list(range(1, len(items) + 1))
    primary = len(items) + 1 if grid else 1
    stored = [item[1] for item in items]
    if grid:
        ids.append(primary)
        stored.append(struct.pack(">BBBBHH", 0, 0, len(items) // columns - 1, columns - 1, *size))
    entries = [box(b"infe", struct.pack(">HH4s", n, 0, b"grid" if n == primary and grid else b"hvc1"), b"\0", version=2)
               for n in ids]  # fmt: skip
    sizes = [box(b"ispe", struct.pack(">II", *item[2:]), version=0) for item in items]
    properties = [*(item[0] for item in items), *sizes]
    uses = [(n, [0x80 | n, len(items) + n]) for n in range(1, len(items) + 1)]
    if grid:
        properties.append(box(b"ispe", struct.pack(">II", *size), version=0))
        uses.append((primary, [len(properties)]))
    if turned:
        properties.append(box(b"irot", bytes([turned])))
        uses[-1][1].append(0x80 | len(properties))
    told = b"".join(struct.pack(">HB", n, len(of)) + bytes(of) for n, of in uses)
    iprp = box(b"iprp", box(b"ipco", *properties),
               box(b"ipma", struct.pack(">I", len(uses)), told, version=0))  # fmt: skip
    tiles = struct.pack(f">HH{len(items)}H", primary, len(items), *ids[: len(items)])
    before = [
        box(b"hdlr", struct.pack(">I4s12x", 0, b"pict"), b"\0", version=0),
        box(b"pitm", struct.pack(">H", primary), version=0),
        box(b"iinf", struct.pack(">H", len(entries)), *entries, version=0),
        *([box(b"iref", box(b"dimg", tiles), version=0)] if grid else []),
        iprp,
    ]
    ftyp = box(b"ftyp", b"heic", struct.pack(">I", 0), b"mif1heic")
    at = len(ftyp) + 12 + sum(map(len, before)) + 16 + 14 * len(ids) + 8
    places = []
    for n, data in zip(ids, stored, strict=True):
        places.append(struct.pack(">HHHII", n, 0, 1, at, len(data)))
        at += len(data)
    iloc = box(b"iloc", struct.pack(">BBH", 0x44, 0, len(ids)), *places, version=0)
    return ftyp + box(b"meta", *before, iloc, version=0) + box(b"mdat", *stored)


def write(picture: Path, out: Path, *, tiles: bool = False, turned: int = 0) -> None:
    """Write a picture as HEIC."""
    if tiles:
        crops = [f"scale=256:256,crop=128:128:{x}:{y}" for y in (0, 128) for x in (0, 128)]
        out.write_bytes(heic([coded(picture, crop) for crop in crops], (256, 256), 2, turned))
    else:
        item = coded(picture, "null")
        out.write_bytes(heic([item], item[2:], turned=turned))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tiles", action="store_true")
    given = parser.parse_args()
    write(given.picture, given.out, tiles=given.tiles)
