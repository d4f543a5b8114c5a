"""Claims about decoding: the right picture in each step, sound and picture together, and every bad file called bad."""

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmer.runtime.config import Media
from mmer.runtime.media import Decoded, MediaError, decode, probe

MEDIA = Media()
STEP = 0.2
Make = Callable[..., Path]
Pictures = dict[int, tuple[float, np.ndarray]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a file with ffmpeg: its name, then ffmpeg's arguments."""

    def run(name: str, *arguments: str) -> Path:
        path = tmp_path / name
        subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, f"file:{path}"], check=True, cwd=tmp_path)
        return path

    return run


def picture(seconds: float, rate: float = 25, size: str = "160x120") -> tuple[str, ...]:
    return "-f", "lavfi", "-i", f"testsrc=s={size}:r={rate}:d={seconds}"


def sound(seconds: float) -> tuple[str, ...]:
    return "-f", "lavfi", "-i", f"sine=d={seconds}:r=48000"


def decoded(path: Path, media: Media = MEDIA, **options: Any) -> tuple[Decoded, Pictures]:
    pictures: Pictures = {}

    def keep(step: int, second: float, rgb: np.ndarray) -> None:
        assert step not in pictures
        assert all(step > earlier for earlier in pictures)
        pictures[step] = second, rgb

    clip = decode(path, media, STEP, keep, **options)
    assert clip.picture_times.shape == (clip.steps,)
    assert list(np.flatnonzero(~np.isnan(clip.picture_times))) == list(pictures)
    return clip, pictures


def refusal(path: Path, media: Media = MEDIA) -> MediaError:
    with pytest.raises(MediaError) as caught:
        decoded(path, media)
    assert str(caught.value) == f"{path.name}: {caught.value.reason}"
    return caught.value


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


FORMATS = ("mp4", "webm", "mkv", "mov", "avi", "flv", "mp3", "wav", "ogg", "flac", "jpeg", "png")


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_promised_format_is_decoded(make: Make, suffix: str) -> None:
    only = {"jpeg": ("-frames:v", "1"), "png": ("-frames:v", "1")}
    sounds = suffix in ("mp3", "wav", "ogg", "flac")
    inputs = () if sounds else picture(2)
    inputs += () if suffix in only else sound(2)
    clip, pictures = decoded(make(f"clip.{suffix}", *inputs, "-ar", "44100" if suffix in ("mp3", "flv") else "48000",
                                  *only.get(suffix, ())))  # fmt: skip
    assert clip.steps == (1 if suffix in only else pytest.approx(10, abs=1))
    assert len(clip.voice) == (0 if suffix in only else pytest.approx(32_000, abs=2_000))
    assert len(pictures) == (0 if sounds else pytest.approx(clip.steps, abs=1))
    if pictures:
        assert np.ptp(next(iter(pictures.values()))[1].astype(int)) > 200


# The grid of steps


def numbered(make: Make, name: str, choose: str, seconds: float = 3) -> tuple[Path, list[int]]:
    """A 25 fps clip whose picture n (of those that `choose`, an ffmpeg expression, keeps) is as bright as n says."""
    kept = f"select='{choose}'"
    bright = f"color=c=black:s=64x64:r=25:d={seconds},geq=lum='16+2.9*N':cb=128:cr=128"
    path = make(name, "-f", "lavfi", "-i", f"{bright},{kept}", "-fps_mode", "passthrough", "-c:v", "ffv1")
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return path, [round(float(line.strip(",")) * 25) for line in shown.stdout.split()]


def number(rgb: np.ndarray) -> int:
    return round(float(rgb.mean()) * 219 / 255 / 2.9)


@pytest.mark.parametrize(
    "choose",
    ["1", "not(mod(n,5))", "not(mod(n,3))+not(mod(n,7))", "lt(n,3)+gt(n,40)*not(mod(n,3))", "not(mod(n,30))"],
    ids=["25 fps", "5 fps", "uneven", "with a hole", "slower than the steps"],
)
def test_each_step_has_the_newest_picture_that_is_not_later(make: Make, choose: str) -> None:
    path, kept = numbered(make, "numbered.mkv", choose)
    clip, pictures = decoded(path)
    assert pictures
    for step, (second, rgb) in pictures.items():
        newest = max(n for n in kept if n / 25 <= (step + 1) * STEP + 1e-6)
        assert number(rgb) == newest
        assert second == pytest.approx(newest / 25, abs=1e-3)
        assert clip.picture_times[step] == pytest.approx(second)
    assert list(pictures) == list(range(clip.steps))


def test_a_picture_due_just_at_a_step_and_one_whose_end_is_just_there_are_used(make: Make) -> None:
    clip, pictures = decoded(make("ten.mp4", *picture(2, rate=10)))
    assert clip.steps == 10
    assert [second for second, _ in pictures.values()] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 1.9]
    )


def test_steps_before_the_first_picture_have_none(make: Make) -> None:
    late = make("late.mkv", "-itsoffset", "1", *picture(2), *sound(3), "-c:a", "flac", "-fps_mode", "passthrough")
    clip, pictures = decoded(late)
    assert clip.steps == 15
    assert list(pictures) == list(range(4, 15))


def test_sound_that_outlasts_the_picture_leaves_steps_without_one(make: Make) -> None:
    clip, pictures = decoded(make("clip.mp4", *picture(1), *sound(3)))
    assert clip.steps == 15
    assert list(pictures) == list(range(5))


def test_a_picture_that_outlasts_the_sound_goes_on(make: Make) -> None:
    clip, pictures = decoded(make("clip.mp4", *picture(3), *sound(1)))
    assert clip.steps == 15
    assert list(pictures) == list(range(15))
    assert len(clip.voice) / 16_000 == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("seconds", [0.04, 0.12, 0.2], ids=["one picture", "three", "just a step"])
def test_a_very_short_clip_is_one_step(make: Make, seconds: float) -> None:
    clip, pictures = decoded(make("short.mp4", *picture(seconds)))
    assert clip.steps == 1
    assert list(pictures) == [0]


def test_a_moment_of_picture_in_a_song_is_one_step(make: Make) -> None:
    clip, pictures = decoded(make("moment.mkv", *picture(0.04), *sound(1)))
    assert clip.steps == 5
    assert list(pictures) == [0]


# Sound


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.flv"])
def test_sound_and_picture_keep_in_step(make: Make, name: str) -> None:
    """At 1.4 s the picture turns white and a tone begins; some containers start their clock elsewhere than at 0."""
    flash = "color=c=black:s=64x64:r=25:d=3,geq=lum='if(gte(T,1.4),235,16)':cb=128:cr=128"
    tone = "aevalsrc='if(gte(t,1.4),0.5*sin(2*PI*440*t),0)':s=44100:d=3"
    clip, pictures = decoded(make(name, "-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", tone))
    heard = np.flatnonzero(np.abs(clip.voice.astype(np.int32)) > 3000)[0] / 16_000
    assert heard == pytest.approx(1.4, abs=0.06)
    for second, rgb in pictures.values():
        if abs(second - heard) > 0.04:
            assert (rgb.mean() > 128) == (second > heard)


def test_sound_that_starts_late_is_preceded_by_silence(make: Make) -> None:
    clip, _ = decoded(make("late.mkv", *picture(2), "-itsoffset", "1", *sound(1)))
    assert not np.any(clip.voice[:15_000])
    assert np.any(clip.voice[16_500:17_500])


def test_voice_is_mono_at_16_khz_and_of_the_clip_s_length(make: Make) -> None:
    clip, pictures = decoded(make("voice.wav", *sound(2), "-ac", "2"))
    assert clip.voice.dtype == np.int16
    assert len(clip.voice) == 32_000
    assert np.argmax(np.abs(np.fft.rfft(clip.voice))) == pytest.approx(440 * 2, abs=2)
    assert (clip.steps, pictures) == (10, {})


def test_a_voice_of_its_own_replaces_the_video_s(make: Make) -> None:
    video = make("video.mp4", *picture(2), "-f", "lavfi", "-i", "anullsrc", "-shortest", "-t", "2")
    clip, pictures = decoded(video, voice_path=make("voice.flac", *sound(2)))
    assert np.abs(clip.voice).max() > 1000
    assert len(pictures) == clip.steps == 10


def test_a_file_named_as_voice_must_hold_sound(make: Make) -> None:
    silent = make("silent.mp4", *picture(1))
    with pytest.raises(MediaError, match=r"silent\.mp4: holds no sound"):
        decoded(make("video.mp4", *picture(1)), voice_path=silent)


def test_a_video_without_sound_has_an_empty_voice(make: Make) -> None:
    clip, pictures = decoded(make("mute.mp4", *picture(1)))
    assert len(clip.voice) == 0
    assert len(pictures) == 5


@pytest.mark.parametrize("name", ["song.mp3", "song.flac"])
def test_cover_art_is_no_picture(make: Make, name: str) -> None:
    cover = make("cover.jpg", *picture(1, rate=1), "-frames:v", "1")
    art = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    song = make(name, *sound(2), "-i", str(cover), *art)
    assert not probe(song, MEDIA).has_picture
    clip, pictures = decoded(song)
    assert (clip.steps, pictures) == (10, {})


# The shape of pictures


def test_a_turned_video_is_shown_upright(make: Make) -> None:
    """Telephones film sideways and say so in the file (in mp4, the matrix of the track's header)."""
    white_above = "color=c=black:s=320x240:r=25:d=1,geq=lum='if(lt(Y,H/2),235,16)':cb=128:cr=128"
    path = make("turned.mp4", "-f", "lavfi", "-i", white_above)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)  # 90° clockwise
    path.write_bytes(data)
    found = probe(path, MEDIA)
    assert (found.width, found.height) == (240, 320)
    _, pictures = decoded(path)
    rgb = pictures[0][1]
    assert rgb.shape == (320, 240, 3)
    assert rgb[:, 130:].mean() > 200
    assert rgb[:, :110].mean() < 50


@pytest.mark.parametrize(
    ("size", "shape"),
    [("101x77", (77, 101, 3)), ("1280x720", (360, 640, 3)), ("720x1281", (640, 360, 3)), ("3840x2160", (360, 640, 3))],
)
def test_pictures_are_shrunk_to_the_long_side_and_never_enlarged(
    make: Make, size: str, shape: tuple[int, int, int]
) -> None:
    _, pictures = decoded(make("clip.mkv", *picture(0.2, rate=5, size=size), "-c:v", "ffv1"))
    assert {rgb.shape for _, rgb in pictures.values()} == {shape}


def test_pixels_that_are_not_square_are_made_so(make: Make) -> None:
    wide = make("wide.mp4", *picture(0.4, size="320x240"), "-vf", "setsar=3/2")
    assert probe(wide, MEDIA).width == 480
    assert decoded(wide)[1][0][1].shape == (240, 480, 3)


def test_white_stays_white_and_grey_stays_grey(make: Make) -> None:
    for level, shown in ((16, 0), (126, 128), (235, 255)):
        grey = f"color=c=black:s=800x600:r=5:d=0.2,format=yuv420p,geq=lum={level}:cb=128:cr=128"
        _, pictures = decoded(make(f"{level}.mkv", "-f", "lavfi", "-i", grey, "-c:v", "ffv1"))
        assert np.abs(pictures[0][1].astype(int) - shown).max() <= 1


@pytest.mark.parametrize("name", ["image.jpg", "image.png", "image.with.no.extension"])
def test_an_image_is_a_clip_of_one_step(make: Make, name: str) -> None:
    red = ("-f", "lavfi", "-i", "color=c=red:s=1280x720:d=1:r=1", "-frames:v", "1", "-f", "image2", "-c:v")
    path = make(name, *red, "mjpeg" if name.endswith("jpg") else "png")
    assert probe(path, MEDIA).is_image
    clip, pictures = decoded(path)
    assert (clip.steps, len(clip.voice), clip.picture_times.tolist()) == (1, 0, [0.0])
    rgb = pictures[0][1]
    assert rgb.shape == (360, 640, 3)
    assert rgb.mean(axis=(0, 1)) == pytest.approx([254, 0, 0], abs=4)


# Bad files


def test_an_empty_file_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert refusal(tmp_path / "empty.mp4").code == "empty"


@pytest.mark.parametrize(
    "content", [b"Dear reader, this is a letter.\n" * 9, os.urandom(50_000)], ids=["text", "noise"]
)
def test_a_file_that_is_no_media_is_called_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.mp4"
    path.write_bytes(content)
    assert refusal(path).code in ("not_media", "refused")


def test_a_missing_file_and_a_folder_are_called_so(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere.mp4").reason
    assert "is no file" in refusal(tmp_path).reason


def test_a_playlist_that_calls_itself_a_video_is_refused(make: Make, tmp_path: Path) -> None:
    """ffmpeg would open the files it names, and so show any file of the machine."""
    make("secret.ts", *picture(1))
    playlist = tmp_path / "holiday.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    assert refusal(playlist).code == "refused"
    playlist.write_text("ffconcat version 1.0\nfile secret.ts\n")
    assert refusal(playlist).code == "refused"


@pytest.mark.parametrize("name", ["-x.mp4", "concat:a|b.mp4", "100%03d 'q\" [ä];,=.mp4", "http:x.mp4"])
def test_a_file_s_name_is_only_a_name(make: Make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = make(name, *picture(1))
    monkeypatch.chdir(path.parent)
    assert decoded(Path(name))[0].steps == 5


def test_an_mp4_without_its_index_is_called_cut(make: Make) -> None:
    path = make("cut.mp4", *picture(5), *sound(5))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = refusal(path)
    assert error.code == "truncated"
    assert "moov" in error.reason


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.flac"])
def test_a_file_that_breaks_off_is_called_cut(make: Make, name: str) -> None:
    inputs = sound(5) if name.endswith("flac") else (*picture(5), *sound(5))
    path = make(name, *inputs, *(("-movflags", "faststart") if name.endswith("mp4") else ()))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = refusal(path)
    assert error.code == "truncated"
    assert "of its 5.0 s" in error.reason


def test_a_damaged_image_is_called_so(make: Make) -> None:
    path = make("noise.jpg", "-f", "lavfi", "-i", "nullsrc=s=320x240,geq=random(1)*255:128:128", "-frames:v", "1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path).code == "truncated"
    path.write_bytes(b"\xff\xd8\xff and no more")
    assert refusal(path).code == "not_media"


def test_a_recording_that_does_not_know_its_length_is_taken(make: Make) -> None:
    """A browser's MediaRecorder writes such files."""
    live = make("live.webm", *picture(2), "-c:v", "libvpx", "-live", "1")
    assert decoded(live)[0].steps == 10


@pytest.mark.parametrize("name", ["big.png", "big.jpg", "big.mkv", "big.avi"])
def test_too_large_a_picture_is_refused(make: Make, name: str) -> None:
    codec = {"mkv": ("-c:v", "ffv1"), "avi": ("-c:v", "mjpeg")}.get(name[-3:], ())
    big = make(name, *picture(1, rate=1, size="640x480"), "-frames:v", "1", *codec)
    least = Media(max_pixels=640 * 480 - 1, max_image_pixels=640 * 480 - 1)
    assert refusal(big, least).code == "too_large"
    assert decoded(big, Media(max_pixels=640 * 480, max_image_pixels=640 * 480))[0].steps >= 1


def test_a_png_that_claims_a_giant_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    _, data = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    claim = bytearray(data.tobytes())
    claim[16:24] = struct.pack(">II", 60_000, 60_000)
    (tmp_path / "bomb.png").write_bytes(claim)
    assert refusal(tmp_path / "bomb.png").code in ("too_large", "not_media")


def test_too_long_a_file_is_refused_even_if_it_hides_its_length(make: Make) -> None:
    short = Media(max_duration_s=1)
    assert refusal(make("long.mp4", *picture(3)), short).code == "too_long"
    assert refusal(make("long.webm", *picture(4, rate=10), "-c:v", "libvpx", "-live", "1"), short).code == "too_long"
    assert refusal(make("long.mp3", *sound(4), "-write_xing", "0"), short).code == "too_long"


@pytest.mark.parametrize("name", ["fast.mp4", "still.mkv"])
def test_too_many_pictures_a_second_are_refused_whatever_the_file_says(make: Make, name: str) -> None:
    """Counted as they come: headers lie, and a clock may stand still."""
    rate = "settb=1/1000000,setpts=" + ("N*1000" if name == "fast.mp4" else "0")
    path = make(name, "-f", "lavfi", "-i", f"color=s=32x32:r=25:d=40,{rate}", "-fps_mode", "passthrough")
    assert refusal(path).code == "too_large"
    assert "240 pictures a second" in refusal(path).reason
    if name == "fast.mp4":
        assert decoded(path, Media(max_fps=1e6))[0].steps == pytest.approx(5, abs=1)


def test_slow_motion_is_taken(make: Make) -> None:
    assert decoded(make("slow.mp4", *picture(3, rate=240, size="32x32")))[0].steps == 15


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a running process")
def test_decoding_has_so_much_memory_and_no_more(make: Make) -> None:
    large = make("4k.mp4", *picture(0.4, rate=10, size="3840x2160"), "-pix_fmt", "yuv420p", "-preset", "ultrafast")
    decoded(large)
    assert refusal(large, Media(max_memory_mb=300)).code in ("too_large", "truncated")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a running process")
def test_the_system_bounds_a_decoder_even_if_its_reader_dies(make: Make) -> None:
    """Its processor time is bounded from outside, and it cannot write to files."""
    clip = make("clip.mp4", *picture(4, size="640x480"))
    told: list[dict[str, str]] = []

    def look(*_: object) -> None:
        for task in Path("/proc/self/task").iterdir():
            for pid in (task / "children").read_text().split():
                if Path("/proc", pid, "comm").read_text() != "ffmpeg\n":  # of another test
                    continue
                lines = Path("/proc", pid, "limits").read_text().splitlines()
                told.append({line[:26].strip(): line[26:].split()[0] for line in lines})

    decode(clip, Media(timeout_s=7, max_memory_mb=1000), STEP, look)
    limits = told[0]
    assert limits["Max cpu time"] == "14"
    assert limits["Max address space"] == str(1000 << 20)
    assert limits["Max file size"] == limits["Max core file size"] == "0"


def test_too_many_streams_are_refused(make: Make) -> None:
    path = make("many.mkv", *sound(0.1), *["-map", "0"] * 200, "-c:a", "pcm_s16le")
    assert refusal(path).code == "too_large"
    assert "streams" in refusal(path).reason


def test_a_file_that_tells_volumes_of_itself_is_read_or_refused(make: Make, tmp_path: Path) -> None:
    """A title of megabytes is passed over; a tag that is asked for is not taken at that length."""
    (tmp_path / "tags").write_text(f";FFMETADATA1\ntitle={'A' * 2_000_000}\n[STREAM]\nrotate={'A' * 2_000_000}\n")
    tags = ("-f", "ffmetadata", "-i", str(tmp_path / "tags"), "-map", "0", "-map_metadata", "1")
    assert decoded(make("title.mp4", *picture(1), *tags))[0].steps == 5
    assert refusal(make("turn.mkv", *picture(1), *tags, "-map_metadata:s:v", "1:s:0")).code == "too_large"


@pytest.mark.parametrize("tag", ["abc", "nan", "1e400", "", "90.5"])
def test_a_tag_that_makes_no_sense_is_passed_over(make: Make, tag: str) -> None:
    assert decoded(make("tag.mkv", *picture(1), "-metadata:s:v", f"rotate={tag}"))[0].steps == 5


def test_a_gap_of_hours_is_too_long(make: Make) -> None:
    hole = "setpts='if(lt(N,25),N/25/TB,(5000+N/25)/TB)'"
    assert refusal(make("gap.mkv", *picture(2), "-vf", hole, "-fps_mode", "passthrough")).code == "too_long"
    silence = "asetpts='if(lt(N,10),N*1024,N*1024+48000*5000)'"
    assert refusal(make("gap.mka", *sound(2), "-af", silence)).code == "too_long"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*extra: bytes, size: tuple[int, int] = (8, 8)) -> bytes:
    width, height = size
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress((b"\0" + bytes(3 * width)) * height))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + data + chunk(b"IEND", b"")


def test_texts_in_a_png_that_unpack_to_gigabytes_are_not_unpacked(tmp_path: Path) -> None:
    path, packed = tmp_path / "bomb.png", zlib.compress(bytes(1_000_000))
    many = [chunk(b"zTXt", b"k%d\0\0" % k + packed) for k in range(100)]
    huge = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100_000_000)))
    for extra in (many, [huge], [chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(100_000_000)))]):
        path.write_bytes(png(*extra))
        assert refusal(path).code == "not_media"


def test_the_pixels_of_an_image_are_counted_before_any_is_read(tmp_path: Path) -> None:
    """Of a png without EXIF Pillow reads everything to look for it: here it would find nothing but damage."""
    path = tmp_path / "wide.png"
    path.write_bytes(png(size=(8, 8))[:33] + chunk(b"IDAT", b"damage"))
    assert refusal(path).code == "truncated"
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 9000, 9000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert refusal(path).code == "too_large"


def jpeg(progressive: bool = False) -> bytes:
    done, data = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)])
    assert done
    return data.tobytes()


@pytest.mark.parametrize("kind", ["comments", "padding", "junk", "scans", "chunks"])
def test_an_image_of_countless_parts_is_refused_unread(tmp_path: Path, kind: str) -> None:
    """Each costs some microseconds of Python, or a pass over the whole picture, and nothing could end that."""
    plain, slow = jpeg(), jpeg(progressive=True)
    last = slow.rindex(b"\xff\xda")
    data = {
        "comments": plain[:2] + b"\xff\xfe\0\2" * 100_000 + plain[2:],
        "padding": plain[:2] + b"\xff" * 100_000 + plain[2:],
        "junk": plain[:2] + b"\xff\xfe\0\2" + bytes(100_000) + plain[2:],
        "scans": slow[:-2] + slow[last:-2] * 200 + slow[-2:],
        "chunks": png(chunk(b"prVt", b"") * 100_000),
    }[kind]
    path = tmp_path / "parts"
    path.write_bytes(data)
    error = refusal(path)
    assert (error.code, error.reason) == ("too_large", "is made of too many parts")


def test_images_with_all_that_telephones_put_into_them_are_taken(tmp_path: Path) -> None:
    """A depth map in segments of 64 kB, another picture and a film behind the first, several scans."""
    slow, path = jpeg(progressive=True), tmp_path / "photo.jpg"
    depth = (b"\xff\xe1" + struct.pack(">H", 65_000) + os.urandom(64_998)) * 100
    film = (b"\xff\xd8\xff\xda\0\2" + bytes(8)) * 1000
    path.write_bytes(slow[:2] + depth + slow[2:] + film)
    assert decoded(path)[1][0][1].shape == (64, 64, 3)


@pytest.mark.parametrize(
    "exif",
    [
        b"MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\4abc\0\0\0\0\0",  # text for a number
        b"II*\0\x08\0\0\0\1\0\x12\1\5\0\1\0\0\0\x1a\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0",  # 6 / 0
        b"II*\0\x08\0\0\0\xff\xff",  # 65,535 entries, and none
        b"",
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_an_image_whose_exif_makes_no_sense_is_upright(tmp_path: Path, exif: bytes) -> None:
    told = b"Exif\0\0" + exif
    (tmp_path / "odd.jpg").write_bytes(jpeg()[:2] + b"\xff\xe1" + struct.pack(">H", len(told) + 2) + told + jpeg()[2:])
    assert decoded(tmp_path / "odd.jpg")[1][0][1].shape == (64, 64, 3)


def test_every_way_to_hold_a_camera_is_shown_as_pillow_shows_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for suffix in ("jpg", "png"):
        for orientation in range(1, 9):
            image, exif = Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)), Image.Exif()
            exif[0x0112] = orientation
            path = tmp_path / f"{orientation}.{suffix}"
            image.save(path, exif=exif)
            with Image.open(path) as saved:
                expected = np.array(ImageOps.exif_transpose(saved))
            shown = probe(path, MEDIA)
            assert (shown.height, shown.width) == expected.shape[:2]
            assert np.array_equal(decoded(path)[1][0][1], expected)


def test_decoding_that_takes_too_long_is_ended(make: Make) -> None:
    clip = make("clip.mp4", *picture(10, size="640x480"))
    assert refusal(clip, Media(timeout_s=0.001)).code == "timeout"


def test_without_ffmpeg_the_error_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make("clip.mp4", *picture(1))
    monkeypatch.setenv("PATH", "")
    error = refusal(clip)
    assert error.code == "no_ffmpeg"
    assert "install" in error.reason


COMMON = {
    "film.mp4": (*picture(1), *sound(1)),
    "mono.webm": (*picture(1, size="320x256"), *sound(1)),
    "both.mov": (*picture(1), "-f", "lavfi", "-i", "aevalsrc=0.1*sin(900*t)|-0.1*sin(900*t):d=1"),
    "mute.mp4": picture(1),
    "old.flv": (*picture(1), *sound(1), "-ar", "44100"),
    "voice.wav": sound(1),
    "voice.m4a": sound(1),
}


@pytest.mark.parametrize("name", COMMON)
def test_a_common_file_takes_one_ffmpeg_and_gives_what_it_gives_after_a_probe(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, found = make(name, *COMMON[name]), []
    told = probe(path, MEDIA)
    after, seen_after = decoded(path, probed=told)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ffmpeg").symlink_to(shutil.which("ffmpeg") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no ffprobe
    at_once, seen = decoded(path, on_probed=found.append)
    assert [(one.width, one.height, one.has_sound, one.channels) for one in found] == [
        (told.width, told.height, told.has_sound, told.channels)
    ]
    assert found[0].duration_s == pytest.approx(told.duration_s, abs=0.05)
    assert np.array_equal(at_once.voice, after.voice)
    assert seen.keys() == seen_after.keys()
    assert all(np.array_equal(rgb, seen_after[step][1]) for step, (_, rgb) in seen.items())


def test_a_header_that_lies_at_a_glance_changes_nothing(make: Make) -> None:
    path = make("film.mp4", *picture(1), *sound(1), "-movflags", "faststart")
    _, true = decoded(path)
    content = bytearray(path.read_bytes())
    width = content.index(b"avc1", 100) + 28  # in the sample's entry; the codec's own header says otherwise
    assert content[width : width + 2] == b"\0\xa0"
    content[width : width + 2] = b"\x10\xa0"
    path.write_bytes(content)
    _, seen = decoded(path)
    assert all(np.array_equal(rgb, true[step][1]) for step, (_, rgb) in seen.items())


def test_an_error_in_the_reader_of_pictures_ends_ffmpeg_and_leaves_no_open_files(make: Make) -> None:
    clip = make("clip.mp4", *picture(4), *sound(4))
    before = open_files()

    def fail(*_: object) -> None:
        raise RuntimeError("enough")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="enough"):
            decode(clip, MEDIA, STEP, fail)
    assert open_files() == before


def test_the_same_file_gives_the_same_bytes(make: Make) -> None:
    clip = make("clip.mp4", *picture(1, size="1280x720"), *sound(1))
    (first, one), (second, two) = decoded(clip), decoded(clip)
    assert np.array_equal(first.voice, second.voice)
    assert all(np.array_equal(one[step][1], two[step][1]) for step in one)


# Real files


@pytest.mark.parametrize(
    ("name", "steps", "shape"),
    [
        ("ravdess/Actor_01/01-01-01-01-01-01-01.mp4", 16, (360, 640, 3)),
        ("ravdess/Actor_01/02-01-08-01-01-02-01.mp4", 16, (360, 640, 3)),
        ("ravdess/Actor_17/03-01-06-02-01-01-17.flac", 18, None),
        ("crema_d/VideoFlash/1001_DFA_ANG_XX.flv", 11, (360, 480, 3)),
    ],
)
def test_real_clips_decode_whole(mirror: Path, name: str, steps: int, shape: tuple[int, int, int] | None) -> None:
    clip, pictures = decoded(mirror / name)
    assert clip.steps == steps
    assert len(clip.voice) / 16_000 == pytest.approx(steps * STEP, abs=STEP)
    assert {rgb.shape for _, rgb in pictures.values()} == ({shape} if shape else set())
    assert len(pictures) == (steps if shape else 0)
