"""Claims about what telephones, messengers, recorders and browsers really send (`tests/sent.py` makes it)."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mmer.labels import EMOTIONS
from mmer.runtime import images
from mmer.runtime.config import Media
from mmer.runtime.media import ACCEPTED, IMAGE, SOUND, VIDEO, Decoded, MediaError, decode, probe
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import Prediction
from mmer.runtime.second_look import View
from tests.conftest import ROOT
from tests.graphs import drawn_clips, write_model
from tests.sent import FILES, make, run

MEDIA = Media()
STEP = 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files are made, each once."""
    return tmp_path_factory.mktemp("sent")


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(write_model(tmp_path_factory.mktemp("model") / "m"))


def sent(folder: Path, name: str) -> Path:
    if "libx265" in FILES[name].command or name.endswith("heic"):
        needs("-encoders", "libx265")
    if "zscale" in FILES[name].command:
        needs("-filters", "zscale")
    return make(name, folder, drawn_clips()["sad"])


def needs(kind: str, name: str) -> None:
    """Skip where the ffmpeg that makes the files lacks something; reading them needs none of it."""
    told = subprocess.run(["ffmpeg", "-hide_banner", kind], capture_output=True, text=True, check=True).stdout
    if f" {name} " not in told:
        pytest.skip(f"this ffmpeg has no {name}")


def read(path: Path, media: Media = MEDIA, **part: float) -> tuple[Decoded, list[np.ndarray]]:
    pictures: list[np.ndarray] = []
    return decode(path, media, STEP, lambda _step, _at, rgb: pictures.append(rgb), **part), pictures


def difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def loudness(voice: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(voice.astype(float)))))


def refusal(path: Path, media: Media = MEDIA) -> MediaError:
    with pytest.raises(MediaError) as caught:
        read(path, media)
    return caught.value


# Pictures


@pytest.mark.parametrize("name", ["i16.png", "i16.tiff", "i32.tiff", "f.tiff"])
def test_grey_of_any_depth_looks_like_its_twin_of_8_bits(folder: Path, name: str) -> None:
    (twin,), (rgb,) = read(sent(folder, "grey.png"))[1], read(sent(folder, name))[1]
    assert difference(rgb, twin) < 1


@pytest.mark.parametrize(
    "name",
    ["cmyk.jpg", "cmyk.tiff", "p.png", "pa.tiff", "photo.webp", "photo.gif", "photo.bmp", "photo.tiff", "photo.avif",
     "photo.heic"],
)  # fmt: skip
def test_an_image_of_every_format_and_mode_shows_what_it_shows(folder: Path, name: str) -> None:
    sent(folder, "grey.png")
    (twin,), (rgb,) = read(folder / "face.png")[1], read(sent(folder, name))[1]
    assert difference(rgb, twin) < 6


@pytest.mark.parametrize("name", ["la.png", "rgba.png"])
def test_what_is_transparent_stands_on_a_neutral_ground(folder: Path, name: str) -> None:
    (rgb,) = read(sent(folder, name))[1]
    assert np.all(rgb[:, : rgb.shape[1] // 6 - 1] == images.GROUND)
    assert difference(rgb[:, rgb.shape[1] // 6 + 1 :], np.full_like(rgb[:, rgb.shape[1] // 6 + 1 :], 128)) > 10


def test_a_heic_in_tiles_is_put_together(folder: Path) -> None:
    (rgb,) = read(sent(folder, "grid.heic"))[1]
    assert rgb.shape == (256, 256, 3)
    run("ffmpeg -v error -y -i face.png -vf scale=256:256 square.png", folder)
    assert difference(rgb, read(folder / "square.png")[1][0]) < 6


def test_a_heic_is_shown_upright_as_it_says(folder: Path, tmp_path: Path) -> None:
    needs("-encoders", "libx265")
    from tests.heic import write

    sent(folder, "grey.png")
    write(folder / "face.png", tmp_path / "turned.heic", turned=1)
    assert (probe(tmp_path / "turned.heic", MEDIA).width, probe(tmp_path / "turned.heic", MEDIA).height) == (240, 320)
    (twin,), (rgb,) = read(folder / "face.png")[1], read(tmp_path / "turned.heic")[1]
    assert difference(rgb, np.rot90(twin)) < 6


def test_without_a_reader_for_heic_the_reason_says_how_to_export(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sent(folder, "photo.heic")
    (folder / "blocked" / "pi_heif").mkdir(parents=True, exist_ok=True)
    (folder / "blocked" / "pi_heif" / "__init__.py").write_text("raise ModuleNotFoundError('pi_heif')")
    monkeypatch.setenv("PYTHONPATH", str(folder / "blocked"))
    error = refusal(path)
    assert error.code == "not_media"
    assert "export it as JPEG" in error.reason


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.png"])
def test_an_animated_image_is_a_clip(folder: Path, name: str) -> None:
    path = sent(folder, name)
    twin, shown = read(folder / "clip.mp4")
    clip, pictures = read(path)
    assert (clip.steps, len(clip.voice)) == (10, 0)
    assert clip.duration_s == pytest.approx(2, abs=0.11)
    assert clip.picture_times == pytest.approx(twin.picture_times, abs=0.11)
    assert np.mean([difference(one, other) for one, other in zip(pictures, shown, strict=True)]) < 12
    part, _ = read(path, start_s=0.6, end_s=1.4)
    assert part.steps == 4


def test_an_animation_of_a_million_pictures_is_ended(tmp_path: Path) -> None:
    from PIL import Image

    grey = [Image.new("L", (16, 16), k % 256) for k in range(3000)]
    grey[0].save(tmp_path / "long.gif", save_all=True, append_images=grey[1:], duration=1000)
    assert refusal(tmp_path / "long.gif").code == "too_long"
    grey[0].save(tmp_path / "fast.webp", save_all=True, append_images=grey[1:], duration=1, lossless=True)
    assert read(tmp_path / "fast.webp", Media(max_duration_s=1000))[0].duration_s == pytest.approx(300)
    assert refusal(tmp_path / "fast.webp", Media(timeout_s=0.05)).code == "timeout"


@pytest.mark.parametrize("name", ["photo.tiff", "photo.webp", "photo.gif", "photo.bmp", "photo.heic", "photo.avif"])
def test_an_image_is_read_within_limits_of_pixels_and_memory(folder: Path, name: str) -> None:
    path = sent(folder, name)
    assert refusal(path, Media(max_image_pixels=320 * 240 - 1)).code == "too_large"
    assert refusal(path, Media(max_memory_mb=16)).code in ("too_large", "truncated")
    assert read(path, Media(max_image_pixels=320 * 240))[0].is_image


def test_a_telephone_s_photo_is_taken_and_a_film_of_that_size_is_not(folder: Path) -> None:
    assert read(sent(folder, "12mp.jpg"))[1][0].shape == (480, 640, 3)
    run("ffmpeg -v error -y -i 12mp.jpg -frames:v 1 -c:v mjpeg 12mp.avi", folder)
    assert refusal(folder / "12mp.avi").code == "too_large"


@pytest.mark.parametrize("name", ["hlg100.mp4", "hlg203.mp4", "pq100.mp4", "pq203.mp4"])
def test_a_film_of_a_high_dynamic_range_looks_like_its_twin_of_the_standard_one(folder: Path, name: str) -> None:
    path = sent(folder, name)
    _, twin = read(folder / "sdr.mp4")
    _, pictures = read(path)
    if "100" in name:
        assert np.mean([difference(one, other) for one, other in zip(pictures, twin, strict=True)]) < 6
    # Of the brighter white a film without any white may be shown brighter: nothing else tells the two apart.
    assert 0.95 < pictures[-1].std() / twin[-1].std() < (1.05 if "100" in name else 1.35)
    assert np.corrcoef(pictures[-1].ravel(), twin[-1].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", ["hlg100.mp4", "hlg203.mp4", "pq100.mp4", "pq203.mp4"])
def test_and_the_released_model_sees_in_it_what_it_sees_in_the_twin(folder: Path, name: str) -> None:
    released = Recognizer.load(ROOT / "release")
    found, twin = released.predict(sent(folder, name)), released.predict(sent(folder, "sdr.mp4"))
    assert np.abs(found.probabilities - twin.probabilities).max() < 0.1
    assert found.steps[-1].box is not None
    assert twin.steps[-1].box is not None
    assert overlap(found.steps[-1].box, twin.steps[-1].box) > 0.9


def test_an_interlaced_film_shows_no_comb(folder: Path) -> None:
    """In a comb, a row differs from those next to it more than from those after them."""
    _, pictures = read(sent(folder, "interlaced.mpg"))
    _, twin = read(folder / "clip.mp4")

    def comb(rgb: np.ndarray) -> float:
        rows = rgb.mean(-1)
        return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())

    assert max(map(comb, pictures)) < 1.5 * max(map(comb, twin))


def test_a_film_that_is_rotated_and_mirrored_by_its_tag_is_shown_as_it_says(folder: Path) -> None:
    _, pictures = read(sent(folder, "mirrored.mp4"))
    _, twin = read(folder / "clip.mp4")
    assert difference(pictures[3], twin[3]) < 6


def test_odd_pixels_are_made_square(folder: Path) -> None:
    _, pictures = read(sent(folder, "aspect.mp4"))
    assert difference(pictures[3], read(folder / "clip.mp4")[1][3]) < 8


# Sound


def test_stereo_in_antiphase_is_its_louder_channel(folder: Path) -> None:
    alone, _ = read(sent(folder, "voice.wav"))
    heard, _ = read(sent(folder, "antiphase.wav"))
    assert difference(heard.voice, alone.voice) < 4
    assert len(heard.voice) == len(alone.voice)


def test_one_sided_stereo_and_ordinary_stereo_are_the_mean_as_before(folder: Path) -> None:
    alone, _ = read(sent(folder, "voice.wav"))
    one_sided, _ = read(sent(folder, "onesided.wav"))
    assert loudness(one_sided.voice) == pytest.approx(loudness(alone.voice) / 2, rel=0.02)
    run("ffmpeg -v error -y -i voice.wav -ac 2 -af volume=0.9 both.wav", folder)
    mean = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", folder / "both.wav", "-af", "aresample=16000:async=1:first_pts=0", "-ac", "1",
         "-f", "s16le", "-"], check=True, capture_output=True,
    ).stdout  # fmt: skip
    assert read(folder / "both.wav")[0].voice.tobytes() == mean


def test_a_voice_that_comes_to_be_in_antiphase_is_heard_throughout(folder: Path) -> None:
    run(
        "ffmpeg -v error -y -f lavfi -i 'aevalsrc=0.3*sin(2760*t)|0.3*sin(2760*t)*(1-2*floor(t)):d=2:s=16000' half.wav",
        folder,
    )
    voice = read(folder / "half.wav")[0].voice
    assert len(voice) == 32_000
    assert loudness(voice[17_000:]) == pytest.approx(loudness(voice[:15_000]), rel=0.05)


@pytest.mark.parametrize("name", ["default.mkv", "loudest.mkv", "apac.mp4"])
def test_of_several_sound_tracks_the_right_one_is_heard(folder: Path, name: str) -> None:
    clip, pictures = read(sent(folder, name))
    assert loudness(clip.voice) > 300
    assert len(pictures) == 10
    assert clip.notes == ()


def test_a_film_whose_only_sound_cannot_be_decoded_is_seen_and_it_is_said(folder: Path) -> None:
    clip, pictures = read(sent(folder, "mute.mp4"))
    assert (len(clip.voice), len(pictures)) == (0, 10)
    (note,) = clip.notes
    assert note.code == "unknown_sound"
    assert "apac" in note.text


@pytest.mark.parametrize(
    "name", [*(f"voice.{s}" for s in ("aac", "caf", "aiff", "wma", "3gp", "m4a", "au")), "alaw.wav", "mulaw.wav",
             "float.wav"]
)  # fmt: skip
def test_a_voice_of_every_format_is_heard(folder: Path, name: str) -> None:
    alone, _ = read(sent(folder, "voice.wav"))
    heard, _ = read(sent(folder, name))
    assert len(heard.voice) == pytest.approx(len(alone.voice), abs=3200)
    assert loudness(heard.voice) == pytest.approx(loudness(alone.voice), rel=0.25)


def test_gsm_and_amr_are_heard(folder: Path) -> None:
    assert len(read(sent(folder, "voice.amr"))[0].voice) == pytest.approx(32_000, abs=400)
    needs("-encoders", "libgsm_ms")
    assert loudness(read(sent(folder, "gsm.wav"))[0].voice) > 100


def test_the_middle_of_surround_sound_is_heard(folder: Path) -> None:
    alone, _ = read(sent(folder, "voice.wav"))
    assert loudness(read(sent(folder, "surround.flac"))[0].voice) > 0.2 * loudness(alone.voice)


def test_sound_that_goes_on_at_another_rate_goes_on_without_a_gap(folder: Path) -> None:
    clip, _ = read(sent(folder, "rates.ogg"))
    assert clip.duration_s == pytest.approx(4, abs=0.15)
    pieces = clip.voice[: len(clip.voice) // 1600 * 1600].reshape(-1, 1600)
    assert min(map(loudness, pieces[1:-1])) > 1000


def test_an_mp3_s_cover_and_a_track_of_no_length_are_passed_over(folder: Path) -> None:
    clip, pictures = read(sent(folder, "cover.mp3"))
    assert (clip.steps, pictures) == (10, [])
    clip, pictures = read(sent(folder, "zero.mkv"))
    assert (len(clip.voice), len(pictures)) == (0, 10)


def test_a_negative_start_and_an_edit_list_keep_sound_and_picture_together(folder: Path) -> None:
    for name, steps in (("negative.mkv", 10), ("edits.mp4", 5)):
        clip, pictures = read(sent(folder, name))
        assert (clip.steps, len(pictures)) == (pytest.approx(steps, abs=3), pytest.approx(steps, abs=3)), name
        assert len(clip.voice) / 16_000 == pytest.approx(clip.duration_s, abs=0.5), name


# Files that are not whole, or no clips


@pytest.mark.parametrize(("name", "alone"), [("joined.webm", "one.webm"), ("joined.mp4", "clip.mp4")])
def test_of_joined_recordings_the_first_is_read_whole_and_it_is_said(folder: Path, name: str, alone: str) -> None:
    joined, pictures = read(sent(folder, name))
    first, shown = read(folder / alone)
    assert [note.code for note in joined.notes] == ["truncated"]
    assert first.notes == ()
    assert joined.voice.tobytes() == first.voice.tobytes()
    assert [p.tobytes() for p in pictures] == [p.tobytes() for p in shown]


def test_joined_wavs_are_told_too(folder: Path) -> None:
    path = sent(folder, "voice.wav")
    (folder / "joined.wav").write_bytes(path.read_bytes() * 2)
    assert [note.code for note in read(folder / "joined.wav")[0].notes] == ["truncated"]


def test_a_recording_without_its_first_piece_is_told_so(folder: Path) -> None:
    error = refusal(sent(folder, "later.webm"))
    assert error.code == "truncated"
    assert "the first one first" in error.reason


def test_what_is_refused_is_told_what_is_accepted(folder: Path) -> None:
    assert ACCEPTED in refusal(sent(folder, "letter.pdf")).reason
    assert all(suffix[1:] in ACCEPTED for suffix in (*VIDEO, *SOUND, *IMAGE))
    assert refusal(sent(folder, "subtitles.mkv")).reason == "holds neither picture nor sound"
    (folder / "vector.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    assert refusal(folder / "vector.svg").code in ("refused", "not_media")


def test_too_long_a_file_is_told_how_to_cut_it(folder: Path) -> None:
    reason = refusal(sent(folder, "voice.wav"), Media(max_duration_s=1)).reason
    assert re.search(r"start, end", reason)
    assert "ffmpeg -ss 0 -t 1 " in reason


# Faces


def predicted(recognizer: Recognizer, folder: Path, name: str) -> Prediction:
    return recognizer.predict(sent(folder, name))


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = np.maximum(high - low, 0).prod()
    return float(shared / (sum(np.subtract(b[2:], b[:2]).prod() for b in (one, other)) - shared))


@pytest.mark.parametrize(("name", "turn"), [("sideways.jpg", 270), ("head.jpg", 180), ("sideways.mp4", 270)])
def test_a_picture_that_is_not_upright_is_turned_and_it_is_said(
    recognizer: Recognizer, folder: Path, name: str, turn: int
) -> None:
    upright = recognizer.predict(sent(folder, "grey.png").with_name("face.png"))
    found = predicted(recognizer, folder, name)
    assert found.turned == turn
    assert [note.code for note in found.notes] == ["turned"]
    assert str(turn) in found.to_json()["notes"][0]["message"]
    assert upright.steps[0].box is not None
    (box, *_) = [step.box for step in found.steps if step.box]
    back = View(turn).turned_back(upright.steps[0].box)
    assert overlap(box, back) > 0.8, "the box is the picture's as it was sent"


def test_an_upright_picture_is_left_as_it_is(recognizer: Recognizer) -> None:
    for emotion in EMOTIONS:
        found = recognizer.predict(drawn_clips()[emotion])
        assert found.turned == 0


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_box_is_turned_back(turn: int) -> None:
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[6:18, 40:48] = 255
    ys, xs = np.nonzero(View(turn).turned(rgb)[..., 0])
    high, wide = View(turn).turned(rgb).shape[:2]
    box = (xs.min() / wide, ys.min() / high, (xs.max() + 1) / wide, (ys.max() + 1) / high)
    assert View(turn).turned_back(box) == pytest.approx((40 / 80, 6 / 60, 48 / 80, 18 / 60))


@pytest.mark.parametrize("name", ["small.jpg", "small.mp4"])
def test_a_small_face_in_a_large_picture_is_found(recognizer: Recognizer, folder: Path, name: str) -> None:
    found = predicted(recognizer, folder, name)
    (box, *_) = [step.box for step in found.steps if step.box]
    assert 1400 / 1920 < box[0] < box[2] < 1700 / 1920
    assert 600 / 1080 < box[1] < box[3] < 825 / 1080
    assert found.notes == []


def test_a_face_too_small_and_no_face_are_told_apart(recognizer: Recognizer, folder: Path) -> None:
    for name, code in (("tiny.jpg", "small_face"), ("nobody.jpg", "no_face")):
        found = predicted(recognizer, folder, name)
        assert [note.code for note in found.notes] == [code]
        assert not found.steps[0].present["face"]


def test_a_model_of_voices_is_not_told_of_faces(tmp_path: Path, folder: Path) -> None:
    voices = Recognizer.load(write_model(tmp_path / "m", modalities=["voice"]))
    assert voices.predict(sent(folder, "nobody.jpg")).notes == []


def test_a_part_of_a_clip_that_lies_on_its_side_is_turned_too(recognizer: Recognizer, folder: Path) -> None:
    found = recognizer.predict(sent(folder, "sideways.mp4"), start_s=1, end_s=1.8)
    assert (len(found.steps), found.turned) == (4, 270)
