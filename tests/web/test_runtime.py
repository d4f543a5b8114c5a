"""The page's runtime is Python's, file by file, with the same constants: told without Node and without a browser."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.web_constants import OUT, SHARED, script
from tests.serving import ROOT

FILES = sorted((ROOT / "web" / "runtime").glob("*.js"))


def test_the_constants_of_the_page_are_those_of_python() -> None:
    assert OUT.read_text() == script(), "out of date: run `python -m scripts.web_constants`"


def test_no_shared_constant_is_typed_a_second_time() -> None:
    typed = re.compile(rf"\b(?:const|let)\s+(?:{'|'.join(name for names in SHARED.values() for name in names)})\b")
    scripts = [path for path in (ROOT / "web").rglob("*.js") if "node_modules" not in path.parts and path != OUT]
    assert len(scripts) > len(FILES)
    assert [path.name for path in scripts if typed.search(path.read_text())] == []


def test_writing_them_asks_for_no_torch() -> None:
    program = "import sys; from scripts.web_constants import script; script(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", [path for path in FILES if path != OUT], ids=lambda path: path.name)
def test_a_file_names_its_twin_and_needs_nothing_of_the_page(path: Path) -> None:
    text = path.read_text()
    twins = [twin for twin in (f"{path.stem}.py", f"{path.stem}/") if (ROOT / "mmer" / "runtime" / twin).exists()]
    assert [text.startswith(f"// mmer/runtime/{twin}: ") for twin in twins] == [True]
    imported = re.findall(r"""(?:from |import\()"([^"]+)""", text)
    assert [name for name in imported if not (name.startswith("./") or name == "onnxruntime-web")] == []
