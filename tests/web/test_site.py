"""What the page offers where its runtime was not installed, in a real browser."""

import gzip
import re
import shutil
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mmer.runtime.graph import GRAPH, SMALL_GRAPH, Graph
from mmer.serving.site import RUNTIME, site_routes
from tests.serving import ROOT, Served
from tests.web.test_page import Watched


def offered(web: Path, model: Path, graph: str = GRAPH) -> dict[str, int]:
    """What a page is told to fetch, and its bytes."""
    client = TestClient(Starlette(routes=list(site_routes(web, model, partial(Graph, model / graph)))))
    parts = {part["url"]: part["bytes"] for part in client.get("/device/parts.json").json()}
    for url, size in parts.items():
        assert len(client.get(f"/{url}").content) == size
    for tool in ("eslint.config.mjs", "package.json"):
        assert client.get(f"/{tool}").status_code == 404
    return parts


def test_the_parts_are_offered_whole_or_not_at_all(tmp_path: Path) -> None:
    web, model = tmp_path / "web", ROOT / "release"
    shutil.copytree(ROOT / "web", web, ignore=shutil.ignore_patterns("node_modules"))
    assert offered(web, model) == {}
    runtime = web / "node_modules" / "onnxruntime-web" / "dist"
    runtime.mkdir(parents=True)
    (runtime / RUNTIME[0]).write_text("export {};")
    assert offered(web, model) == {}
    (runtime / RUNTIME[1]).write_bytes(b"\0asm")
    nets = {f"model/detector/{name}.onnx" for name in ("pnet", "rnet", "onet")}
    graphs, rest = {"model/mmer.onnx", "model/mmer.int8.onnx"}, {*nets, *(f"ort/{name}" for name in RUNTIME)}
    assert offered(web, model).keys() == graphs | rest
    small = offered(web, model, SMALL_GRAPH)  # the page's is the one that the service runs
    assert small.keys() == {"model/mmer.onnx"} | rest
    assert small["model/mmer.onnx"] == (model / SMALL_GRAPH).stat().st_size


def test_the_graph_of_int8_weights_is_offered_only_where_there_is_one(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ROOT / "release", model, ignore=shutil.ignore_patterns("light", "figures", "*.safetensors"))
    client = TestClient(Starlette(routes=list(site_routes(ROOT / "web", model, partial(Graph, model / GRAPH)))))
    assert client.get(f"/model/{SMALL_GRAPH}").is_success
    (model / SMALL_GRAPH).unlink()
    assert client.get(f"/model/{SMALL_GRAPH}").status_code == 404
    assert SMALL_GRAPH not in client.get("/device/parts.json").text


def test_a_part_that_was_deflated_is_sent_so_to_whom_takes_it(tmp_path: Path) -> None:
    web, model = tmp_path / "web", ROOT / "release"
    shutil.copytree(ROOT / "web", web, ignore=shutil.ignore_patterns("node_modules"))
    runtime, wasm = web / "node_modules" / "onnxruntime-web" / "dist", b"\0asm" * 9999
    runtime.mkdir(parents=True)
    (runtime / RUNTIME[0]).write_text("export {};")
    (runtime / RUNTIME[1]).write_bytes(wasm)
    (runtime / f"{RUNTIME[1]}.gz").write_bytes(gzip.compress(wasm))
    (runtime / f"{RUNTIME[1]}.br").write_bytes(b"smaller")
    client = TestClient(Starlette(routes=list(site_routes(web, model, partial(Graph, model / GRAPH)))))
    (part,) = (one for one in client.get("/device/parts.json").json() if one["url"].endswith(".wasm"))
    assert part["sent"] == len(b"smaller")
    with client.stream("GET", part["url"], headers={"Accept-Encoding": "gzip, deflate, br"}) as smallest:
        assert (smallest.headers["content-encoding"], b"".join(smallest.iter_raw())) == ("br", b"smaller")
    plain, packed = (client.get(part["url"], headers={"Accept-Encoding": how}) for how in ("identity", "gzip"))
    assert plain.content == packed.content == wasm
    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(packed.headers["content-length"]) < part["bytes"] / 100


def test_what_a_browser_has_is_not_sent_again() -> None:
    model = ROOT / "release"
    client = TestClient(Starlette(routes=list(site_routes(ROOT / "web", model, partial(Graph, model / GRAPH)))))
    first = client.get("/app.js")
    again = client.get("/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/app.js", headers={"If-None-Match": '"another"'}).content == first.content


def test_without_the_runtime_the_switch_is_off_and_says_how_to_add_it(browser: Browser, service: Served) -> None:
    context = browser.new_context()
    context.route("**/device/parts.json", lambda route: route.fulfill(json=[]))
    watched = Watched(context, service.url)
    expect(watched.page.locator("#devicenote")).to_contain_text("“make page”")
    expect(watched.page.locator("#device")).to_be_disabled()
    assert watched.complaints == []
    context.close()


def test_documents_are_pages_which_lead_to_what_the_server_has_and_are_there_as_text(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ROOT / "release", model, ignore=shutil.ignore_patterns("light", "figures", "*.safetensors"))
    (model / "figures").mkdir()
    (model / "figures" / "one.png").write_bytes(b"\x89PNG")
    card = "# Card <b>\n\n| a |\n|---|\n| <script>x</script> |\n\n![there](figures/one.png) ![gone](figures/two.png) "
    (model / "MODEL_CARD.md").write_text(f"{card}[weights](LICENSE-WEIGHTS) [no](../x) [out](https://example.org)\n")
    client = TestClient(Starlette(routes=list(site_routes(ROOT / "web", model, partial(Graph, model / GRAPH)))))
    page = client.get("/model/card").text
    assert "<title>Card &lt;b&gt; – mmer</title>" in page
    assert "&lt;script&gt;x" in page
    assert re.findall(r'(?:href|src)="([^"]+)"', page.partition("<main>")[2]) == [
        "figures/one.png",
        "LICENSE-WEIGHTS",
        "https://example.org",
    ]
    assert "gone" in page
    for beside in ("card.md", "figures/one.png", "LICENSE-WEIGHTS"):
        assert client.get(f"/model/{beside}").is_success, beside
    assert "<table>" in client.get("/protocol").text
    assert client.get("/protocol.md").text.startswith("# The stream protocol")


def test_the_lock_file_names_no_addresses() -> None:
    assert '"resolved"' not in (ROOT / "web" / "package-lock.json").read_text()
