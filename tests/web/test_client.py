"""The client that pages of others import from the service: files and live sessions, from an origin that is allowed."""

import base64
import contextlib
import functools
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mmer.labels import EMOTIONS
from mmer.runtime.recognizer import Recognizer
from tests.graphs import drawn_clips, write_model
from tests.serving import ROOT, serve
from tests.web.test_page import PATIENCE

PAGE = "<!doctype html><title>Another page</title><video id=video muted></video>"
USE = """async ([service, clip, rest]) => {
    const { Camera, Connection, Microphone, modelInfo, predict } = await import(`${service}/client.js`);
    const bytes = Uint8Array.from(atob(clip), (c) => c.charCodeAt(0));
    const file = new File([bytes], "clip.mp4");
    const answer = await predict(file, AbortSignal.timeout(60_000));
    const { calibrated } = await predict(file, AbortSignal.timeout(60_000), undefined, rest);
    const { id } = await modelInfo();
    const seen = { steps: [], utterances: [], summaries: [], ready: 0, trouble: [] };
    const watched = document.querySelector("video");
    const session = (hello) => new Promise((done) => {
        const devices = navigator.mediaDevices.getUserMedia({ video: true, audio: true });
        const connection = new Connection({ video: true, audio: true, ...hello }, {
            ready: async () => {
                seen.ready += 1;
                const tracks = (await devices).getTracks();
                const of = (kind) => tracks.find((track) => track.kind === kind);
                new Camera(of("video"), watched, connection.takes, (jpeg, at) => connection.sendPicture(jpeg, at));
                new Microphone(of("audio"), (pcm, at) => connection.sendVoice(pcm, at), console.warn);
            },
            step: (step) => seen.steps.push(step),
            utterance: (utterance) => seen.utterances.push(utterance),
            summary: (summary) => { seen.summaries.push(summary); connection.close(); done(); },
            trouble: (trouble) => seen.trouble.push(trouble),
        });
        if (!hello.interval_s) {
            const timer = setInterval(() => {
                if (seen.utterances.length < 2) return;
                clearInterval(timer);
                connection.close();
                done();
            }, 100);
        }
    });
    await session({});
    await session({ interval_s: 0.6 });
    return { answer, calibrated, id, ...seen };
}"""


@contextlib.contextmanager
def elsewhere(folder: Path) -> Iterator[str]:
    """The origin of a page that is none of the service's."""
    (folder / "index.html").write_text(PAGE)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_page_of_another_origin_uses_the_client(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    model, folder = write_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("page")
    with (
        elsewhere(folder) as allowed,
        elsewhere(folder) as stranger,
        serve(model, tmp_path_factory.mktemp("home"), MMER_ORIGINS=allowed) as served,
    ):
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(allowed)
        clip = drawn_clips()["happy"]
        rest = Recognizer.load(model).calibrate(clip).model_dump()
        told = page.evaluate(USE, [served.url, base64.b64encode(clip.read_bytes()).decode(), rest])
        page.goto(stranger)
        refused = page.evaluate("(url) => import(`${url}/client.js`).catch(() => 'refused')", served.url)
        context.close()
    assert told["answer"]["label"] in EMOTIONS
    assert told["answer"]["model"]["id"] == told["id"]
    assert (told["answer"]["calibrated"], told["calibrated"]) == (False, True)
    assert told["ready"] == 2
    assert len(told["steps"]) > 2
    assert {one["type"] for one in told["utterances"]} == {"utterance_start", "utterance"}
    assert told["summaries"][0]["end"] == pytest.approx(0.6)
    assert {one["type"] for one in told["trouble"]} <= {"dropped"}, "a busy machine is no failure"
    assert refused == "refused"


TYPED = """import { Connection, predict } from "https://emotions.example/client.js";
const { label, utterances } = await predict(new File([], "clip.mp4"), AbortSignal.timeout(60_000));
const said: string | null = label;
const step = ({ t }: { t: number }) => console.log(t.toFixed(1), said, utterances);
new Connection({ video: true, audio: false }, { step });
// @ts-expect-error without what will be sent
new Connection({ video: true });
// @ts-expect-error no event of this name
new Connection({ video: true, audio: false }, { steps: () => {} });
"""
TSC = ROOT / "web" / "node_modules" / "typescript" / "bin" / "tsc"


@pytest.mark.skipif(not TSC.is_file(), reason="TypeScript is not installed (make page)")
def test_a_program_in_typescript_has_its_types_from_the_jsdoc(tmp_path: Path) -> None:
    written = [TSC, "-p", ROOT / "web" / "types.json", "--outDir", tmp_path / "types"]
    subprocess.run(written, check=True)
    config = json.loads((ROOT / "web" / "jsconfig.json").read_text())
    config["compilerOptions"] |= {"paths": {"https://emotions.example/client.js": ["./types/client.d.ts"]}}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config | {"include": ["*.ts"]}))
    (tmp_path / "use.ts").write_text(TYPED)
    told = subprocess.run([TSC, "-p", tmp_path], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
