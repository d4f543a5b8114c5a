"""Files that no honest client would send, the same for the same seed and clips."""

from __future__ import annotations

import io
import itertools
import os
import random
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from tests import heic

STILLS = ("jpeg", "png", "bmp", "tiff", "webp", "gif", "avif", "heic")
ANIMATED = ("film.gif", "film.webp", "film.png")
SOUNDS = ("mp3", "wav", "ogg", "flac", "aac", "aiff", "caf", "wma", "au", "amr")
FORMATS = ("mp4", "webm", "mkv", "mov", "avi", "flv", "wmv", "3gp", *SOUNDS, *STILLS, *ANIMATED)
_IMAGE = ("-frames:v", "1")
_OPTIONS = {
    "webm": ("-deadline", "realtime", "-cpu-used", "8"),
    "flv": ("-ar", "44100"),
    "mp3": ("-ar", "44100"),
    "3gp": ("-c:v", "libx264", "-c:a", "aac"),
    "film.gif": ("-an", "-r", "5"),
    "film.webp": ("-an", "-r", "5", "-c:v", "libwebp_anim"),
    "film.png": ("-an", "-r", "5", "-f", "apng"),
    "jpeg": _IMAGE,
    "png": _IMAGE,
}


AMR = b"#!AMR\n"


class Attack(NamedTuple):
    """One file."""

    kind: str
    name: str
    """By which it is sent."""
    data: bytes


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


def every_format(clip: Path, folder: Path) -> dict[str, bytes]:
    """A second of a clip in each format."""
    found = {}
    for suffix in FORMATS:
        if suffix in ("amr", *STILLS[2:]):
            continue
        out = folder / f"whole.{suffix}"
        ffmpeg("-i", clip, "-t", "1", *_OPTIONS.get(suffix, ()), out)
        found[suffix] = out.read_bytes()
    with Image.open(folder / "whole.png") as image:
        for suffix in STILLS[2:-1]:
            image.convert("RGB").save(folder / f"whole.{suffix}")
            found[suffix] = (folder / f"whole.{suffix}").read_bytes()
    heic.write(folder / "whole.png", folder / "whole.heic", tiles=True)
    found["heic"] = (folder / "whole.heic").read_bytes()
    found["amr"] = AMR + b"".join(b"\x3c" + random.Random(0).randbytes(31) for _ in range(50))
    return found


def real_clips() -> list[Path]:
    """A few of the mirror, if there is one: video and voice of RAVDESS, CREMA-D's old codecs."""
    mirror = os.environ.get("MMER_MIRROR")
    wanted = ("ravdess/Actor_01/01-*.mp4", "crema_d/VideoFlash/*.flv", "ravdess/Actor_01/03-*.flac")
    return [sorted(Path(mirror).glob(pattern))[0] for pattern in wanted] if mirror else []


def attacks(count: int, seed: int, wholes: Sequence[dict[str, bytes]], folder: Path) -> Iterator[Attack]:
    """All bombs and pretenders, then damaged clips and noise, `count` in all."""
    rng = random.Random(seed)
    fixed = [*pretenders(), *bombs(folder), *crafted_images(), *image_bombs(wholes[0]["heic"]), *crafted_sounds()]
    endless = (noise(rng) if k % 25 == 0 else damaged(rng.choice(wholes), rng) for k in itertools.count())
    return itertools.islice(itertools.chain(fixed, endless), count)


def noise(rng: random.Random) -> Attack:
    """Random bytes, some behind the first ones of a format."""
    heads: tuple[bytes, ...] = (
        b"",
        b"RIFF\0\0\1\0AVI ",
        b"RIFF\0\0\1\0WEBPVP8X\n\0\0\0\2",
        b"GIF89a\x40\1\xf0\0\xf7",
        b"II*\0\x08\0\0\0",
        b"BM\0\0\1\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x18ftypavif",
        b"caff\0\1\0\0desc",
        b"FORM\0\0\1\0AIFFCOMM",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
        b"\xff\xf1\x50\x80",
        b".snd\0\0\0\x18",
        AMR,
        b"\x1aE\xdf\xa3",
        b"OggS\0\2",
        b"fLaC\0\0\0\x22",
        b"\0\0\0\x18ftypmp42",
        b"FLV\1\5",
    )
    heads += (
        b"ID3\4\0\0",
        b"\xff\xfb\x90\x64",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
    )
    return Attack(
        "noise",
        f"clip.{rng.choice(FORMATS)}",
        rng.choice(heads) + rng.randbytes(rng.choice((0, 1, 10, 1000, 100_000))),
    )


def damaged(whole: dict[str, bytes], rng: random.Random) -> Attack:
    """A clip that something happened to."""
    suffix = rng.choice(FORMATS)
    data = bytearray(whole[suffix])
    other = whole[rng.choice(FORMATS)]
    kind = rng.choice(list(_DAMAGES))
    name = f"clip.{rng.choice(FORMATS) if kind == 'misnamed' else suffix}"
    return Attack(kind, name, bytes(_DAMAGES[kind](data, other, rng)))


def _flip(data: bytearray, rng: random.Random, reach: int) -> bytearray:
    for _ in range(rng.choice((1, 3, 30, 300))):
        data[rng.randrange(min(len(data), reach))] ^= 1 << rng.randrange(8)
    return data


def _number(data: bytearray, rng: random.Random) -> bytearray:
    """Numbers near their limits, where sizes and counts stand."""
    for _ in range(rng.choice((1, 3))):
        at = rng.randrange(min(len(data) - 4, 2000))
        data[at : at + 4] = rng.choice(
            (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1")
        )
    return data


def _zero(data: bytearray, rng: random.Random) -> bytearray:
    start, end = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
    data[start:end] = bytes(end - start)
    return data


def _insert(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.choice((1, 50, 5000)))
    return data


_DAMAGES: dict[str, Callable[[bytearray, bytes, random.Random], bytes | bytearray]] = {
    "flipped": lambda data, _, rng: _flip(data, rng, len(data)),
    "flipped head": lambda data, _, rng: _flip(data, rng, 400),
    "numbers": lambda data, _, rng: _number(data, rng),
    "cut": lambda data, _, rng: data[: rng.randrange(len(data))],
    "zeroed": lambda data, _, rng: _zero(data, rng),
    "spliced": lambda data, other, rng: data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :],
    "inserted": lambda data, _, rng: _insert(data, rng),
    "repeated": lambda data, _, __: data * 2,
    "appended": lambda data, _, rng: data + rng.randbytes(1000),
    "polyglot": lambda data, other, _: data + other,
    "misnamed": lambda data, _, __: data,
}


def pretenders() -> Iterator[Attack]:
    """What is no clip, or would lead elsewhere."""
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.mp4", bytes(10_000_000))
    texts = {
        "list.mp4": playlist,
        "list.m3u8": playlist,
        "far.mp4": playlist.replace(b"file:///etc/passwd", b"http://127.0.0.1:1/clip.ts"),
        "concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "picture.jpeg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9e9" height="9e9"/>',
        "page.mpd": b'<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>',
        "session.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "subtitles.mkv": b"1\n00:00:00,000 --> 99:59:59,999\nHello\n",
        "gif.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(32),
        "page.html": b"<script>alert(1)</script>",
        "empty.mp4": b"",
        "one.mp4": b"\0",
        "../../etc/cron.d/x.mp4": b"\0" * 9,
        "clip.zip": packed.getvalue(),
        "zip.mp4": packed.getvalue(),
    }
    for name, data in texts.items():
        yield Attack("pretender", name, data)


def bombs(folder: Path) -> Iterator[Attack]:
    """Small videos and sounds that ask for a lot of time, memory or storage."""
    video, sound = ("-f", "lavfi", "-i"), ("-f", "lavfi", "-i", "sine=d=2")
    quick = ("-preset", "ultrafast", "-fps_mode", "passthrough")
    title = folder / "tags"
    title.write_text(f";FFMETADATA1\ntitle={'A' * 400_000}\n[STREAM]\nrotate={'A' * 2_000_000}\n")
    tags = ("-f", "ffmetadata", "-i", title, "-map", "0", "-map_metadata", "1", "-map_metadata:s:v", "1:s:0")
    made: dict[str, tuple[str | Path, ...]] = {
        "long.mp4": (*video, "color=s=16x16:r=1:d=40000", *quick),
        "long.mp3": (*video, "anullsrc=r=8000:cl=mono", "-t", "4000", "-b:a", "8k", "-write_xing", "0"),
        "live.webm": (*video, "color=s=16x16:r=1:d=4000", "-c:v", "libvpx", "-live", "1", "-cpu-used", "8"),
        "wide.mp4": (*video, "color=s=8192x4320:r=1:d=1", *quick),
        "strip.mkv": (*video, "color=s=16000x16:r=1:d=1", "-c:v", "ffv1"),
        "aspect.mp4": (*video, "color=s=64x64:r=5:d=1,setsar=1000/1", *quick),
        "fast.mp4": (*video, "color=s=64x64:r=1000:d=20", *quick),
        "still.mkv": (*video, "color=s=64x64:r=25:d=200,setpts=0", *quick),
        "back.mkv": (*video, "color=s=64x64:r=25:d=2,setpts='if(lt(N,25),N+25,N-25)/25/TB'", *quick, "-bf", "0"),
        "gap.mkv": (*video, "color=s=64x64:r=25:d=2,setpts='if(lt(N,25),N/25,N/25+5000)/TB'", *quick),
        "hole.mkv": (*sound, "-af", "asetpts='if(lt(N,10),N*1024,N*1024+44100*400000)'"),
        "streams.mkv": (*video, "sine=d=0.05", *["-map", "0"] * 300, "-c:a", "pcm_s16le"),
        "title.mkv": (*video, "color=s=64x64:r=5:d=1", *tags),
        "odd.mp4": (*video, "color=s=18x34:r=5:d=0.2", *quick),
        "none.mp4": (*sound, "-t", "0.001"),
    }
    for name, arguments in made.items():
        out = folder / name
        ffmpeg(*arguments, out)
        yield Attack("bomb", name, out.read_bytes())
    lying = bytearray((folder / "odd.mp4").read_bytes())
    for box, offset in ((b"mvhd", 16), (b"mdhd", 16)):
        at = lying.index(box) + 4 + offset
        lying[at : at + 4] = b"\0\0\0\1"
    yield Attack("bomb", "shorter.mp4", bytes(lying))


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a png."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, *extra: bytes) -> bytes:
    """RGB, 8 bits; rows as they are packed; extra chunks before them."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"".join(extra) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def crafted_images() -> Iterator[Attack]:
    """Images whose cost does not show in their size."""
    rows, packed = (b"\0" + bytes(24)) * 8, zlib.compress(bytes(1_000_000))
    huge = zlib.compress(bytes(100_000_000))
    found = {
        "wide.png": png(60_000, 60_000, b""),
        "wide2.png": png(13_000, 13_000, bytes(1000)),
        "lacking.png": png(3000, 3000, bytes(300)),
        "edge.png": png(3000, 3000, bytes(9001 * 3000)),
        "surplus.png": png(8, 8, bytes(30_000_000)),
        "texts.png": png(8, 8, rows, *(chunk(b"zTXt", b"k%d\0\0" % k + packed) for k in range(200))),
        "text.png": png(8, 8, rows, chunk(b"zTXt", b"k\0\0" + huge)),
        "profile.png": png(8, 8, rows, chunk(b"iCCP", b"k\0\0" + huge)),
        "international.png": png(8, 8, rows, chunk(b"iTXt", b"k\0\1\0\0\0" + huge)),
        "chunks.png": png(8, 8, rows, chunk(b"prVt", b"") * 60_000),
        "none.png": png(0, 0, b""),
    }
    plain, progressive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (64, 64)).save(plain, "JPEG")
    Image.new("RGB", (2990, 2990)).save(progressive, "JPEG", progressive=True)
    jpeg, slow = plain.getvalue(), progressive.getvalue()
    last = slow.rindex(b"\xff\xda")
    found |= {
        "scans.jpeg": slow[:-2] + slow[last:-2] * 3000 + slow[-2:],
        "comments.jpeg": jpeg[:2] + b"\xff\xfe\0\2" * 200_000 + jpeg[2:],
        "padding.jpeg": jpeg[:2] + b"\xff" * 900_000 + jpeg[2:],
        "junk.jpeg": jpeg[:2] + b"\xff\xfe\0\2" + bytes(900_000) + jpeg[2:],
        "tall.jpeg": jpeg.replace(struct.pack(">HH", 64, 64), b"\xff\xff\xff\xff"),
    }
    orientations = {
        "text": b"MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\4abc\0\0\0\0\0",
        "ratio": b"II*\0\x08\0\0\0\1\0\x12\1\5\0\1\0\0\0\x1a\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0",
        "loop": b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0",
        "many": b"II*\0\x08\0\0\0\xff\xff",
    }
    for name, exif in orientations.items():
        told = b"Exif\0\0" + exif
        found[f"exif-{name}.jpeg"] = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(told) + 2) + told + jpeg[2:]
        found[f"exif-{name}.png"] = png(8, 8, rows, chunk(b"eXIf", exif))
    for name, data in found.items():
        yield Attack("image", name, data)


def image_bombs(heic_whole: bytes) -> Iterator[Attack]:
    """Images of the newer formats that are small and claim, or unpack to, a lot."""
    grey = Image.new("L", (8, 8))
    gif = io.BytesIO()
    grey.save(gif, "GIF", save_all=True, append_images=[Image.new("L", (8, 8), 255)], duration=20)
    whole = gif.getvalue()
    at = whole.rindex(b"\x21\xf9")
    webp = io.BytesIO()
    pictures = [Image.new("L", (64, 64), k % 256) for k in range(3000)]
    grey.resize((64, 64)).save(webp, "WEBP", save_all=True, append_images=pictures, duration=1, method=0)
    wide = io.BytesIO()
    canvas = [Image.new("P", (3000, 2990), k) for k in range(2)]
    canvas[0].save(wide, "GIF", save_all=True, append_images=canvas[1:] * 10, duration=100)
    packed = io.BytesIO()
    Image.new("L", (7000, 7000)).save(packed, "TIFF", compression="tiff_deflate")
    bmp = io.BytesIO()
    grey.save(bmp, "BMP")
    rle = bytearray(bmp.getvalue())
    rle[18:26] = struct.pack("<II", 7000, 7000)
    rle[30:34] = struct.pack("<I", 1)  # packed
    claims = bytearray(rle)
    claims[18:26] = struct.pack("<II", 2**31 - 1, 2**31 - 1)
    size, cells = heic_whole.index(b"ispe") + 8, heic_whole.rindex(struct.pack(">BBBBHH", 0, 0, 1, 1, 256, 256))
    before, after = heic_whole[:cells], heic_whole[cells + 8 :]
    found = {
        "million.gif": whole[:at] + whole[at:-1] * 100_000 + b";",
        "million.webp": webp.getvalue(),
        "wide-film.gif": wide.getvalue(),
        "claim.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + whole[10:],
        "packed.tiff": packed.getvalue(),
        "rle.bmp": bytes(rle),
        "claim.bmp": bytes(claims),
        "claim.heic": heic_whole[:size] + b"\0\0\xff\xff" * 2 + heic_whole[size + 8 :],
        "grid.heic": before + b"\0\1\xff\xff" + b"\x7f\xff\xff\xff" * 2 + after,
        "cells.heic": heic_whole[:cells]
        + struct.pack(">BBBBHH", 0, 0, 255, 255, 65535, 65535)
        + heic_whole[cells + 8 :],
    }
    for name, (count, entries) in {"pages.tiff": (20_000, 1), "loop.tiff": (1, 1), "tags.tiff": (1, 60_000)}.items():
        found[name] = tiff(count, entries, loop=name == "loop.tiff")
    for tag, value in ((256, 2**31 - 1), (257, 2**31 - 1), (279, 2**31 - 1), (273, 2**31 - 1), (278, 0), (277, 65535)):
        found[f"tag-{tag}.tiff"] = tiff(1, 1, more={tag: value})
    for name, data in found.items():
        yield Attack("image", name, data)


def tiff(pages: int, entries: int, *, loop: bool = False, more: Mapping[int, int] | None = None) -> bytes:
    """A TIFF of many pages of 8x8 pixels, or of a page with many entries."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64} | dict(more or {})
    listed = [(tag, 4, 1, value) for tag, value in tags.items()] + [(60_000, 4, 1, k) for k in range(entries - 1)]
    data, length = [b"II*\0" + struct.pack("<I", 72) + bytes(64)], 2 + 12 * len(listed) + 4
    for page in range(pages):
        after = 72 if loop else 72 + length * (page + 1) if page + 1 < pages else 0
        data += [struct.pack("<H", len(listed)), *(struct.pack("<HHII", *entry) for entry in listed)]
        data.append(struct.pack("<I", after))
    return b"".join(data)


def wav(channels: int, rate: int, bits: int, data: bytes, claimed: int | None = None) -> bytes:
    """A WAV file, whose header may say anything."""
    size = len(data) if claimed is None else claimed
    block = channels * bits // 8
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * block & 2**32 - 1, block & 2**16 - 1, bits)
    return b"RIFF" + struct.pack("<I", size) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size) + data


def crafted_sounds() -> Iterator[Attack]:
    """Sounds whose headers say odd things."""
    found = {
        "channels.wav": wav(65535, 8000, 8, bytes(200_000)),
        "channels64.wav": wav(64, 16_000, 16, bytes(200_000)),
        "slow.wav": wav(1, 1, 8, bytes(500)),
        "slower.wav": wav(1, 1, 8, bytes(5000)),
        "quick.wav": wav(1, 2**31 - 1, 8, bytes(900_000)),
        "rateless.wav": wav(1, 0, 8, bytes(5000)),
        "endless.wav": wav(1, 16_000, 16, bytes(64_000), 2**32 - 1),
        "nothing.wav": wav(1, 16_000, 16, b""),
        "bits.wav": wav(1, 16_000, 65_528, bytes(64_000)),
    }
    for name, data in found.items():
        yield Attack("sound", name, data)
