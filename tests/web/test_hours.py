"""Hours on the visitor's device, faster than they go by: what comes in bears the times of a session, not the clock's.

`PAGE_HOURS=2` makes them two; it takes about a seventh of that.
"""

import os

import pytest
from playwright.sync_api import Browser

from tests.serving import Served
from tests.web.test_device import RUNTIME
from tests.web.test_link import resident, used
from tests.web.test_page import Watched

HOURS = float(os.environ.get("PAGE_HOURS", "0.5"))
PARTS = 24

BEGIN = """async () => {
    const { Device, listParts } = await import("/device/client.js");
    const { VideoReader, decodeVoice } = await import("/runtime/media.js");
    const { Moments } = await import("/moments.js");
    const { Course } = await import("/course.js");
    const { Timeline } = await import("/timeline.js");
    const { View } = await import("/view.js");
    const info = await (await fetch("/model/info.json")).json();
    const clip = await (await fetch("/samples/happy.mp4")).blob();
    const voice = await decodeVoice(new File([clip], "happy.mp4"));
    const pictures = [];
    const reader = await VideoReader.open(URL.createObjectURL(clip));
    for await (const { still } of reader.frames(0.2, new AbortController().signal)) {
        pictures.push(await createImageBitmap(still));
        still.close();
    }
    reader.close();
    document.body.dataset.state = "live";
    document.querySelector("#view").hidden = false;
    const at = (id) => document.getElementById(id);
    const [view, timeline] = [new View(at, info), new Timeline(at, () => {})];
    const [moments, course] = [new Moments(info, false), new Course(info.input.step_s)];
    const device = await Device.open(info, await listParts(), () => {});
    const hours = { last: 0, pieces: 0, troubles: [], faces: 0, voices: 0 };
    timeline.show(course, true);
    device.session = { on: {
        step: (step) => {
            hours.last = step.t;
            hours.faces += step.present.face;
            hours.voices += step.present.voice;
            const moment = moments.next(step);
            course.push(moment);
            timeline.draw();
            view.show(moment, pictures[0], pictures[0]);
        },
        trouble: (message) => hours.troubles.push(message.message ?? message.type),
    } };
    await device.ask("open", { media: { video: true, audio: true } });
    hours.goOn = async (seconds) => {
        for (const until = hours.pieces + 10 * seconds; hours.pieces < until; hours.pieces += 1) {
            const t = hours.pieces / 10, from = (1600 * hours.pieces) % (voice.length - 1600);
            const picture = pictures[Math.floor(hours.pieces / 2) % pictures.length];
            const still = new VideoFrame(picture, { timestamp: 1e6 * t });
            await device.ask("pushFrame", { still, t }, [still]);
            const pcm = voice.slice(from, from + 1600).buffer;
            await device.ask("pushVoice", { pcm, t }, [pcm]);
            while (hours.last < t - 0.4) await new Promise((done) => setTimeout(done));
        }
    };
    Object.assign(window, { hours });
}"""


@pytest.mark.slow
@pytest.mark.skipif(not RUNTIME.is_dir(), reason="the page's runtime is not installed (make page)")
def test_in_hours_on_this_device_the_page_does_not_grow(browser: Browser, service: Served) -> None:
    context = browser.new_context()
    page = Watched(context, service.url).page
    page.evaluate(BEGIN)
    tools = context.new_cdp_session(page)
    tools.send("Performance.enable")
    page.evaluate("hours.goOn(120)")  # the chart shows a minute
    samples = []
    for _ in range(PARTS):
        page.evaluate("(seconds) => hours.goOn(seconds)", round(3600 * HOURS / PARTS))
        samples.append((*used(tools), resident(browser)))
        print("kB, nodes, MB:", *samples[-1], flush=True)
    found = page.evaluate("hours")
    assert found["troubles"] == []
    assert found["last"] >= 3600 * HOURS
    assert min(found["faces"], found["voices"]) > found["last"]  # of five steps a second, so not always nothing
    third = PARTS // 3
    kilobytes, nodes, megabytes = zip(*samples, strict=True)
    assert max(kilobytes[-third:]) < max(kilobytes[:third]) + 512
    assert max(nodes[-third:]) <= max(nodes[:third]) + 50
    assert max(megabytes[-third:]) < max(megabytes[:third]) + 25
    context.close()
