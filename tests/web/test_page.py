"""The page in a real browser, against the real service; the camera and the microphone play a drawn clip."""

import base64
import csv
import itertools
import mimetypes
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, JSHandle, Page, expect

from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES
from mmer.runtime.results import Person, Step, softmax
from mmer.runtime.smoothing import Smoothers
from tests.graphs import drawn_clips, write_model
from tests.serving import Served, serve
from tests.web.conftest import Open

PATIENCE = 60_000  # milliseconds; a bound, not a claim
LABEL = re.compile("|".join(EMOTIONS))


class Watched:
    """A page, and what it asked for and complained of."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page = page = context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(url)
        expect(page.locator("#go")).to_be_attached()
        expect(page.locator("#model dt").first).to_be_attached()

    def go_live(self) -> Page:
        self.page.click("#go")
        expect(self.page.locator("#label")).to_have_text(LABEL, timeout=PATIENCE)
        return self.page


@pytest.fixture
def watched(browser: Browser, service: Served) -> Iterator[Watched]:
    context = browser.new_context(accept_downloads=True)
    yield Watched(context, service.url)
    context.close()


def held(page: Page, *paths: Path) -> JSHandle:
    """Files as the page is given them (a DataTransfer)."""
    return page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [data, name, type] of files) {
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type }));
            }
            return transfer;
        }""",
        [
            [base64.b64encode(path.read_bytes()).decode(), path.name, mimetypes.guess_type(path.name)[0] or ""]
            for path in paths
        ],
    )


def drop(page: Page, *paths: Path) -> None:
    """Drop files onto the field, as a mouse would."""
    files = held(page, *paths)
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", kind, {"dataTransfer": files})


def close(page: Page) -> None:
    """Close, and discard what was recognised."""
    page.click("#stop")
    page.click("#discard")


def shares(page: Page) -> list[float]:
    """What the bars say."""
    return [float(text.rstrip("%")) for text in page.locator("#bars .share").all_inner_texts()]


def steps_shown(page: Page) -> list[dict[str, str]]:
    """What the page's table holds."""
    with page.expect_download() as table:
        page.click("#csv")
    return list(csv.DictReader(table.value.path().read_text().splitlines()))


def test_camera_and_microphone_are_recognised_live(watched: Watched) -> None:
    page = watched.go_live()
    expect(page.locator("#status")).to_have_text("Live.")
    expect(page.locator("#figures")).to_contain_text(
        re.compile(r"\d+ ms from capture to paint · [3-6]\.\d steps a second")
    )
    expect(page.locator("#unimodal")).to_contain_text("Face")
    expect(page.locator("#dimensions")).to_contain_text(re.compile(r"Valence: [+−]0\.\d\d"))
    assert sum(shares(page)) == pytest.approx(100, abs=4)
    box = page.evaluate(
        "document.querySelector('#overlay').getContext('2d').getImageData(0, 0, 640, 480).data.some(v => v)"
    )
    face = page.evaluate(
        "document.querySelector('#crop').getContext('2d').getImageData(0, 0, 96, 96).data.some(v => v)"
    )
    assert (box, face) == (True, True)
    expect(page.locator("#unimodal")).to_contain_text(
        re.compile("Voice: . (" + "|".join(EMOTIONS) + ")"), timeout=PATIENCE
    )
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith((watched.url, "blob:"))] == []


def test_pause_sends_nothing_and_going_on_goes_on(watched: Watched) -> None:
    page = watched.go_live()
    page.click("#pause")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    before = page.locator("#figures").inner_text()
    page.wait_for_timeout(1200)
    assert page.locator("#figures").inner_text() == before
    page.click("#pause")
    expect(page.locator("#figures")).not_to_have_text(before, timeout=PATIENCE)
    assert watched.complaints == []


def test_my_neutral_face_is_kept_in_this_tab_until_it_is_told_to_be_forgotten(watched: Watched) -> None:
    page = watched.go_live()
    page.click("#neutral")
    expect(page.locator("#status")).to_contain_text("as you are at rest")
    expect(page.locator("#neutral")).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    expect(page.locator("#status")).to_have_text("Calibrated: what you are like at rest is taken off.")
    kept = set(page.evaluate("JSON.parse(sessionStorage.calibration).rest"))
    assert kept, "on a busy machine perhaps not each modality was there for a second"
    assert kept <= set(MODALITIES)
    page.reload()
    watched.go_live()
    expect(page.locator("#neutral")).to_have_attribute("aria-pressed", "true")
    page.evaluate(
        "sessionStorage.calibration = JSON.stringify({ ...JSON.parse(sessionStorage.calibration), model: 'x' })"
    )
    page.reload()
    watched.go_live()
    expect(page.locator("#neutral")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#status")).to_contain_text("it is of another model, x")
    page.click("#neutral")
    expect(page.locator("#neutral")).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    page.click("#neutral")
    expect(page.locator("#neutral")).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("sessionStorage.calibration") is None
    assert watched.complaints == []


@pytest.mark.slow
def test_a_long_pause_does_not_end_the_session(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Longer than the service waits for one who says nothing; and what was left out meanwhile is no complaint."""
    model, home = write_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("home")
    with serve(model, home, MMER_IDLE_S="12") as served:
        context = browser.new_context()
        watched = Watched(context, served.url)
        sockets: list[str] = []
        watched.page.on("websocket", lambda opened: sockets.append(opened.url))
        page = watched.go_live()
        page.click("#pause")
        page.wait_for_timeout(15_000)
        expect(page.locator("#status")).to_have_text("Paused: nothing is looked at.")
        before = page.locator("#figures").inner_text()
        page.click("#pause")
        expect(page.locator("#figures")).not_to_have_text(before)
        expect(page.locator("#status")).to_have_text("Live.")
        expect(page.locator("#error")).to_be_hidden()
        assert len(sockets) == 1
        context.close()


def test_the_timeline_can_be_taken_away_as_a_table_and_a_picture(watched: Watched, tmp_path: Path) -> None:
    page = watched.go_live()
    page.wait_for_timeout(1500)
    rows = steps_shown(page)
    assert len(rows) >= 5
    assert all(-1 <= float(rows[-1][name]) <= 1 for name in DIMENSIONS)
    assert float(rows[1]["t"]) - float(rows[0]["t"]) == pytest.approx(0.2)
    assert sum(float(rows[0][emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-3)
    with page.expect_download() as picture:
        page.click("#png")
    picture.value.save_as(tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_valence_and_arousal_are_smoothed_and_stand_for_a_while(watched: Watched) -> None:
    shown = watched.page.evaluate(
        """async () => {
            const { Moments } = await import("/moments.js");
            const moments = new Moments({ input: { step_s: 0.2 }, shown: null }, false);
            const step = { t: 0, label: null, probabilities: {}, alone: {}, present: {}, people: [], followed: 1 };
            const push = (valence) => moments.next({ ...step, valence }).affect;
            return [push(0.5), push(-0.5), ...Array.from({ length: 11 }, () => push(null)), moments.next(step).affect];
        }"""
    )
    first, second, *silent, without = (one.get("valence", "no") for one in shown)
    assert first == 0.5
    assert 0.2 < second < 0.5
    assert silent == [second] * 10 + [None]
    assert without == "no"


def test_the_label_is_always_the_longest_bar(watched: Watched) -> None:
    page = watched.page
    page.set_input_files("#file", drawn_clips()["happy"])
    expect(page.locator("#cliplabel")).to_contain_text(LABEL)
    rows = [row for row in steps_shown(page) if row["label"]]
    assert len(rows) > 5
    for row in rows:
        assert float(row[row["label"]]) == max(float(row[emotion]) for emotion in EMOTIONS)
        assert sum(float(row[emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-3)
    name = page.locator("#bars dt.leads").inner_text()
    assert page.locator("#label").inner_text() == name
    alone = {f"{modality}_{emotion}" for modality in MODALITIES for emotion in EMOTIONS}
    assert alone <= rows[-1].keys()
    assert sum(float(rows[-1][f"face_{emotion}"]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-3)


MOMENTS = """async (steps) => {
    const { Moments } = await import("/moments.js");
    const moments = new Moments(await (await fetch("/model/info.json")).json(), true);
    return steps.map((step) => moments.next(step)).map(({ label, people }) => [label, people.map((one) => one.label)]);
}"""


def test_a_clip_is_smoothed_as_a_stream_is_each_person_alone(watched: Watched) -> None:
    """Two come one after the other, take turns in being followed, and are gone for a while."""
    rng = np.random.default_rng(0)
    box = (0.1, 0.1, 0.3, 0.5)
    steps, smoothers, expected = [], Smoothers(0.2), []
    for k in range(60):
        said = [softmax(3 * rng.normal(size=7).astype(np.float32)) for _ in range(2)]
        there = [k >= 5, k >= 12 and not 30 < k < 45]
        people = [Person(n + 1, box, None, said[n], 0.9) for n in (0, 1) if there[n]]
        followed = None if k < 5 else 2 if there[1] and k % 20 > 13 else 1
        present = {"face": bool(people), "scene": False, "voice": k % 7 > 1}
        step = Step(0.2 * (k + 1), said[(followed or 1) - 1], None, {}, None, present, -30.0, 1.0, people, followed, 0)
        steps.append(step.to_json())
        shown = smoothers.push(step)
        expected.append([shown.label, [one.label for one in shown.people]])
    assert watched.page.evaluate(MOMENTS, steps) == expected
    assert len({str(row) for row in expected}) > 5


COURSE = """async (steps) => {
    const { Course } = await import("/course.js");
    const { toPng } = await import("/picture.js");
    const { EMOTIONS } = await import("/runtime/constants.js");
    const course = new Course(0.2);
    for (let k = 1; k <= steps; k += 1) {
        const said = k % 10 ? EMOTIONS[Math.floor(k / 500) % 7] : "listening";
        const probabilities = Object.fromEntries(EMOTIONS.map((e) => [e, e === said ? 0.7 : 0.05]));
        const alone = { face: probabilities, voice: null };
        const present = { face: true, scene: false, voice: false };
        const where = { box: null, people: [], affect: {} };
        course.push({ t: k * 0.2, said, probabilities, alone, present, voice_dbfs: -40, ...where });
    }
    const picture = await toPng(course, { title: "a", about: "b", foot: "c", lines: true }, () => "#888");
    const places = [0, 0.2, 0.25, 3.4, 1e9].map((t) => course.find(t));
    return [await course.toCsv({ modalities: ["face", "voice"] }).text(), picture.size, course.spent().length, places];
}"""


def test_the_table_is_of_the_whole_session_with_each_modality_by_itself(watched: Watched) -> None:
    """Of an hour, which the page keeps as numbers."""
    steps = 18_000
    table, picture, kinds, places = watched.page.evaluate(COURSE, steps)
    rows = list(csv.DictReader(table.splitlines()))
    assert [float(row["t"]) for row in rows] == pytest.approx([0.2 * k for k in range(1, steps + 1)])
    assert [rows[k]["label"] for k in (0, 9, 600)] == ["neutral", "", "happy"]
    assert (rows[0]["neutral"], rows[0]["face_neutral"], rows[0]["voice_neutral"]) == ("0.7", "0.7", "")
    assert "scene_neutral" not in rows[0]
    assert picture > 10_000
    assert kinds == len(EMOTIONS) + 1
    assert places == [0, 0, 1, 16, steps - 1]


def test_a_click_or_a_key_on_the_chart_leads_to_that_moment(watched: Watched) -> None:
    page = watched.page
    page.set_input_files("#file", drawn_clips()["happy"])
    expect(page.locator("#cliplabel")).to_contain_text(LABEL)
    page.wait_for_function("() => !document.querySelector('#player').paused")
    page.evaluate("() => document.querySelector('#player').pause()")
    track = page.locator("#track")
    box = track.bounding_box()
    assert box is not None
    track.hover(position={"x": box["width"] / 2, "y": 60})
    expect(page.locator("#tip")).to_have_text(re.compile(rf"^1\.\d s: . ({LABEL.pattern}) \d+%, then"))
    track.click(position={"x": box["width"] / 2, "y": 60})
    expect(page.locator("#when")).to_have_text(re.compile(r"at 1\.\d s"))
    before = float(page.locator("#when").inner_text()[3:6])
    track.press("ArrowLeft")
    expect(page.locator("#when")).to_have_text(f"at {before - 0.2:.1f} s")
    expect(track).to_have_attribute("aria-valuetext", re.compile(rf"^{before - 0.2:.1f} s: . "))
    track.press("Home")
    expect(page.locator("#when")).to_have_text("at 0.2 s")


def test_without_permission_it_says_what_to_do(open_browser: Open, service: Served) -> None:
    with open_browser("--deny-permission-prompts") as browser:
        watched = Watched(browser.new_context(), service.url)
        watched.page.click("#go")
        expect(watched.page.locator("#error")).to_contain_text("was not allowed", timeout=PATIENCE)
        expect(watched.page.locator("#go")).to_be_enabled()
        watched.page.set_input_files("#file", drawn_clips()["sad"])  # and a clip still works
        expect(watched.page.locator("#label")).to_have_text(LABEL)


ONLY = """() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (wanted) =>
        wanted.KIND ? Promise.reject(new DOMException("none", "NotFoundError")) : real(wanted);
}"""


@pytest.mark.parametrize(("kind", "told"), [("video", "Face: no camera"), ("audio", "Voice: no microphone")])
def test_one_of_the_two_is_enough(watched: Watched, kind: str, told: str) -> None:
    """The browser has both; this page is told that one is not there, as the browser would tell it."""
    page = watched.page
    page.evaluate(ONLY.replace("KIND", kind))
    page.click("#go")
    expect(page.locator("#unimodal")).to_contain_text(told)
    expect(page.locator("#view")).to_be_visible()
    expect(page.locator("#label")).to_have_text(LABEL)
    expect(page.locator("#status")).to_have_text("Live.")
    name = {"video": "camera", "audio": "microphone"}[kind]
    expect(page.locator("#error")).to_have_text(f"The {name} was not found: plug one in.")  # and it stays told


def test_a_camera_that_is_lost_is_told_and_the_voice_goes_on(watched: Watched) -> None:
    page = watched.go_live()
    page.evaluate(
        """() => {
            const [track] = document.querySelector('#video').srcObject.getVideoTracks();
            track.stop();
            track.dispatchEvent(new Event('ended'));  // what the browser does when it is unplugged
        }"""
    )
    expect(page.locator("#error")).to_contain_text("The camera is gone; going on without it.")
    expect(page.locator("#unimodal")).to_contain_text("Face: no camera", timeout=PATIENCE)
    expect(page.locator("#unimodal")).to_contain_text(re.compile("Voice: . "), timeout=PATIENCE)


def test_after_a_restart_of_the_service_it_goes_on_by_itself(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = write_model(tmp_path_factory.mktemp("model"))
    context = browser.new_context()
    with serve(model, tmp_path_factory.mktemp("home")) as served:
        watched = Watched(context, served.url)
        page = watched.go_live()
        expect(page.locator("#old")).to_be_hidden()
        before = steps_shown(page)
    expect(page.locator("#error")).to_contain_text("cannot be reached; trying again", timeout=PATIENCE)
    expect(page.locator("#old")).to_have_text("Old: nothing new comes in.")
    expect(page.locator("#status")).to_have_text("Not connected: nothing is recognised at present.")
    port = served.url.rpartition(":")[2]
    with serve(model, tmp_path_factory.mktemp("home2"), port=int(port)):
        expect(page.locator("#status")).to_have_text("Live.", timeout=PATIENCE)
        expect(page.locator("#error")).to_be_hidden(timeout=PATIENCE)
        expect(page.locator("#old")).to_be_hidden(timeout=PATIENCE)
        figures = page.locator("#figures").inner_text()  # are told anew every so many steps
        expect(page.locator("#figures")).not_to_have_text(figures, timeout=PATIENCE)
        after = steps_shown(page)
    assert after[: len(before)] == before  # less than a minute has gone
    times = [float(row["t"]) for row in after]
    assert len(times) > len(before)
    assert times == sorted(set(times))
    context.close()


def test_a_dropped_clip_is_recognised_and_played(watched: Watched) -> None:
    page, clip = watched.page, drawn_clips()["happy"]
    drop(page, clip)
    expect(page.locator("#view")).to_be_visible()
    expect(page.locator("#cliplabel")).to_contain_text(f"{clip.name}, as a whole: ")
    expect(page.locator("#label")).to_have_text(LABEL)
    expect(page.locator("#status")).to_have_text(re.compile(f"{clip.name}: ({LABEL.pattern})"))
    assert sum(shares(page)) == pytest.approx(100, abs=4)
    expect(page.locator("#drawings")).to_be_visible()
    page.evaluate(
        """() => new Promise((done) => {
            const player = document.querySelector('#player');
            player.addEventListener('seeked', done);
            player.currentTime = 1.5;
        })"""
    )
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith((watched.url, "blob:"))] == []
    close(page)
    expect(page.locator("#go")).to_be_visible()


@pytest.mark.parametrize("name", ["happy", "surprise", "angry", "changing"])
def test_a_sample_can_be_watched(watched: Watched, name: str) -> None:
    watched.page.click(f"[data-sample={name}]")
    expect(watched.page.locator("#cliplabel")).to_contain_text(f"{name}.mp4, as a whole")
    expect(watched.page.locator("#missing")).to_be_empty()
    assert watched.complaints == []


def test_of_an_image_the_face_is_shown(watched: Watched, tmp_path: Path) -> None:
    image = tmp_path / "face.png"
    subprocess.run(["ffmpeg", "-v", "error", "-i", drawn_clips()["happy"], "-frames:v", "1", image], check=True)
    watched.page.set_input_files("#file", image)
    expect(watched.page.locator("#cliplabel")).to_contain_text("face.png, as a whole")
    watched.page.wait_for_function(
        "() => document.querySelector('#crop').getContext('2d').getImageData(0, 0, 96, 96).data.some((v) => v)"
    )
    assert watched.complaints == []


def test_of_several_dropped_files_none_is_ignored_and_each_can_be_opened_again(
    watched: Watched, tmp_path: Path
) -> None:
    page, drawn = watched.page, drawn_clips()
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all, this is a letter.")
    drop(page, drawn["happy"], letter, drawn["sad"])
    expect(page.locator("#cliplabel")).to_contain_text(drawn["happy"].name)
    expect(page.locator("#status")).to_have_text("All 3 clips were looked at.")
    rows = page.locator("#clips li")
    expect(rows).to_have_count(3)
    answer = re.compile(rf". ({LABEL.pattern}) \d+%")
    for k in (0, 2):
        expect(rows.nth(k)).to_contain_text(answer)
    expect(rows.nth(1)).to_have_attribute("data-state", "failed")
    expect(page.locator("#error")).to_contain_text("letter.txt")
    for k, name in ((2, "sad"), (0, "happy")):
        rows.nth(k).locator(".open").click()
        expect(page.locator("#cliplabel")).to_contain_text(f"{drawn[name].name}, as a whole")
        expect(rows.nth(k).locator(".open")).to_have_attribute("aria-current", "true")
    page.set_input_files("#morefiles", drawn["angry"])
    expect(page.locator("#cliplabel")).to_contain_text(drawn["angry"].name)
    rows.nth(3).locator(".remove").click()
    expect(page.locator("#cliplabel")).to_contain_text(drawn["happy"].name)
    page.click("#stop")
    expect(page.locator("#leaving")).to_have_text("Discard the answers of 2 clips? Nothing is kept anywhere else.")
    page.click("#keep")
    expect(page.locator("#view")).to_be_visible()
    close(page)
    expect(page.locator("#go")).to_be_visible()
    expect(rows).to_have_count(0)


def test_a_clip_that_is_dropped_onto_a_session_asks_before_it_takes_its_place(watched: Watched) -> None:
    page = watched.go_live()
    drop(page, drawn_clips()["happy"])
    expect(page.locator("#leaving")).to_contain_text(re.compile(r"Discard \d+ s of this session\?"))
    page.click("#keep")
    expect(page.locator("#status")).to_have_text("Live.")
    drop(page, drawn_clips()["happy"])
    page.click("#discard")
    expect(page.locator("#cliplabel")).to_contain_text("as a whole")


def test_a_clip_that_comes_while_the_answer_is_on_its_way_is_not_lost(watched: Watched) -> None:
    page = watched.go_live()
    page.click("#stop")
    page.evaluate(
        """(files) => {
            document.querySelector("#discard").click();
            const field = document.querySelector("#file");
            field.files = files.files;
            field.dispatchEvent(new Event("change"));
        }""",
        held(page, drawn_clips()["happy"]),
    )
    expect(page.locator("#cliplabel")).to_contain_text("as a whole", timeout=PATIENCE)
    expect(page.locator("#leave")).to_be_hidden()


def test_a_question_is_put_again_after_escape(watched: Watched) -> None:
    page = watched.go_live()
    page.click("#stop")
    page.keyboard.press("Escape")
    expect(page.locator("#view")).to_be_visible()
    close(page)
    expect(page.locator("#go")).to_be_visible()


def test_a_clip_without_a_voice_says_so(watched: Watched) -> None:
    watched.page.set_input_files("#file", drawn_clips()["angry"])
    expect(watched.page.locator("#missing")).to_have_text("No voice was heard.")
    assert watched.complaints == []


def test_a_text_file_is_refused_with_what_to_do_and_the_next_clip_works(watched: Watched, tmp_path: Path) -> None:
    page, letter = watched.page, tmp_path / "letter.txt"
    letter.write_text("Dear all, this is a letter.")
    page.set_input_files("#file", letter)
    expect(page.locator("#error")).to_contain_text("letter.txt")
    expect(page.locator("#error")).to_contain_text("Send a video, a sound or an image")
    expect(page.locator("#view")).to_be_hidden()
    expect(page.locator("#status")).not_to_have_class("busy")
    page.set_input_files("#file", drawn_clips()["sad"])
    expect(page.locator("#view")).to_be_visible()
    expect(page.locator("#error")).to_be_hidden()


def test_a_service_that_is_gone_is_told(watched: Watched) -> None:
    watched.page.route("**/predict", lambda route: route.abort())
    watched.page.set_input_files("#file", drawn_clips()["sad"])
    expect(watched.page.locator("#error")).to_contain_text("cannot be reached")


def test_where_a_key_is_wanted_the_page_asks_for_it(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    with serve(write_model(tmp_path_factory.mktemp("model")), home, MMER_KEY="open-sesame") as served:
        context = browser.new_context()
        page = Watched(context, served.url).page
        page.click("#go")
        expect(page.locator("#keyfield")).to_be_visible()
        expect(page.locator("#error")).to_contain_text("the API key is missing or wrong")
        page.reload()
        page.click("[data-sample=happy]")
        expect(page.locator("#keyfield")).to_be_visible()
        page.fill("#key", "open-sesame")
        page.click("[data-sample=happy]")
        expect(page.locator("#cliplabel")).to_contain_text("happy.mp4")
        close(page)
        page.click("#go")
        expect(page.locator("#label")).to_have_text(LABEL)
        context.close()


def test_the_page_says_what_it_is_not_for_before_anything_is_asked(watched: Watched) -> None:
    notice = watched.page.locator("aside")
    for words in (
        "Not at work, not in education",
        "AI Act, Article 5",
        "acted emotions are not felt",
        "Nothing is stored",
    ):
        expect(notice).to_contain_text(words)


def test_the_page_leads_to_the_api_the_protocol_and_a_card_where_there_is_one(watched: Watched) -> None:
    page = watched.page
    page.click("#about summary")
    links = page.locator("#about a").evaluate_all("links => links.map((link) => link.href)")
    assert [link.rpartition("/")[2] for link in links] == ["card", "docs", "protocol"]
    expect(page.locator("#card")).to_be_hidden()  # this model has none
    page.goto(links[1])
    expect(page.locator("#api")).to_contain_text("Recognise the emotion in a file", timeout=PATIENCE)
    assert "<h1>The stream protocol" in page.request.get(links[2]).text()
    assert watched.complaints == []


def test_the_page_can_be_used_by_keyboard(watched: Watched) -> None:
    page = watched.page
    visited = []
    for _ in range(5):
        page.keyboard.press("Tab")
        visited.append(page.evaluate("document.activeElement.id || document.activeElement.dataset.sample"))
    assert visited == ["go", "file", "happy", "surprise", "angry"]
    page.focus("#go")
    page.keyboard.press("Enter")
    expect(page.locator("#label")).to_have_text(LABEL)
    page.focus("#pause")
    page.keyboard.press("Space")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    names = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, canvas[role=img], meter')]
            .filter((e) => e.checkVisibility())
            .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
            .map((e) => e.outerHTML)"""
    )
    assert names == [], "each has a name for a screen reader"


def contrast(page: Page, selector: str) -> float:
    """WCAG's ratio of an element's ink to what is behind it."""
    ratio: float = page.evaluate(
        """(selector) => {
            const element = document.querySelector(selector);
            const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map((v) => v / 255)
                .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
                .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
            let behind = element;
            const ground = () => getComputedStyle(behind).backgroundColor;
            while (/rgba\\(.*, 0\\)|transparent/.test(ground())) behind = behind.parentElement;
            const [a, b] = [getComputedStyle(element).color, ground()].map(light);
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }""",
        selector,
    )
    return ratio


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_the_window_and_can_be_read_in_light_and_dark(watched: Watched, scheme: str, width: int) -> None:
    page = watched.page
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    for selector in ("#go", "aside p", "#samples", "summary", "#drop b"):
        assert contrast(page, selector) >= 4.5, selector
    page.set_input_files("#file", drawn_clips()["happy"])
    expect(page.locator("#view")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in ("#label", "#bars dt", "#bars .share", "#unimodal li", "figcaption", "#stop", "h3"):
        assert contrast(page, selector) >= 4.5, selector
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (brightness > 128) == (scheme == "light")


def test_it_is_small(watched: Watched) -> None:
    """Before anything is chosen: all that the page asked for."""
    sizes = "performance.getEntriesByType('resource').reduce((sum, e) => sum + e.encodedBodySize, 0)"
    assert 20_000 < watched.page.evaluate(sizes) < 80_000


def test_the_voice_is_the_same_at_any_rate_of_the_browser(browser: Browser, service: Served) -> None:
    """A tone of 440 Hz keeps its pitch and level through the resampler, at every rate that browsers have."""
    context = browser.new_context()
    page = Watched(context, service.url).page
    for rate in (8000, 16000, 22050, 44100, 48000, 96000):
        heard = page.evaluate(
            """async (rate) => {
                const context = new OfflineAudioContext(1, rate, rate);
                await context.audioWorklet.addModule("resampler.js");
                const tone = new OscillatorNode(context, { frequency: 440 });
                const node = new AudioWorkletNode(context, "resampler", { numberOfOutputs: 1 });
                const pieces = [];
                node.port.onmessage = ({ data }) => pieces.push(...new Int16Array(data));
                tone.connect(node).connect(context.destination);
                tone.start();
                await context.startRendering();
                await new Promise((done) => setTimeout(done, 100));
                return pieces;
            }""",
            rate,
        )
        assert 14_400 <= len(heard) <= 16_000, rate
        middle = heard[2000:10_000]
        crossings = sum(a < 0 <= b for a, b in itertools.pairwise(middle))
        assert crossings == pytest.approx(220, abs=2), rate
        assert max(middle) > 0.97 * 32767, rate
    context.close()
