"""One version: what the package says it is, what the changelog released last, what is cited, and the tags."""

import re
import subprocess
from datetime import date

import pytest
import yaml

from mmer import __version__
from tests.conftest import ROOT

Release = tuple[str, date]


@pytest.fixture(scope="module")
def headings() -> list[str]:
    """The second-level headings of the changelog, newest first."""
    return re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def releases(headings: list[str]) -> list[Release]:
    """Version and date of each release, newest first; a heading that is not `1.2.3 – 2026-01-31` fails here."""
    parts = [heading.split(" – ") for heading in headings[1:]]
    return [(version, date.fromisoformat(day)) for version, day in parts]


def number(version: str) -> tuple[int, ...]:
    """For comparing: 0.10.0 is newer than 0.9.0."""
    return tuple(int(part) for part in version.split("."))


def git_tags(*options: str) -> set[str]:
    """Version tags that this clone knows; a shallow one may know none."""
    command = ["git", "-C", str(ROOT), "tag", "--list", "v[0-9]*", *options]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_what_is_not_released_yet_has_a_place_above_all_releases(headings: list[str]) -> None:
    assert headings[0] == "Unreleased"


def test_releases_stand_from_the_newest_to_the_oldest(releases: list[Release]) -> None:
    numbers, days = [number(version) for version, _ in releases], [day for _, day in releases]
    assert numbers == sorted(set(numbers), reverse=True)
    assert days == sorted(days, reverse=True)


def test_the_package_is_the_newest_release_of_the_changelog(releases: list[Release]) -> None:
    assert __version__ == releases[0][0]


def test_the_citation_is_of_the_newest_release_and_its_date(releases: list[Release]) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], date.fromisoformat(citation["date-released"])) == releases[0]


def test_each_tag_is_a_release_of_the_changelog(releases: list[Release]) -> None:
    assert git_tags() <= {f"v{version}" for version, _ in releases}


def test_a_commit_that_is_tagged_has_the_version_of_its_tag() -> None:
    assert git_tags("--points-at", "HEAD") <= {f"v{__version__}"}
