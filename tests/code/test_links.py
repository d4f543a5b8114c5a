"""Claims about the documents: what they link to is there, and so is every document that the code names."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


def files(*patterns: str) -> list[Path]:
    """Those of the repository, tracked or new, relative to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    found = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    return sorted(Path(name) for name in found if name and (ROOT / name).is_file())


@cache
def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = (f"{slug}-{number}" for number in range(1, 100))
        found.add(slug if slug not in found else next(one for one in again if one not in found))
    return found


def broken(page: Path) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", (ROOT / page).read_text(encoding="utf-8")))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target.resolve())):
            yield link


@pytest.mark.parametrize("page", files("*.md"), ids=str)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def gone(patterns: Sequence[str], name: str) -> list[str]:
    """Files of this kind of name that files of these patterns name and that are not there."""
    # CHANGELOG.md tells of files as they were; NAME stands for any.
    pages = [path for path in files(*patterns) if path.name != "CHANGELOG.md"]
    named = [
        (path, found)
        for path in pages
        for found in re.findall(rf"(?<![\w/.-]){name}", (ROOT / path).read_text(encoding="utf-8"))
        if "NAME" not in found
    ]
    assert len(named) > 20, "this test reads nothing"
    return [f"{path} names {found}" for path, found in named if not (ROOT / found).exists()]


def test_every_document_that_code_or_a_document_names_is_there() -> None:
    assert gone(["*.py", "*.js", "*.yaml", "Makefile", "*.md"], r"docs/[\w/-]+\.\w+") == []


def test_every_file_of_code_that_a_document_names_is_there() -> None:
    folders = "attacks|benchmarks|experiments|mmer|scripts|stages|studies|tests|web"
    assert gone(["*.md"], rf"(?:{folders})/[\w/]+\.(?:py|js|yaml|csv)\b") == []
