"""Files as telephones, messengers, recorders and browsers give them, each made by one command from a clip.

Shared by the tests and by `benchmarks/media.py`, which shows what each is answered.
"""

from __future__ import annotations

import shlex
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HDR = "format=gbrpf32le,zscale=tin=bt709:pin=bt709:min=gbr:t={0}:p=2020:m=2020_ncl:r=tv:npl={1},format=yuv420p10le"
X265 = "-c:v libx265 -tag:v hvc1 -x265-params log-level=none:lossless=1:colorprim=bt2020:colormatrix=bt2020nc:transfer="
OPEN = "from PIL import Image; i = Image.open('face.png')"
CLEAR = "m = Image.new('L', i.size, 255); m.paste(0, (0, 0, i.width // 6, i.height))"


@dataclass(frozen=True)
class Sent:
    """A file, and how it is made in a folder where `clip.mp4` and `face.png` are, and what is named in `of`."""

    row: str
    command: str
    """What a shell would run; `py …` is Python."""
    of: tuple[str, ...] = ()


def _py(code: str) -> str:
    return f"py -c {shlex.quote(code)}"


def _pil(code: str) -> str:
    return _py(f"{OPEN}; {code}")


def _ffmpeg(arguments: str) -> str:
    return f"ffmpeg -v error -y {arguments}"


FILES: dict[str, Sent] = {
    # pictures
    "i16.png": Sent("16-bit grey", _ffmpeg("-i grey.png -pix_fmt gray16be i16.png"), ("grey.png",)),
    "grey.png": Sent("its 8-bit twin", _ffmpeg("-i face.png -pix_fmt gray grey.png")),
    "i16.tiff": Sent("16-bit grey", _ffmpeg("-i grey.png -pix_fmt gray16le i16.tiff"), ("grey.png",)),
    "i32.tiff": Sent("mode I", _pil("i.convert('L').convert('I').point(lambda v: v * 257 + 0).save('i32.tiff')")),
    "f.tiff": Sent("mode F", _pil("i.convert('F').point(lambda v: v * (1 / 255) + 0).save('f.tiff')")),
    "la.png": Sent("mode LA", _pil(f"{CLEAR}; g = i.convert('LA'); g.putalpha(m); g.save('la.png')")),
    "rgba.png": Sent("mode RGBA", _pil(f"{CLEAR}; i.putalpha(m); i.save('rgba.png')")),
    "pa.tiff": Sent("mode PA", _pil("i.quantize(64).convert('PA').save('pa.tiff')")),
    "p.png": Sent("palette, transparent", _pil("i.quantize(64).save('p.png', transparency=0)")),
    "cmyk.jpg": Sent("CMYK", _pil("i.convert('CMYK').save('cmyk.jpg', quality=95)")),
    "cmyk.tiff": Sent("CMYK", _pil("i.convert('CMYK').save('cmyk.tiff')")),
    "photo.webp": Sent("WebP", _pil("i.save('photo.webp', quality=95)")),
    "photo.gif": Sent("GIF", _pil("i.save('photo.gif')")),
    "photo.bmp": Sent("BMP", _pil("i.save('photo.bmp')")),
    "photo.tiff": Sent("TIFF", _pil("i.save('photo.tiff', compression='tiff_lzw')")),
    "photo.avif": Sent("AVIF", _pil("i.save('photo.avif', quality=95)")),
    "photo.heic": Sent("HEIC", "py -m tests.heic face.png photo.heic"),
    "grid.heic": Sent("HEIC in tiles, as telephones make it", "py -m tests.heic face.png grid.heic --tiles"),
    "film.gif": Sent(
        "animated GIF", _ffmpeg("-i clip.mp4 -t 2 -r 10 -vf split[a][b];[a]palettegen[p];[b][p]paletteuse film.gif")
    ),
    "film.webp": Sent("animated WebP", _ffmpeg("-i clip.mp4 -t 2 -r 10 -c:v libwebp_anim -q:v 90 film.webp")),
    "film.png": Sent("animated PNG", _ffmpeg("-i clip.mp4 -t 2 -r 10 -f apng film.png")),
    "12mp.jpg": Sent("a telephone's 12 megapixels", _pil("i.resize((4032, 3024)).save('12mp.jpg')")),
    "sideways.jpg": Sent("sideways, no tag", _pil("i.transpose(Image.Transpose.ROTATE_270).save('sideways.jpg')")),
    "head.jpg": Sent("upside down, no tag", _pil("i.transpose(Image.Transpose.ROTATE_180).save('head.jpg')")),
    "sideways.mp4": Sent(
        "sideways, no tag",
        _ffmpeg("-loop 1 -i sideways.jpg -i clip.mp4 -map 0:v -map 1:a -t 2 -r 10 sideways.mp4"),
        ("sideways.jpg",),
    ),
    "small.jpg": Sent(
        "a small face in 1920x1080",
        _pil(
            "i.thumbnail((220, 220)); g = Image.new('RGB', (1920, 1080), (90, 100, 110)); g.paste(i, (1400, 600)); "
            "g.save('small.jpg', quality=95)"
        ),
    ),
    "small.mp4": Sent(
        "a small face in 1920x1080",
        _ffmpeg(
            "-f lavfi -i color=0x5a646e:s=1920x1080:r=25:d=2 -i clip.mp4 -filter_complex "
            "[1]scale=-2:165[f];[0][f]overlay=1400:600 -t 2 small.mp4"
        ),
    ),
    "tiny.jpg": Sent(
        "a face too small",
        _pil(
            "i.thumbnail((60, 60)); g = Image.new('RGB', (1920, 1080), (90, 100, 110)); g.paste(i, (1400, 600)); "
            "g.save('tiny.jpg', quality=95)"
        ),
    ),
    "nobody.jpg": Sent(
        "nobody there", _py("from PIL import Image; Image.new('RGB', (640, 480), (90, 100, 110)).save('nobody.jpg')")
    ),
    # sound
    "voice.wav": Sent("the voice alone", _ffmpeg("-i clip.mp4 -vn -ac 1 -ar 48000 voice.wav")),
    "antiphase.wav": Sent(
        "stereo in antiphase", _ffmpeg("-i voice.wav -af pan=stereo|c0=c0|c1=-1*c0 antiphase.wav"), ("voice.wav",)
    ),
    "onesided.wav": Sent(
        "one-sided stereo", _ffmpeg("-i voice.wav -af pan=stereo|c0=c0|c1=0*c0 onesided.wav"), ("voice.wav",)
    ),
    "surround.flac": Sent(
        "5.1 sound",
        _ffmpeg("-i voice.wav -af pan=5.1|FC=c0|FL=0.1*c0|FR=0.1*c0|LFE=0*c0|BL=0*c0|BR=0*c0 surround.flac"),
        ("voice.wav",),
    ),
    "default.mkv": Sent(
        "two tracks, the second the default",
        _ffmpeg(
            "-i clip.mp4 -f lavfi -i anullsrc=r=48000:cl=mono -map 0:v -map 1:a -map 0:a -t 2 -c:v copy -c:a flac "
            "-disposition:a:0 0 -disposition:a:1 default default.mkv"
        ),
    ),
    "loudest.mkv": Sent(
        "two tracks, both the default",
        _ffmpeg(
            "-i clip.mp4 -f lavfi -i anullsrc=r=48000:cl=mono -map 0:v -map 1:a -map 0:a -t 2 -c:v copy -c:a flac "
            "-disposition:a:0 default -disposition:a:1 default loudest.mkv"
        ),
    ),
    "apac.mp4": Sent(
        "a track that ffmpeg cannot decode",
        _py(
            "b = open('two.mp4', 'rb').read(); k = b.index(b'mp4a'); b = b[:k] + b'apac' + b[k + 4:]; "
            "j = b.index(b'esds', k); open('apac.mp4', 'wb').write(b[:j] + b'free' + b[j + 4:])"
        ),
        ("two.mp4",),
    ),
    "two.mp4": Sent("two tracks", _ffmpeg("-i clip.mp4 -map 0:v -map 0:a -map 0:a -t 2 -c:v copy -c:a aac two.mp4")),
    "mute.mp4": Sent(
        "its only track cannot be decoded",
        _py(
            "b = open('clip.mp4', 'rb').read(); k = b.index(b'mp4a'); b = b[:k] + b'apac' + b[k + 4:]; "
            "j = b.index(b'esds', k); open('mute.mp4', 'wb').write(b[:j] + b'free' + b[j + 4:])"
        ),
    ),
    **{
        f"voice.{suffix}": Sent(what, _ffmpeg(f"-i voice.wav {how} voice.{suffix}"), ("voice.wav",))
        for suffix, what, how in (
            ("aac", "ADTS", "-f adts"),
            ("caf", "CAF", "-c:a alac"),
            ("aiff", "AIFF", ""),
            ("wma", "WMA", ""),
            ("au", "AU", "-c:a pcm_mulaw -ar 8000"),
            ("3gp", "3GP", "-c:a aac"),
            ("m4a", "M4A", ""),
        )
    },
    **{
        f"{name}.wav": Sent(f"WAV, {what}", _ffmpeg(f"-i voice.wav -ar 8000 -c:a {codec} {name}.wav"), ("voice.wav",))
        for name, what, codec in (
            ("alaw", "A-law", "pcm_alaw"),
            ("mulaw", "mu-law", "pcm_mulaw"),
            ("gsm", "GSM", "libgsm_ms"),
            ("float", "float", "pcm_f32le"),
        )
    },
    "voice.amr": Sent(
        "AMR",
        _py(
            "import random; r = random.Random(0); open('voice.amr', 'wb').write(b'#!AMR\\n' + b''.join(bytes([60]) + "
            "r.randbytes(31) for _ in range(100)))"
        ),
    ),
    "clip.wmv": Sent("WMV", _ffmpeg("-i clip.mp4 -t 2 -c:v wmv2 -b:v 2M clip.wmv")),
    "rates.ogg": Sent("variable sample rate", "sh -c 'cat a.ogg b.ogg > rates.ogg'", ("a.ogg", "b.ogg")),
    "a.ogg": Sent("48 kHz", _ffmpeg("-f lavfi -i sine=d=2:r=48000 a.ogg")),
    "b.ogg": Sent("22 kHz", _ffmpeg("-f lavfi -i sine=d=2:r=22050 b.ogg")),
    # films
    "joined.webm": Sent("two recordings joined by cat", "sh -c 'cat one.webm one.webm > joined.webm'", ("one.webm",)),
    "one.webm": Sent(
        "MediaRecorder",
        _ffmpeg("-i clip.mp4 -t 2 -c:v libvpx -deadline realtime -cpu-used 8 -b:v 2M -c:a libopus -live 1 one.webm"),
    ),
    "later.webm": Sent(
        "the first piece is missing",
        _py(
            "b = open('one.webm', 'rb').read(); open('later.webm', 'wb').write(b[b.index(bytes.fromhex('1f43b675')):])"
        ),
        ("one.webm",),
    ),
    "joined.mp4": Sent("two recordings joined by cat", "sh -c 'cat clip.mp4 clip.mp4 > joined.mp4'"),
    "sdr.mp4": Sent(
        "SDR, the twin",
        _ffmpeg(
            "-i clip.mp4 -an -t 2 -c:v libx264 -qp 0 -color_primaries bt709 -color_trc bt709 -colorspace bt709 sdr.mp4"
        ),
    ),
    **{
        f"{name}{white}.mp4": Sent(
            f"{name.upper()}, white at {white} cd/m2",
            _ffmpeg(f"-i sdr.mp4 -vf {HDR.format(transfer, white)} {X265}{transfer} {name}{white}.mp4"),
            ("sdr.mp4",),
        )
        for name, transfer in (("hlg", "arib-std-b67"), ("pq", "smpte2084"))
        for white in (100, 203)
    },
    "interlaced.mpg": Sent(
        "interlaced",
        _ffmpeg(
            "-i clip.mp4 -t 2 -vf fps=50,interlace -flags +ilme+ildct -top 1 -c:v mpeg2video -q:v 2 interlaced.mpg"
        ),
    ),
    "aspect.mp4": Sent("odd pixel aspect", _ffmpeg("-i clip.mp4 -t 2 -vf scale=iw/2:ih,setsar=2 aspect.mp4")),
    "transposed.mp4": Sent("lying and mirrored", _ffmpeg("-i clip.mp4 -t 2 -vf transpose=0 transposed.mp4")),
    "mirrored.mp4": Sent("rotated and mirrored by its tag", "py -m tests.sent", ("transposed.mp4",)),
    "subtitles.mkv": Sent("subtitles only", "sh -c '" + _ffmpeg("-i text.srt subtitles.mkv") + "'", ("text.srt",)),
    "text.srt": Sent("a subtitle", _py("open('text.srt', 'w').write('1\\n00:00:00,000 --> 00:00:02,000\\nHello\\n')")),
    "negative.mkv": Sent(
        "a negative start time",
        _ffmpeg("-itsoffset -0.5 -i clip.mp4 -t 2 -c copy -avoid_negative_ts disabled negative.mkv"),
    ),
    "edits.mp4": Sent("an edit list", _ffmpeg("-ss 1 -i clip.mp4 -t 1.5 -c copy edits.mp4")),
    "cover.mp3": Sent(
        "a cover picture",
        _ffmpeg("-i voice.wav -i face.png -map 0 -map 1 -c:v mjpeg -disposition:v attached_pic cover.mp3"),
        ("voice.wav",),
    ),
    "zero.mkv": Sent(
        "a track of no length",
        _ffmpeg("-i clip.mp4 -f lavfi -i anullsrc=d=0 -map 0:v -map 1:a -t 2 -c:v copy -c:a flac zero.mkv"),
    ),
    "letter.pdf": Sent("something else", _py("open('letter.pdf', 'wb').write(b'%PDF-1.7 ' + bytes(2000))")),
    "empty.mp4": Sent("an empty file", _py("open('empty.mp4', 'wb')")),
}


def make(name: str, folder: Path, clip: Path) -> Path:
    """Make one of the files, and what it is made of."""
    path = folder / name
    if path.exists():
        return path
    if not (folder / "clip.mp4").exists():
        (folder / "clip.mp4").write_bytes(clip.read_bytes())
        run(_ffmpeg("-ss 1 -i clip.mp4 -frames:v 1 face.png"), folder)
    for other in FILES[name].of:
        make(other, folder, clip)
    run(FILES[name].command, folder)
    return path


def run(command: str, folder: Path) -> None:
    """Run a command there."""
    words = shlex.split(command)
    words[0] = sys.executable if words[0] == "py" else words[0]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=_environment())
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stderr}")


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def mirror(film: bytes) -> bytes:
    """An mp4 with a tag that says: rows are columns, that is turned by 90 degrees and mirrored."""
    data = bytearray(film)
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, 1 << 16, 0, 0, 0, 0, 1 << 30)
    return bytes(data)


if __name__ == "__main__":
    Path("mirrored.mp4").write_bytes(mirror(Path("transposed.mp4").read_bytes()))
