"""Claims about what a face in training goes through: each change does what its name says, by the seed alone."""

from collections.abc import Callable

import numpy as np
import pytest

from mmer.config import Cameras
from mmer.training import cameras
from mmer.training.cameras import Faces

ALL = Cameras(roll_deg=45, scale=0.15, shift=0.1, perspective=0.05, covered=1, light=1, small=1, codec=1)
CHANGES = [cameras.covered, cameras.lit, cameras.small, cameras.coded]
T, SIDE = 3, 64


def faces() -> Faces:
    """The same smooth picture in all steps, uint8 [T, SIDE, SIDE, 3]: no shade of it is alike in two places."""
    line = np.linspace(0, 1, SIDE)
    across, down = np.meshgrid(line, line)
    picture = np.stack([40 + 150 * across, 60 + 120 * down, 90 + 60 * across * down], -1)
    return np.repeat(picture[None], T, 0).astype(np.uint8)


def framed(seed: int = 0, **how: float) -> Faces:
    return cameras.framed(faces(), Cameras(**how), np.random.default_rng(seed))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(6))
def test_each_keeps_the_shape_is_the_same_in_all_steps_and_repeats_with_its_seed(
    change: Callable[[Faces, np.random.Generator], Faces], seed: int
) -> None:
    given = faces()
    one, two = (change(given, np.random.default_rng(seed)) for _ in range(2))
    assert (one.shape, one.dtype) == (given.shape, np.uint8)
    np.testing.assert_array_equal(one, two)
    assert (one == one[0]).all(), "one change for the whole clip: no flicker"
    assert (one != given).any(), "it changes something"
    np.testing.assert_array_equal(given, faces(), "what it was given is left as it was")


@pytest.mark.parametrize("seed", range(6))
def test_a_chain_keeps_the_shape_is_the_same_in_all_steps_and_repeats_with_its_seed(seed: int) -> None:
    one, two = (cameras.through(faces(), ALL, np.random.default_rng(seed)) for _ in range(2))
    assert (one.shape, one.dtype) == (faces().shape, np.uint8)
    np.testing.assert_array_equal(one, two)
    assert (one == one[0]).all()
    assert (one != cameras.through(faces(), ALL, np.random.default_rng(seed + 100))).any()


def test_a_chain_of_none_changes_nothing() -> None:
    for seed in range(5):
        np.testing.assert_array_equal(cameras.through(faces(), Cameras(), np.random.default_rng(seed)), faces())


def middle_of_a_spot(change: Callable[[Faces], Faces], x: int, y: int) -> tuple[float, float]:
    """Where a bright spot at x, y comes to lie, pixels."""
    dark = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    dark[:, y - 1 : y + 2, x - 1 : x + 2] = 255
    light = change(dark)[0, ..., 0].astype(float)
    places = np.arange(SIDE)
    return float((light.sum(0) * places).sum() / light.sum()), float((light.sum(1) * places).sum() / light.sum())


def test_a_roll_turns_about_the_middle_by_no_more_than_was_asked_for() -> None:
    turned = []
    for seed in range(60):

        def roll(x: Faces, seed: int = seed) -> Faces:
            return cameras.framed(x, Cameras(roll_deg=40), np.random.default_rng(seed))

        x, y = (place - (SIDE - 1) / 2 for place in middle_of_a_spot(roll, 52, 32))
        turned.append(float(np.rad2deg(np.arctan2(y, x))))
        assert np.hypot(x, y) == pytest.approx(20.5, abs=0.7), "neither nearer nor further"
    assert max(map(abs, turned)) < 43
    assert max(turned) > 25
    assert min(turned) < -25
    assert 0.3 < np.mean(np.abs(turned) < 40 / 3) < 0.7, "half of them by less than a third"


def test_scale_and_shift_move_what_is_seen_by_no_more_than_was_asked_for() -> None:
    sizes, places = [], []
    for seed in range(40):

        def scale(x: Faces, seed: int = seed) -> Faces:
            return cameras.framed(x, Cameras(scale=0.2), np.random.default_rng(seed))

        def shift(x: Faces, seed: int = seed) -> Faces:
            return cameras.framed(x, Cameras(shift=0.1), np.random.default_rng(seed))

        left, right = (middle_of_a_spot(scale, x, 32)[0] for x in (16, 47))
        sizes.append((right - left) / 31)
        places.append(middle_of_a_spot(shift, 32, 32)[0] - 32)
    assert 0.78 < min(sizes) < 0.9 < 1.1 < max(sizes) < 1.22
    assert -0.1 * SIDE - 0.5 < min(places) < -2 < 2 < max(places) < 0.1 * SIDE + 0.5


def test_perspective_moves_corners_and_leaves_no_edge_black() -> None:
    changed = [framed(seed, perspective=0.1) for seed in range(10)]
    assert all((one != faces()).mean() > 0.2 for one in changed)
    assert min(one.min() for one in [*changed, framed(0, shift=0.3), framed(1, roll_deg=90)]) >= faces().min()


def test_what_covers_hides_a_part_in_one_shade_and_leaves_the_rest() -> None:
    shares, upper, lower = [], 0, 0
    for seed in range(60):
        after = cameras.covered(faces(), np.random.default_rng(seed))[0]
        hidden = (after != faces()[0]).any(-1)
        assert np.ptp(after[hidden]) == 0
        shares.append(hidden.mean())
        upper, lower = upper + hidden[:27].any(), lower + hidden[40:].any()
    assert min(shares) > 0.01
    assert max(shares) < 0.5
    assert upper > 10, "eyes"
    assert lower > 10, "and mouths"


def test_light_is_darker_and_brighter_and_falls_from_one_side() -> None:
    grey = np.full((1, SIDE, SIDE, 3), 128, np.uint8)
    lit = [cameras.lit(grey, np.random.default_rng(seed))[0].astype(float) for seed in range(40)]
    means = [one.mean() for one in lit]
    assert min(means) < 70
    assert max(means) > 150
    sides = [np.abs(np.subtract(*(half.mean() for half in np.array_split(one, 2, axis=1)))) for one in lit]
    assert max(sides) > 20


def detail(x: Faces) -> float:
    return float(np.abs(np.diff(x.astype(float), axis=2)).mean())


def test_a_small_face_has_lost_its_detail_and_a_strong_codec_some_of_it() -> None:
    rough = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    for seed in range(10):
        assert detail(cameras.small(rough, np.random.default_rng(seed))) < 0.6 * detail(rough)
        left = cameras.coded(rough, np.random.default_rng(seed)).astype(float)
        assert 5 < np.abs(left - rough).mean() < 80
        smooth = cameras.coded(faces(), np.random.default_rng(seed)).astype(float)
        assert np.abs(smooth - faces()).mean() < 8, "what is smooth survives"
