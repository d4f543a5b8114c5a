"""Images to upright RGB of 8 bits, by Pillow: still ones, and animated ones as clips.

It imports nothing of the project, because it is also a program: `media` runs it for what is not read in its own process
(all but ordinary jpegs and pngs), since nothing can end Pillow's decoders, or bound their memory, where they are.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal, NamedTuple

from PIL import Image

Format = Literal["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "HEIF", "AVIF"]
"""In Pillow's names."""

Bomb = Image.DecompressionBombError
"""Raised where a file claims more pixels than Pillow takes."""

ANIMATED = ("PNG", "GIF", "WEBP", "AVIF")
"""Where several pictures are a film. The pages of a TIFF and the views of a jpeg or HEIF are none: the first counts."""

GROUND = (128, 128, 128)
"""What is seen through a transparent picture: neutral grey, neither bright nor dark."""

SHORTEST_MS, USUAL_MS = 20, 100
"""Browsers show a picture that asks for less than the first for as long as the second; so do we."""

HEAD = struct.Struct("<dII")
"""Before each picture that the program writes: when it is due (seconds), its width and height. A picture of no size
ends the file, with the time at which its last picture ends."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_UPRIGHT = (
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
)  # fmt: skip
"""What undoes EXIF's orientations 2 to 8."""


class Shape(NamedTuple):
    """What an image's header says."""

    width: int
    """As shown, that is upright."""
    height: int
    animated: bool


def format_of(head: bytes) -> Format | None:
    """Which image begins with these bytes (64 are enough); None where it is none."""
    signs: tuple[tuple[bytes, Format], ...] = (
        (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
        (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
    )  # fmt: skip
    for sign, name in signs:
        if head.startswith(sign):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        size = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}
        if head[8:12] in _HEIF_BRANDS | _AVIF_BRANDS:
            return "AVIF" if brands & _AVIF_BRANDS else "HEIF"
    return None


def shape(path: str, name: Format) -> Shape:
    """An image's size and whether it moves, by its header alone.

    Raises:
        Exception: whatever a broken file leads Pillow to.
    """
    with _opened(path, name) as image:
        width, height = image.size
        moves = name in ANIMATED and bool(getattr(image, "is_animated", False))
        if not moves and orientation(image) >= 5:  # lies on its side
            width, height = height, width
        return Shape(width, height, moves)


def still(path: str, name: Format, side: int) -> Image.Image:
    """An image, upright, in RGB, its long side at most `side`.

    Raises:
        Exception: whatever a broken file leads Pillow to.
    """
    with _opened(path, name) as image:
        turn = 1
        if image.mode in ("L", "RGB") and "transparency" not in image.info:
            image.thumbnail((side, side))  # of a jpeg, only what is needed is decoded
            image.load()  # else what looks for EXIF would, and damage be taken for a lack of it
            turn, rgb = orientation(image), image
        else:
            image.load()
            turn, rgb = orientation(image), as_rgb(image)
            rgb.thumbnail((side, side))
        upright = rgb if turn == 1 else rgb.transpose(_UPRIGHT[turn - 2])
        return upright.convert("RGB")


def frames(path: str, name: Format, side: int) -> Iterator[tuple[float, Image.Image | None]]:
    """An animated image's pictures, each with the second at which it is due; then the end's second, and None.

    Raises:
        Exception: whatever a broken file leads Pillow to.
    """
    with _opened(path, name) as image:
        milliseconds = 0.0
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            rgb = as_rgb(image)
            rgb.thumbnail((side, side))
            yield milliseconds / 1000, rgb
            told = image.info.get("duration", 0)
            milliseconds += told if isinstance(told, int | float) and told >= SHORTEST_MS else USUAL_MS
        yield milliseconds / 1000, None


def as_rgb(image: Image.Image) -> Image.Image:
    """A loaded image of any mode as RGB of 8 bits, composed on a neutral ground where it is transparent."""
    if image.mode.startswith("I") or image.mode == "F":
        return _of_eight_bits(image).convert("RGB")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        seen = image.convert("RGBA")
        ground = Image.new("RGBA", seen.size, (*GROUND, 255))
        return Image.alpha_composite(ground, seen).convert("RGB")
    return image.convert("RGB")


def _of_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or of fractions; Pillow's own conversion would cut off all above 255."""
    least, most = (float(value) for value in image.getextrema())  # type: ignore[arg-type]
    grey = image if image.mode in ("I", "F") else image.convert("I")
    if image.mode.startswith("I;16"):
        lowest, span = 0.0, 65535.0
    elif least >= 0 and most <= (1 if image.mode == "F" else 255):
        lowest, span = 0.0, 1.0 if image.mode == "F" else 255.0
    elif least >= 0 and most <= 65535:
        lowest, span = 0.0, 255.0 if most <= 255 else 65535.0
    else:  # measured values: from the least to the most
        lowest, span = least, max(most - least, 1e-30)
    scale = 255 / span
    return grey.convert("F").point(lambda value: value * scale + (0.5 - lowest * scale)).convert("L")


def orientation(image: Image.Image) -> int:
    """How the camera was held, as EXIF counts it: 1 (upright) to 8."""
    try:
        said = image.getexif().get(0x0112)
    except Exception:  # the picture may be good all the same
        return 1
    return said if isinstance(said, int) and 1 <= said <= 8 else 1


def _opened(path: str, name: Format) -> Image.Image:
    if name == "HEIF":
        import pi_heif

        pi_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    return Image.open(path, formats=(name,))


def main(path: str, name: Format, limits: str, out: BinaryIO) -> None:
    """The program: say the shape as a line of JSON, then write the pictures, within the limits; or say what is wrong.

    Args:
        limits: JSON of `pixels`, `seconds`, `rate` (pictures a second), `side`; without `side` only the shape is told.
    """
    given = json.loads(limits)
    Image.MAX_IMAGE_PIXELS = None  # counted below

    def tell(**what: Any) -> None:
        out.write(json.dumps(what).encode() + b"\n")

    try:
        found = shape(path, name)
    except ModuleNotFoundError:
        return tell(wrong="no reader")
    except MemoryError:  # the reader knows this one by its name
        raise
    except Exception as error:
        return tell(wrong="not media", reason=str(error))
    tell(width=found.width, height=found.height, animated=found.animated)
    if found.width * found.height > given["pixels"] or "side" not in given:
        return None
    try:
        if not found.animated:
            return _write(out, 0.0, still(path, name, given["side"]))
        _write_all(out, frames(path, name, given["side"]), given["seconds"], given["rate"])
    except MemoryError:
        raise
    except Exception as error:
        out.write(HEAD.pack(-1.0, 0, 0) + str(error).encode(errors="replace")[:1000])
    return None


def _write_all(out: BinaryIO, found: Iterator[tuple[float, Image.Image | None]], seconds: float, rate: float) -> None:
    for number, (at, picture) in enumerate(found):
        _write(out, at, picture)
        if at > seconds or number > rate * (at + 1):  # the reader will say so
            return


def _write(out: BinaryIO, at: float, picture: Image.Image | None) -> None:
    width, height = picture.size if picture is not None else (0, 0)
    out.write(HEAD.pack(at, width, height) + (picture.tobytes() if picture is not None else b""))


if __name__ == "__main__":
    run: Callable[..., None] = main
    run(*sys.argv[1:4], sys.stdout.buffer)
