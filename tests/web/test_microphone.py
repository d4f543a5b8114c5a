"""A microphone at any level: what the page shows of a voice does not hang on how loud it comes in."""

import itertools
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from mmer.data.demo.speech import plan_speech
from mmer.data.demo.trials import plan_trials
from mmer.data.demo.voice import synthesise
from mmer.labels import EMOTIONS
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.types import Floats
from tests.serving import Served
from tests.web.conftest import Open
from tests.web.test_page import LABEL, ONLY, PATIENCE, Watched, steps_shown

LEVELS = (-40, -25, -12)
"""Of the microphone, dBFS RMS: a far one, a usual one, and one that clips the peaks."""
SAID = "s02-surprise-1"
"""A drawn sentence of 2.2 s."""
PAUSE_S = 0.05
"""After it: a quarter of a step, so that it meets the grid of steps in each of four ways before they come again."""
ROUND = 45
"""Steps in which it is said four times: whatever the beginning, so many in a row have met the same."""
STEP_S = 0.2


def sentence() -> Floats:
    """What the microphone plays again and again, float32 [N] at 16 kHz, of RMS 1."""
    trial = next(trial for trial in plan_trials(0, 2, 1) if trial.clip_id == SAID)
    rng = np.random.default_rng(trial.seed)
    said = synthesise(trial.who, plan_speech(trial, rng), round(trial.seconds * SAMPLE_RATE), rng)
    line = np.concatenate([said, np.zeros(round(PAUSE_S * SAMPLE_RATE))])
    assert 4 * len(line) == round(ROUND * STEP_S * SAMPLE_RATE)
    return (line / np.sqrt(np.mean(line**2))).astype(np.float32)


def write_microphone(path: Path, level: float) -> Path:
    """The sentence at that level, as a file for the browser to play as its microphone."""
    pcm = np.clip(32767 * 10 ** (level / 20) * sentence(), -32768, 32767).astype(np.int16)
    arguments = ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1", "-i", "-", "-ar", "48000", str(path)]
    subprocess.run(["ffmpeg", "-v", "error", *arguments], input=pcm.tobytes(), check=True)
    return path


def heard(open_browser: Open, served: Served, microphone: Path, level: float) -> list[dict[str, str]]:
    """A round of steps of the live page, with this microphone and no camera: the first in which no step was skipped and
    all of the voice came in, since a browser that is short of time drops some.
    """
    with open_browser(f"--use-file-for-fake-audio-capture={microphone}", "--use-fake-ui-for-media-stream") as browser:
        page = Watched(browser.new_context(accept_downloads=True), served.url).page
        page.evaluate(ONLY.replace("KIND", "video"))
        page.click("#go")
        expect(page.locator("#label")).to_have_text(LABEL)
        page.wait_for_timeout(1000 * ROUND * STEP_S)
        until = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < until:
            steps = steps_shown(page)[-ROUND:]
            took = float(steps[-1]["t"]) - float(steps[0]["t"])
            power = np.mean([10 ** (float(step["voice_dbfs"]) / 10) for step in steps])
            if took == pytest.approx((ROUND - 1) * STEP_S) and 10 * np.log10(power) == pytest.approx(level, abs=0.5):
                return steps
            page.wait_for_timeout(1000)
    raise AssertionError(f"no whole round at {level} dBFS: {took:.1f} s at {10 * np.log10(power):.1f} dBFS")


@pytest.mark.slow
def test_a_voice_gets_the_same_labels_at_any_level_of_the_microphone(
    open_browser: Open, real: Served, tmp_path: Path
) -> None:
    steps = [heard(open_browser, real, write_microphone(tmp_path / f"{level}.wav", level), level) for level in LEVELS]
    held = [Counter(step["label"] for step in own).most_common() for own in steps]
    assert len({labels[0][0] for labels in held}) == 1, held
    means = [np.mean([[float(step[emotion]) for emotion in EMOTIONS] for step in own], axis=0) for own in steps]
    apart = [float(np.abs(one - other).sum() / 2) for one, other in itertools.combinations(means, 2)]
    assert max(apart) < 0.1, f"total variation of the mean probabilities: {apart}"
