"""Claims about decoding: the right picture in each step, sound and picture together, and every bad file called bad."""

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmer.config import Media
from mmer.media import Decoded, MediaError, decode, probe

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


def decoded(path: Path, media: Media = MEDIA, **options: Path) -> tuple[Decoded, Pictures]:
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
    assert refusal(big, Media(max_pixels=640 * 480 - 1)).code == "too_large"
    assert decoded(big, Media(max_pixels=640 * 480))[0].steps >= 1


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


def test_decoding_that_takes_too_long_is_ended(make: Make) -> None:
    clip = make("clip.mp4", *picture(10, size="640x480"))
    assert refusal(clip, Media(timeout_s=0.001)).code == "timeout"


def test_without_ffmpeg_the_error_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make("clip.mp4", *picture(1))
    monkeypatch.setenv("PATH", "")
    error = refusal(clip)
    assert error.code == "no_ffmpeg"
    assert "install" in error.reason


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
