"""A corpus arrives whole and checked, from its owner or a mirror, or an error names the file and what to do."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmer.data.corpora import Corpus, LicenceError, Source, crema_d, ravdess, require_licence
from mmer.data.fetch.archives import UnpackLimits
from mmer.data.fetch.corpus import PROBES, FetchError, fetch
from tests import httpserver as http
from tests.code.test_archives import zipped
from tests.code.test_http import FAST
from tests.conftest import ROOT
from tests.httpserver import Server, only_half

VOICE = bytes(range(256)) * 400


def clip(number: int) -> str:
    return f"Actor_01/03-01-{number:02d}-01-01-01-01.wav"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with http.serving() as running:
        yield running


def put(server: Server, path: str, body: bytes = VOICE, *, stated: bool = True, **more: Any) -> Source:
    """A file that the owner publishes, with its checksum or without."""
    server.files[path] = body
    facts = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)} if stated else {}
    return Source(path, server.url(path), **(facts | more))


def published(*sources: Source, **more: Any) -> Corpus:
    facts: dict[str, Any] = {"licence": "its licence", "citation": "its paper", "homepage": "https://its.page"}
    facts |= {"language": "English"} | more
    return Corpus(
        "tiny", "Tiny", list_clips=ravdess.list_clips, sources=lambda _: list(sources), expected={"clips": 2}, **facts
    )


def get(corpus: Corpus, raw: Path, mirror: str | Path | None = None, **more: Any) -> None:
    fetch(corpus, raw, mirror, limits=FAST, **more)


def summary(raw: Path) -> dict[str, Any]:
    return json.loads((raw / "mirror.json").read_text())


def recorded(raw: Path) -> dict[str, Any]:
    return json.loads((raw / "checksums.json").read_text())


# --- licences


def test_a_licence_with_conditions_must_be_accepted_before_the_first_byte(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = published(put(server, clip(1)), accept="CC-BY-NC-SA-4.0", conditions="no commercial use")
    with pytest.raises(LicenceError, match=r"no commercial use[\s\S]*\nlicences: \[ODD, CC-BY-NC-SA-4.0\]\n"):
        get(corpus, tmp_path / "raw", licences=["ODD"])
    told = capsys.readouterr().out
    assert all(part in told for part in ("Tiny", "its licence", "no commercial use", "its paper", "https://its.page"))
    assert server.asked == []
    assert not (tmp_path / "raw").exists()
    get(corpus, tmp_path / "raw", licences=["CC-BY-NC-SA-4.0"])
    assert (tmp_path / "raw" / clip(1)).exists()


def test_a_mirror_does_not_go_round_the_licence(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "tiny").mkdir(parents=True)
    with pytest.raises(LicenceError, match="conditions that you must accept"):
        get(published(accept="ODD"), tmp_path / "raw", tmp_path / "mirror")


def test_a_free_licence_is_printed_and_asks_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    require_licence(published(), [])
    assert "its licence" in capsys.readouterr().out


def test_the_stage_asks_for_the_licence_and_takes_the_mirror(tmp_path: Path) -> None:
    """The real script, with CREMA-D's layout in a mirror."""
    voice = tmp_path / "mirror" / "crema_d" / "AudioWAV" / "1001_DFA_ANG_XX.wav"
    voice.parent.mkdir(parents=True)
    voice.write_bytes(VOICE)
    accepts = [crema_d.CORPUS.accept] if crema_d.CORPUS.accept else []
    (tmp_path / "params.yaml").write_text(
        f"corpora: [demo]\nlicences: {json.dumps(accepts)}\ndownload: {{corpora: [crema_d], parallel: 2}}\n"
    )
    stage = subprocess.run(
        [sys.executable, "-m", "stages.download", "crema_d"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MMER_MIRROR": str(tmp_path / "mirror")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert stage.returncode == 0, stage.stderr
    assert crema_d.CORPUS.licence in stage.stdout
    assert (tmp_path / "data/raw/crema_d/AudioWAV/1001_DFA_ANG_XX.wav").read_bytes() == VOICE


# --- from the owner


def test_files_come_at_once_over_few_connections_with_one_display(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    get(published(*(put(server, f"{n}.bin") for n in range(60)), put(server, clip(1))), tmp_path, parallel=3)
    assert len(server.asked) == 61
    assert 1 < len({a.connection for a in server.asked}) <= 3
    told = capsys.readouterr().err
    assert "61 of 61 files" in told
    assert "6.25M/6.25M" in told
    assert summary(tmp_path)["files"] == {"verified": 61, "unverified": 0, "missing": 0}


def test_one_file_that_fails_does_not_stop_the_others(server: Server, tmp_path: Path) -> None:
    sources = [put(server, clip(n)) for n in range(1, 6)]
    del server.files[clip(2)]
    server.faults = {clip(1): [http.cut], clip(3): [http.wrong_bytes] * 2, clip(4): [http.status(429, "0")]}
    with pytest.raises(FetchError, match=r"tiny: 2 of 5 files could not be had\n  .*answers 404.*\n  .*its sha256"):
        get(published(*sources), tmp_path)
    right = {clip(n): VOICE for n in (1, 4, 5)}
    assert only_half(tmp_path, right) == []
    assert all((tmp_path / name).exists() for name in right)
    assert sorted(recorded(tmp_path)) == sorted(right)
    server.files[clip(2)] = VOICE
    asked = len(server.asked)
    get(published(*sources), tmp_path)
    assert sorted(a.path for a in server.asked[asked:]) == [clip(2), clip(3)], "the others are not fetched again"


def test_an_error_that_names_many_files_is_short(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"40 of 40 files[\s\S]*and 30 more") as told:
        get(published(*(Source(f"{n}.bin", server.url(f"{n}.bin")) for n in range(40))), tmp_path)
    assert len(str(told.value).splitlines()) == 13


def test_without_network_or_mirror_the_error_says_both_ways(server: Server, tmp_path: Path) -> None:
    silent = Source("a.zip", server.url("a.zip"), archive=True)
    server.shutdown()
    server.server_close()
    with pytest.raises(FetchError, match=r"cannot be reached[\s\S]*run again[\s\S]*MMER_MIRROR"):
        get(published(silent), tmp_path)


def test_too_little_room_is_told_before_the_first_byte(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"1,152,921,504\.6 GB are needed in .*, [\d,.]+ GB are free"):
        get(published(put(server, clip(1)), put(server, "huge.bin", size=1 << 60)), tmp_path)
    assert server.asked == []


def test_what_lies_there_is_looked_at_once_and_kept(server: Server, tmp_path: Path) -> None:
    source = put(server, clip(1))
    (tmp_path / "Actor_01").mkdir()
    (tmp_path / clip(1)).write_bytes(VOICE)
    get(published(source), tmp_path)
    assert recorded(tmp_path)[clip(1)]["verified"]
    (tmp_path / clip(1)).write_bytes(VOICE[:-1])
    assert server.asked == []
    get(published(source), tmp_path)
    assert (tmp_path / clip(1)).read_bytes() == VOICE, "a file of the wrong size is fetched anew"


# --- checksums that nobody states


def test_a_hash_is_recorded_at_the_first_download_and_shown_as_unverified(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = put(server, clip(1), stated=False)
    get(published(source, put(server, clip(2))), tmp_path)
    sha256 = hashlib.sha256(VOICE).hexdigest()
    assert recorded(tmp_path)[clip(1)] == {
        "sha256": sha256,
        "size": len(VOICE),
        "url": source.url,
        "verified": False,
    }
    assert "1 file checked against what their owner states; 1 file unverified" in capsys.readouterr().out
    before = (tmp_path / "checksums.json").read_bytes()
    get(published(source, put(server, clip(2))), tmp_path)
    assert (tmp_path / "checksums.json").read_bytes() == before, "DVC sees no change where nothing changed"


@pytest.mark.parametrize("archive", [False, True])
def test_a_later_download_that_differs_from_the_recorded_one_is_an_error(
    server: Server, tmp_path: Path, archive: bool
) -> None:
    name = "a.zip" if archive else clip(1)
    source = put(server, name, zipped({clip(1): VOICE}) if archive else VOICE, stated=False, archive=archive)
    get(published(source), tmp_path)
    if archive:  # as if it had never been unpacked
        entries = recorded(tmp_path)
        del entries[name]["unpacked"]
        (tmp_path / "checksums.json").write_text(json.dumps(entries))
    (tmp_path / clip(1)).unlink()
    server.files[name] = zipped({clip(1): VOICE[1:]}) if archive else VOICE[1:]
    with pytest.raises(FetchError, match=r"its sha256 is .* recorded: its owner has changed it, or somebody else has"):
        get(published(source), tmp_path)
    assert only_half(tmp_path, {}) == []


def test_a_checksum_that_becomes_known_is_held_against_what_is_there(server: Server, tmp_path: Path) -> None:
    source = put(server, clip(1), stated=False)
    get(published(source), tmp_path)
    stated = replace(source, md5=hashlib.md5(VOICE).hexdigest())  # noqa: S324
    get(published(stated), tmp_path)
    assert recorded(tmp_path)[clip(1)]["verified"]
    assert len(server.asked) == 1
    server.files[clip(1)] = VOICE[::-1]
    get(published(replace(source, sha256=hashlib.sha256(VOICE[::-1]).hexdigest())), tmp_path)
    assert (tmp_path / clip(1)).read_bytes() == VOICE[::-1]


def test_a_broken_record_says_what_to_do(server: Server, tmp_path: Path) -> None:
    (tmp_path / "checksums.json").write_text("{")
    with pytest.raises(FetchError, match=r"checksums\.json is no JSON; delete it"):
        get(published(put(server, clip(1))), tmp_path)


# --- archives


def test_an_archive_is_unpacked_once_and_not_kept(server: Server, tmp_path: Path) -> None:
    archive = put(server, "a.zip", zipped({clip(1): VOICE, "Actor_01/": b""}), archive=True)
    server.faults["a.zip"] = [http.cut]
    get(published(archive), tmp_path)
    assert (tmp_path / clip(1)).read_bytes() == VOICE
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Actor_01", "checksums.json", "mirror.json"]
    told = summary(tmp_path)
    assert (told["from"], told["have"]["clips"]) == ("owner", 1)
    assert told["summary"].startswith("1 of 2 clips")
    asked = len(server.asked)
    get(published(archive), tmp_path)
    assert len(server.asked) == asked


@pytest.mark.parametrize("made", [lambda whole: whole[:2000] + bytes(100) + whole[2100:], lambda whole: whole[:-100]])
def test_a_damaged_archive_leaves_nothing_and_is_fetched_anew(
    server: Server, tmp_path: Path, made: Callable[[bytes], bytes]
) -> None:
    whole = zipped({clip(1): VOICE, clip(2): os.urandom(5000)})
    archive = put(server, "a.zip", made(whole), stated=False, archive=True)
    with pytest.raises(FetchError, match=r"a\.zip: damaged.* run again to fetch it anew"):
        get(published(archive), tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.files["a.zip"] = whole
    get(published(archive), tmp_path)
    assert summary(tmp_path)["have"]["clips"] == 2


def test_a_bomb_is_refused_and_the_rest_is_fetched(server: Server, tmp_path: Path) -> None:
    bomb = put(server, "a.zip", zipped({"a": bytes(3_000_000)}), archive=True)
    with pytest.raises(FetchError, match=r"1 of 2 files[\s\S]*a\.zip: refused, it unpacks to more than 5 times"):
        get(published(bomb, put(server, clip(1))), tmp_path, unpack_limits=UnpackLimits(ratio=5, ratio_from_bytes=1000))
    assert only_half(tmp_path, {clip(1): VOICE}) == []
    assert (tmp_path / clip(1)).exists()


# --- files behind a form


def test_a_file_behind_a_form_says_where_to_get_it_and_where_to_put_it(server: Server, tmp_path: Path) -> None:
    form = Source("archive.zip", archive=True)
    with pytest.raises(FetchError, match=rf"get it from https://its.page and put it into {tmp_path}, or into a mirror"):
        get(published(form, put(server, clip(2))), tmp_path)
    assert (tmp_path / clip(2)).exists(), "what needs no form came"
    (tmp_path / "archive.zip").write_bytes(zipped({clip(1): VOICE}))
    for _ in range(2):
        get(published(form, put(server, clip(2))), tmp_path)
    assert summary(tmp_path)["have"]["clips"] == 2
    assert (tmp_path / "archive.zip").exists(), "what you got by hand is yours"


def test_a_file_put_there_that_is_the_wrong_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_bytes(zipped({clip(1): VOICE}))
    with pytest.raises(FetchError, match=rf"archive\.zip: its md5 is .*replace {tmp_path}"):
        get(published(Source("archive.zip", md5="0" * 32, archive=True)), tmp_path)
    (tmp_path / "archive.zip").write_bytes(b"<html>")
    with pytest.raises(FetchError, match=r"damaged.*Replace or delete"):
        get(published(Source("archive.zip", archive=True)), tmp_path)
    assert (tmp_path / "archive.zip").exists()


# --- a mirror that is a folder


def test_an_incomplete_mirror_is_copied_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror, raw = tmp_path / "mirror" / "tiny", tmp_path / "raw"
    (mirror / clip(1)).parent.mkdir(parents=True)
    (mirror / clip(1)).write_bytes(VOICE)
    (mirror / clip(1)).chmod(0o444)
    (mirror / "b.zip").write_bytes(zipped({clip(4): b"other"}))
    corpus = published(Source("b.zip", archive=True), Source("votes.csv"), Source("unpacked.zip", archive=True))
    for _ in range(2):  # a second time changes nothing
        get(corpus, raw, tmp_path / "mirror")
        assert only_half(raw, {clip(1): VOICE, clip(4): b"other"}) == []
    assert os.access(raw / clip(1), os.W_OK)
    assert not (raw / clip(1)).samefile(mirror / clip(1))
    told = summary(raw)
    assert told["have"] == {"clips": 2, "speakers": 1, "pictures": 0}
    assert told["missing"] == ["votes.csv"]
    assert "not in the mirror: 1 file, votes.csv" in capsys.readouterr().out
    (raw / clip(4)).write_bytes(b"touched")
    get(corpus, raw, tmp_path / "mirror")
    assert (raw / clip(4)).read_bytes() == b"touched", "an archive is unpacked once"


def test_damaged_files_in_a_mirror_are_named_and_the_others_copied(tmp_path: Path) -> None:
    mirror, raw = tmp_path / "mirror" / "tiny", tmp_path / "raw"
    (mirror / "Actor_01").mkdir(parents=True)
    (mirror / clip(1)).write_bytes(VOICE)
    (mirror / clip(2)).write_bytes(VOICE[:-1] + b"!")
    (mirror / "b.zip").write_bytes(zipped({clip(3): VOICE})[:-50])
    sha256 = hashlib.sha256(VOICE).hexdigest()
    sources = [Source(clip(n), sha256=sha256, size=len(VOICE)) for n in (1, 2)] + [Source("b.zip", archive=True)]
    with pytest.raises(FetchError, match=r"2 of 3 files[\s\S]*its sha256[\s\S]*is damaged[\s\S]*b\.zip is damaged"):
        get(published(*sources), raw, tmp_path / "mirror")
    assert only_half(raw, {clip(1): VOICE}) == []
    assert (raw / clip(1)).exists()
    assert [p.name for p in raw.rglob("*.part")] == []


def test_the_raw_folder_of_another_checkout_is_a_mirror(server: Server, tmp_path: Path) -> None:
    source = put(server, clip(1), stated=False)
    get(published(source), tmp_path / "other" / "tiny")
    (tmp_path / "other" / "tiny" / "b.wav.part").write_bytes(b"half")
    get(published(source), tmp_path / "raw", tmp_path / "other")
    assert summary(tmp_path / "raw")["from"] == "mirror"
    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == ["Actor_01", "checksums.json", "mirror.json"]


def test_a_mirror_that_is_not_there_is_an_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"the mirror .*no_such \(MMER_MIRROR\) is no folder"):
        get(published(put(server, clip(1))), tmp_path / "raw", tmp_path / "no_such")
    assert server.asked == []


def test_a_mirror_without_this_corpus_leads_to_the_owner_and_says_so(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mirror").mkdir()
    get(published(put(server, clip(1))), tmp_path / "raw", tmp_path / "mirror")
    assert "the mirror has nothing of it" in capsys.readouterr().out
    assert summary(tmp_path / "raw")["from"] == "owner"


def test_an_empty_mirror_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "tiny").mkdir(parents=True)
    with pytest.raises(FetchError, match="no clip was found"):
        get(published(), tmp_path / "raw", tmp_path / "mirror")


# --- a mirror that is an address


def test_an_address_is_a_mirror_and_may_be_incomplete(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "Actor_01/a b#1?.txt"
    server.files |= {f"corpora/tiny/{clip(1)}": VOICE, "corpora/tiny/Actor_01/a%20b%231%3F.txt": b"odd"}
    server.faults[f"corpora/tiny/{clip(1)}"] = [http.cut]
    sources = [Source(clip(1)), Source(clip(2), "http://127.0.0.1:1/never"), Source(name)]
    get(published(*sources), tmp_path, server.url("corpora/"))
    assert only_half(tmp_path, {clip(1): VOICE, name: b"odd"}) == []
    assert summary(tmp_path)["from"] == "mirror"
    assert summary(tmp_path)["missing"] == [clip(2)]
    assert f"not in the mirror: 1 file, {clip(2)}" in capsys.readouterr().out


def test_wrong_bytes_at_an_address_are_an_error(server: Server, tmp_path: Path) -> None:
    server.files[f"tiny/{clip(1)}"] = VOICE[::-1]
    with pytest.raises(FetchError, match="its sha256 is"):
        get(published(Source(clip(1), sha256=hashlib.sha256(VOICE).hexdigest())), tmp_path, server.url())
    assert only_half(tmp_path, {}) == []


def test_an_address_without_this_corpus_leads_to_the_owner_and_says_so(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    get(published(put(server, clip(1)), put(server, clip(2))), tmp_path, server.url("corpora"))
    assert "the mirror has nothing of it" in capsys.readouterr().out
    assert summary(tmp_path)["from"] == "owner"
    assert summary(tmp_path)["missing"] == []


def test_an_address_that_has_none_of_the_first_files_is_not_asked_for_thousands(server: Server, tmp_path: Path) -> None:
    sources = [put(server, clip(n)) for n in range(1, 9)] + [put(server, f"{n}.txt") for n in range(40)]
    get(published(*sources), tmp_path, server.url("no"))
    assert sum(a.path.startswith("no/") for a in server.asked) == PROBES
    assert summary(tmp_path)["files"] == {"verified": 48, "unverified": 0, "missing": 0}


# --- the real corpora, from the shared mirror


def test_the_real_ravdess_is_copied_whole(mirror: Path, tmp_path: Path) -> None:
    licences = [ravdess.CORPUS.accept] if ravdess.CORPUS.accept else []
    fetch(ravdess.CORPUS, tmp_path, mirror, licences)
    assert summary(tmp_path)["have"]["clips"] == 1440


def test_real_videos_are_held_against_their_official_checksums(mirror: Path, tmp_path: Path) -> None:
    licences = [crema_d.CORPUS.accept] if crema_d.CORPUS.accept else []
    fetch(crema_d.CORPUS, tmp_path / "raw", mirror, licences)
    videos = {n: e for n, e in recorded(tmp_path / "raw").items() if n.startswith("VideoFlash/")}
    assert len(videos) == 3
    assert all(e["verified"] for e in videos.values())
    assert summary(tmp_path / "raw")["files"]["missing"] == 7439
    damaged = tmp_path / "mirror"
    (damaged / "crema_d").parent.mkdir()
    subprocess.run(["cp", "-r", str(mirror / "crema_d"), str(damaged)], check=True)
    subprocess.run(["chmod", "-R", "u+w", str(damaged)], check=True)
    name = min(videos)
    body = bytearray((damaged / "crema_d" / name).read_bytes())
    body[1000] ^= 1
    (damaged / "crema_d" / name).write_bytes(body)
    with pytest.raises(FetchError, match=rf"{name}: its sha256 is .* is damaged: replace it there"):
        fetch(crema_d.CORPUS, tmp_path / "again", damaged, licences)
    assert not (tmp_path / "again" / name).exists()
