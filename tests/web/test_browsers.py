"""What browsers, devices and lines do to the page: a script before the page's own has Chromium behave so."""

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from mmer.labels import EMOTIONS
from tests.graphs import drawn_clips, write_model
from tests.serving import Served, serve
from tests.web.test_device import RUNTIME, turn_on
from tests.web.test_page import LABEL, PATIENCE, Watched, close, steps_shown

HEARD = re.compile(rf"Voice: . ({LABEL.pattern})")
HOLD = """
    globalThis.contexts = [];
    globalThis.asked = [];
    globalThis.tracks = {};
    const Real = AudioContext;
    AudioContext = class extends Real {
        constructor(options) {
            super(options);
            contexts.push(this);
        }
        resume() {
            return globalThis.held ? new Promise(() => {}) : super.resume();
        }
    };
    const media = navigator.mediaDevices, open = media.getUserMedia.bind(media);
    media.getUserMedia = async (wanted) => {
        asked.push(wanted);
        const stream = await open(wanted);
        for (const track of stream.getTracks()) tracks[track.kind] = track;
        return stream;
    };
"""
"""Keeps what the page opens at hand; `held` leaves the promise of `resume` open for ever."""


@contextlib.contextmanager
def page_with(browser: Browser, service: Served, *scripts: str) -> Iterator[Watched]:
    """A page before which scripts have run."""
    context = browser.new_context(accept_downloads=True)
    context.add_init_script("".join(f"(() => {{ {script} }})();" for script in (HOLD, *scripts)))
    yield Watched(context, service.url)
    context.close()


@pytest.fixture
def watched(browser: Browser, service: Served) -> Iterator[Watched]:
    with page_with(browser, service) as watched:
        yield watched


def focused(page: Page) -> str:
    """The id of what has the focus, or a sample's name."""
    return str(page.evaluate("document.activeElement.id || document.activeElement.dataset.sample || 'body'"))


ONE_RATE = """
    const source = AudioContext.prototype.createMediaStreamSource;
    AudioContext.prototype.createMediaStreamSource = function (stream) {
        if (this.sampleRate !== 16000) throw new DOMException("another sample rate", "NotSupportedError");
        return source.call(this, stream);
    };
    const settings = MediaStreamTrack.prototype.getSettings;
    MediaStreamTrack.prototype.getSettings = function () { return { ...settings.call(this), sampleRate: TOLD }; };
"""


@pytest.mark.parametrize("told", ["16000", "undefined"])
def test_a_microphone_of_another_rate_than_the_sound_output_is_heard(
    browser: Browser, service: Served, told: str
) -> None:
    """As Firefox has it with a Bluetooth headset; the rate of a track is not told by every Firefox."""
    with page_with(browser, service, ONE_RATE.replace("TOLD", told)) as watched:
        page = watched.go_live()
        expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)
        assert page.evaluate("contexts.filter((one) => one.state === 'running').map((one) => one.sampleRate)") == [
            16000
        ]
        assert watched.complaints == []


NEVER = """
    const Held = AudioContext;
    AudioContext = class extends Held {
        constructor(options) {
            super(options);
            this.suspend();
        }
    };
    globalThis.held = true;
"""


def test_sound_that_never_starts_is_said_and_the_page_can_be_closed(browser: Browser, service: Served) -> None:
    with page_with(browser, service, NEVER) as watched:
        page = watched.go_live()
        expect(page.locator("#stop")).to_be_visible()
        expect(page.locator("#error")).to_contain_text(
            "The microphone is not heard. This browser has not started its sound"
        )
        expect(page.locator("#unimodal")).to_contain_text("Voice: not heard")
        expect(page.locator("#unimodal")).to_contain_text(re.compile("Face: . "))
        close(page)
        expect(page.locator("#go")).to_be_visible()
        assert page.evaluate("Object.values(tracks).map((track) => track.readyState)") == ["ended", "ended"]


def test_sound_that_is_interrupted_goes_on_by_itself(watched: Watched) -> None:
    page = watched.go_live()
    expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)
    page.evaluate("contexts[0].suspend()")  # as the system does to it
    page.wait_for_function("contexts[0].state === 'running'")
    expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)


def test_sound_that_needs_a_tap_to_go_on_says_so(watched: Watched) -> None:
    page = watched.go_live()
    expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)
    page.evaluate(
        """() => {
            held = true;
            contexts[0].suspend();
            document.addEventListener("pointerdown", () => (held = false), { capture: true });
        }"""
    )
    expect(page.locator("#error")).to_contain_text("tap the page", timeout=PATIENCE)
    expect(page.locator("#unimodal")).to_contain_text("Voice: not heard")
    page.click("#right")
    expect(page.locator("#error")).to_be_hidden(timeout=PATIENCE)
    expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)


MUTE = """([kind, muted]) => {
    Object.defineProperty(tracks[kind], "muted", { value: muted, configurable: true });
    tracks[kind].dispatchEvent(new Event(muted ? "mute" : "unmute"));
}"""


@pytest.mark.parametrize(
    ("kind", "said", "row"),
    [
        ("audio", "The microphone is not heard. It is muted by the system", "Voice: not heard"),
        ("video", "The camera gives no pictures at present", "Face: no pictures"),
    ],
)
def test_a_device_that_the_system_mutes_is_said_until_it_is_back(
    watched: Watched, kind: str, said: str, row: str
) -> None:
    page = watched.go_live()
    page.evaluate(MUTE, [kind, True])
    expect(page.locator("#error")).to_contain_text(said, timeout=PATIENCE)
    expect(page.locator("#unimodal")).to_contain_text(row)
    page.evaluate(MUTE, [kind, False])
    expect(page.locator("#error")).to_be_hidden(timeout=PATIENCE)
    expect(page.locator("#unimodal")).not_to_contain_text(row)


UNPLUG = """() => {
    const media = navigator.mediaDevices, list = media.enumerateDevices.bind(media);
    const id = tracks.audio.getSettings().deviceId;
    media.enumerateDevices = async () => (await list()).filter(({ deviceId }) => deviceId !== id);
    globalThis.plug = () => {
        media.enumerateDevices = list;
        media.dispatchEvent(new Event("devicechange"));
    };
    tracks.audio.stop();
    tracks.audio.dispatchEvent(new Event("ended"));
    media.dispatchEvent(new Event("devicechange"));
}"""


def test_a_headset_that_is_unplugged_is_no_microphone_and_is_taken_again_once_it_is_back(watched: Watched) -> None:
    page = watched.go_live()
    expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)
    before = steps_shown(page)
    page.evaluate(UNPLUG)
    expect(page.locator("#error")).to_contain_text("The microphone is gone; going on without it.")
    expect(page.locator("#unimodal")).to_contain_text("Voice: no microphone")
    expect(page.locator("#microphone")).to_have_value("")
    page.evaluate("plug()")
    expect(page.locator("#error")).to_be_hidden(timeout=PATIENCE)
    expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)
    expect(page.locator("#microphone")).not_to_have_value("")
    assert steps_shown(page)[: len(before)] == before


def test_another_choice_of_devices_keeps_what_is_shown_and_the_focus(watched: Watched) -> None:
    page = watched.go_live()
    expect(page.locator("#unimodal")).to_contain_text(HEARD, timeout=PATIENCE)
    before = steps_shown(page)
    page.focus("#microphone")
    page.select_option("#microphone", "")
    expect(page.locator("#unimodal")).to_contain_text("Voice: no microphone", timeout=PATIENCE)
    expect(page.locator("#status")).to_have_text("Live.", timeout=PATIENCE)
    expect(page.locator("#old")).to_be_hidden(timeout=PATIENCE)
    assert focused(page) == "microphone"
    assert page.evaluate("document.querySelector('#level').value") == 0
    after = steps_shown(page)
    assert after[: len(before)] == before
    assert [float(row["t"]) for row in after] == sorted(float(row["t"]) for row in after)
    page.focus("#camera")
    page.select_option("#camera", "")
    expect(page.locator("#error")).to_contain_text("Neither camera nor microphone was chosen.")
    assert focused(page) == "go"


def test_the_focus_never_falls_to_the_body(watched: Watched) -> None:
    page = watched.page
    for opener in ("#go", "[data-sample=surprise]"):
        page.focus(opener)
        page.keyboard.press("Enter")
        expect(page.locator("#label")).to_have_text(LABEL, timeout=PATIENCE)
        assert focused(page) == "view"
        page.focus("#stop")
        page.keyboard.press("Enter")
        assert focused(page) == "keep"
        page.keyboard.press("Escape")
        assert focused(page) == "stop"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#go")).to_be_visible()
        assert page.evaluate("(opener) => document.activeElement === document.querySelector(opener)", opener)


def test_the_focus_stays_on_the_switch_while_it_fetches(watched: Watched) -> None:
    if not RUNTIME.is_dir():
        pytest.skip("the page's runtime is not installed (make page)")
    watched.page.focus("#device")
    turn_on(watched.page)
    assert focused(watched.page) == "device"


@pytest.mark.parametrize(("width", "zoom"), [(320, 100), (640, 200)])
def test_the_meter_of_the_voice_stays_inside(watched: Watched, width: int, zoom: int) -> None:
    """Of a small telephone, and of text at twice its size."""
    page = watched.page
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("(zoom) => { document.documentElement.style.fontSize = `${zoom}%`; }", zoom)
    watched.go_live()
    right = "(selector) => document.querySelector(selector).getBoundingClientRect().right"
    assert page.evaluate(right, "#level") <= page.evaluate(right, "#right") + 0.5
    assert page.evaluate("document.querySelector('#level').clientWidth") >= 32
    assert page.evaluate("document.documentElement.scrollWidth") <= width


NOISE = """
    for (const { prototype } of [OffscreenCanvasRenderingContext2D, CanvasRenderingContext2D]) {
        const read = prototype.getImageData;
        prototype.getImageData = function (...where) {
            const found = read.apply(this, where);
            for (let k = 0; k < found.data.length; k += 1) found.data[k] = MADE;
            return found;
        };
    }
"""


@pytest.mark.parametrize(("made", "said"), [("256 * Math.random()", True), ("found.data[k] ^ (k % 97 === 0)", False)])
def test_noise_in_place_of_pictures_is_said(browser: Browser, service: Served, made: str, said: bool) -> None:
    """Noise as Firefox gives it hides a face; some pixels that are off by one, as Brave has it, do not."""
    with page_with(browser, service, NOISE.replace("MADE", made)) as watched:
        page = watched.go_live()
        if said:
            expect(page.locator("#error")).to_contain_text("This browser gives noise instead of pictures")
        else:
            expect(page.locator("#error")).to_be_hidden()


def test_the_voice_is_asked_for_as_it_is_and_what_was_given_is_told(watched: Watched) -> None:
    page = watched.go_live()
    names = ("echoCancellation", "noiseSuppression", "autoGainControl")
    assert [page.evaluate("(name) => asked[0].audio[name]", name) for name in names] == [False] * 3
    page.click("#capture summary")
    words = ("echo cancelling", "noise suppression", "gain control")
    given = page.locator("#given")
    for name in words:
        expect(given).to_contain_text(f"{name}off")
    page.evaluate(
        """() => {
            const settings = MediaStreamTrack.prototype.getSettings;
            MediaStreamTrack.prototype.getSettings = function () {
                const { noiseSuppression, ...told } = settings.call(this);
                return { ...told, autoGainControl: false };
            };
        }"""
    )
    page.check("#processed")
    expect(given).to_contain_text("echo cancellingon")
    expect(given).to_contain_text("noise suppressionnot told by this browser")
    expect(given).to_contain_text("gain controloff, though this page asked otherwise")
    assert [page.evaluate("(name) => asked.at(-1).audio[name]", name) for name in names] == [True] * 3


def alter_steps(page: Page, change: Callable[[dict[str, Any], WebSocketRoute], None]) -> None:
    """Let the page see each step of the service as `change` leaves it; what that sends by itself comes before. Of
    utterances it hears from `change` alone.
    """

    def alter(line: WebSocketRoute) -> None:
        server = line.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            told = json.loads(message)
            if told["type"] == "step":
                change(told, line)
            if not told["type"].startswith("utterance"):
                line.send(json.dumps(told))

        server.on_message(pass_on)

    page.route_web_socket("**/stream", alter)


def test_until_enough_of_a_voice_was_heard_it_says_that_it_listens(watched: Watched) -> None:
    page = watched.page

    def listening(step: dict[str, Any], _: WebSocketRoute) -> None:
        step |= {"label": None, "present": {"face": False, "scene": False, "voice": True}}
        step["alone"] |= {"voice": None}

    alter_steps(page, listening)
    page.click("#go")
    expect(page.locator("#label")).to_have_text("listening…", timeout=PATIENCE)
    expect(page.locator("#unimodal")).to_contain_text("Voice: listening…")
    expect(page.locator("#announce")).to_have_text("Listening.")


def test_of_several_people_it_is_said_who_shows_what_and_utterances_are_marked(watched: Watched) -> None:
    """As a service that tells them apart answers; here a second person stands beside the drawn one."""
    page = watched.page

    def with_another(step: dict[str, Any], line: WebSocketRoute) -> None:
        if step["n"] == 4:
            line.send(json.dumps({"type": "utterance_start", "start": 0.3}))
        if step["n"] == 6:
            line.send(json.dumps({"type": "utterance", "start": 0.3, "end": 1.1, "label": "sad"}))
        sad = {emotion: 0.4 if emotion == "sad" else 0.1 for emotion in EMOTIONS}
        one = {"id": 1, "box": [0.1, 0.1, 0.3, 0.5], "label": "sad", "probabilities": sad}
        other = {**one, "id": 2, "label": step["label"], "probabilities": step["probabilities"]}
        step |= {"people": [one, other], "followed": 2, "more_people": 3}

    alter_steps(page, with_another)
    watched.go_live()
    people = page.locator("#people li")
    expect(people).to_have_count(3)
    expect(people.nth(0)).to_have_text("1☹ sad 40%")
    expect(people.nth(1)).to_have_text(re.compile(rf"^2. ({LABEL.pattern}) \d+%, followed$"))
    expect(people.nth(2)).to_have_text("and 3 more, who are not looked at")
    expect(page.locator("#figures")).to_contain_text("steps a second")
    page.wait_for_timeout(2000)
    row = steps_shown(page)[-1]
    assert row["followed"] == "2"
    assert re.fullmatch(rf"1:sad 2:({LABEL.pattern})", row["people"])
    page.focus("#track")
    page.keyboard.press("Home")
    expect(page.locator("#tip")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#track")).to_have_attribute("aria-valuetext", re.compile("what is said here: sad"))
    assert watched.complaints == []


def test_a_service_that_is_gone_before_the_start_is_said(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    with serve(write_model(tmp_path / "model"), tmp_path / "home") as served:
        page = Watched(context, served.url).page
    page.click("#go")
    expect(page.locator("#error")).to_contain_text("The service cannot be reached; trying again", timeout=PATIENCE)
    expect(page.locator("#status")).to_have_text("Not connected: nothing is recognised at present.")
    expect(page.locator("#status")).not_to_have_class("busy")
    expect(page.locator("#stop")).to_be_visible()
    context.close()


def test_a_page_that_cannot_ask_for_the_model_says_so(browser: Browser, service: Served) -> None:
    page = browser.new_context().new_page()
    page.route("**/model/info.json", lambda route: route.abort())
    page.goto(service.url)
    expect(page.locator("#error")).to_contain_text("The service cannot be reached. Load this page again")
    expect(page.locator("#go")).to_be_disabled()
    page.context.close()


@pytest.mark.parametrize("until", ["ready", "step"])
def test_a_line_that_was_cut_without_a_word_is_begun_anew(watched: Watched, until: str) -> None:
    """From a message of that kind on, the first connection carries nothing, and does not close."""
    page = watched.page
    lines: list[WebSocketRoute] = []

    def cut(line: WebSocketRoute) -> None:
        first, dead = not lines, []
        lines.append(line)
        server = line.connect_to_server()

        def carry(message: str | bytes) -> None:
            if first and (dead or json.loads(message)["type"] == until):
                dead.append(message)
            else:
                line.send(message)

        server.on_message(carry)

    page.route_web_socket("**/stream", cut)
    page.click("#go")
    expect(page.locator("#error")).to_contain_text("cannot be reached; trying again", timeout=PATIENCE)
    expect(page.locator("#label")).to_have_text(LABEL, timeout=PATIENCE)
    expect(page.locator("#error")).to_be_hidden()
    assert len(lines) == 2


def recode(clip: Path, to: Path, *how: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *how, to], check=True)
    return to


def test_a_clip_that_this_browser_cannot_play_is_said_and_can_be_looked_through(
    watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    clip = recode(drawn_clips()["happy"], tmp_path / "clip.flv", "-c:v", "flv1", "-ar", "22050")
    page.set_input_files("#file", clip)
    expect(page.locator("#unplayed")).to_contain_text("This browser cannot play this file", timeout=PATIENCE)
    expect(page.locator("#label")).to_have_text(LABEL)
    moment = page.get_by_label("Moment of the clip")
    moment.fill("1.4")
    assert page.evaluate("document.querySelector('#overlay').checkVisibility()") is False
    close(page)
    expect(moment).to_have_count(0)
    page.set_input_files("#file", drawn_clips()["happy"])
    expect(page.locator("#cliplabel")).to_contain_text("as a whole")
    expect(page.locator("#unplayed")).to_be_hidden()


def test_pictures_that_this_browser_cannot_decode_are_said(watched: Watched, tmp_path: Path) -> None:
    """HEVC, as iPhones film."""
    page = watched.page
    how = ("-c:v", "libx265", "-x265-params", "log-level=error", "-tag:v", "hvc1", "-pix_fmt", "yuv420p")
    for name in ("clip.mp4", "clip.mov", "clip.mkv"):
        clip = recode(drawn_clips()["happy"], tmp_path / name, *how, "-c:a", "aac")
        page.set_input_files("#file", clip)
        expect(page.locator("#cliplabel")).to_contain_text(f"{name}, as a whole", timeout=PATIENCE)
        expect(page.locator("#unplayed")).to_contain_text(re.compile("cannot (decode these pictures|play this file)"))
        close(page)


def test_on_this_device_what_cannot_be_decoded_is_refused_not_answered_without(
    watched: Watched, tmp_path: Path
) -> None:
    if not RUNTIME.is_dir():
        pytest.skip("the page's runtime is not installed (make page)")
    page, happy = watched.page, drawn_clips()["happy"]
    turn_on(page)
    hevc = (
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=error",
        "-tag:v",
        "hvc1",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
    )
    made = {
        recode(happy, tmp_path / "seen.mp4", *hevc): "cannot decode its pictures",
        recode(happy, tmp_path / "seen.mkv", *hevc): "cannot decode its pictures",
        recode(happy, tmp_path / "heard.mp4", "-c:v", "copy", "-c:a", "ac3"): "cannot decode its sound",
        recode(happy, tmp_path / "clip.flv", "-c:v", "flv1", "-ar", "22050"): "finds neither picture nor sound",
    }
    for clip, said in made.items():
        page.set_input_files("#file", clip)
        expect(page.locator("#error")).to_contain_text(f"{clip.name}: this browser {said}", timeout=PATIENCE)
        expect(page.locator("#error")).to_contain_text("turn “On this device” off")
