"""Fetching a corpus: from a mirror's folder, or from its owner by verified, resumable downloads.

A file has its final name only once it is whole and verified; what was fetched stays, so a cut download goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mmer.corpora import Corpus, Source, completeness
from mmer.errors import MmerError

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 16
"""Bytes; what a cut connection loses at most."""
ATTEMPTS = 5
TIMEOUT_S = (10, 60)
"""To connect, and between two pieces of data."""
WAIT_S = 1.0
"""Before the second attempt; doubled before each further one."""
MAX_MEMBERS = 100_000
MAX_UNPACKED = 64 << 30
"""Limits of one archive: members, and bytes that they may unpack to."""


class FetchError(MmerError):
    """A corpus could not be fetched; the message says which file, why, and what to do."""


def fetch(corpus: Corpus, raw: Path, mirror: Path | None = None) -> None:
    """Bring a corpus into its raw folder, and write beside it (`mirror.json`) how much of the whole is there.

    Args:
        corpus: what to fetch.
        raw: the folder to fill, in the owner's layout.
        mirror: this corpus's folder in a mirror, in the owner's layout and perhaps incomplete: what is there is
            copied. None, or no such folder: the owner's own servers.

    Raises:
        FetchError: a file cannot be had, has the wrong bytes or is no safe archive; or no clip was found.
    """
    if corpus.sources is None:
        raise FetchError(f"{corpus.name} is not fetched from anywhere; put its files into {raw}")
    print(f"{corpus.title}: {corpus.licence}\n  {corpus.citation}\n  {corpus.homepage}")
    raw.mkdir(parents=True, exist_ok=True)
    if mirror is not None and mirror.is_dir():
        _copy(corpus, mirror, raw)
    else:
        mirror = None
        _download_all(corpus, raw)
    clips = corpus.list_clips(raw)
    pictures = sum(c.has_face for c in clips)
    told = completeness(corpus, clips, pictures)
    have = {"clips": len(clips), "speakers": len({c.speaker for c in clips}), "pictures": pictures}
    summary = {"corpus": corpus.name, "from": "mirror" if mirror else "owner", "have": have}
    summary |= {"expected": dict(corpus.expected), "summary": told}
    (raw / "mirror.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"{corpus.name}: {told}")
    if not clips:
        raise FetchError(
            f"{corpus.name}: no clip was found in {mirror or raw}; does it lie there as its owner publishes it?"
        )


def _copy(corpus: Corpus, mirror: Path, raw: Path) -> None:
    """Copy a mirror's files. Copies, not links: DVC changes permissions, and the mirror is not ours."""
    from tqdm import tqdm

    sources = {s.path: s for s in corpus.sources(mirror)} if corpus.sources else {}
    files = sorted(p for p in mirror.rglob("*") if p.is_file())
    for path in tqdm(files, desc=f"copy {corpus.name}", unit="file"):
        name = path.relative_to(mirror).as_posix()
        source, target = sources.get(name, Source(name)), raw / name
        if source.archive:
            _verify(path, source)
            unpack(path, target.parent)
            continue
        here, there = target.stat() if target.is_file() else None, path.stat()
        if here is None or (here.st_size, here.st_mtime_ns) != (there.st_size, there.st_mtime_ns):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, _part(target))  # the bytes, not the permissions: a mirror is often read-only
            os.utime(_part(target), ns=(there.st_atime_ns, there.st_mtime_ns))
            _accept(target, source)


def _download_all(corpus: Corpus, raw: Path) -> None:
    """Download the owner's files: first those known at once, then those that these name."""
    import requests
    from tqdm import tqdm

    if corpus.sources is None:
        return
    seen: set[str] = set()
    with requests.Session() as session:
        while new := [s for s in corpus.sources(raw) if s.path not in seen]:
            seen.update(s.path for s in new)
            with tqdm(desc=f"download {corpus.name}", unit="B", unit_scale=True) as bar:
                for number, source in enumerate(new, 1):
                    bar.set_postfix_str(f"file {number:,} of {len(new):,}")
                    if not _inside(source.path):
                        raise FetchError(f"{corpus.name}: the list of files names {source.path!r}, outside its folder")
                    target, done = raw / source.path, raw / f"{source.path}.done"
                    if done.exists() or (target.exists() and not source.archive):
                        continue
                    if not target.exists():
                        download(source, target, session, bar.update)
                    if source.archive:
                        try:
                            unpack(target, target.parent)
                        except FetchError:
                            target.unlink()
                            raise
                        done.touch()  # an archive is not kept, so this is what says that it was here
                        target.unlink()


def download(
    source: Source, target: Path, session: requests.Session, progress: Callable[[int], object] = lambda _: None
) -> None:
    """Download one file; it appears under its name whole and verified, or not at all.

    A cut download goes on where it stopped (also in a later run) if the result can be verified.

    Raises:
        FetchError: the owner refuses, cannot be reached in several attempts, or sends the wrong bytes.
    """
    import requests

    target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(target)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(WAIT_S * 2 ** (attempt - 1))
        try:
            _receive(source, part, session, progress)
            break
        except requests.RequestException as error:
            answer = error.response.status_code if error.response is not None else None
            if answer is not None and answer < 500 and answer not in (408, 429):
                raise FetchError(f"{source.path}: {source.url} answers {answer}; see the owner's page") from None
            problem = f"answers {answer}" if answer else f"cannot be reached ({type(error).__name__})"
    else:
        raise FetchError(
            f"{source.path}: {source.url} {problem}, {ATTEMPTS} times. Run again when the network is back: what came "
            "is kept. Or set MMER_MIRROR to a folder in which the corpus lies under its name, as its owner publishes it"
        )
    _accept(target, source)


def _receive(source: Source, part: Path, session: requests.Session, progress: Callable[[int], object]) -> None:
    """One attempt: add to the part what it lacks."""
    if source.url is None:
        raise FetchError(f"{source.path} has no address; get it from the owner's page")
    verifiable = source.sha256 or source.md5 or source.archive
    have = part.stat().st_size if verifiable and part.exists() else 0
    if have and have == source.size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(source.url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code == 416 and have:  # the part is no beginning of this file: from nothing
            part.unlink()
            return _receive(source, part, session, progress)
        answer.raise_for_status()
        goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with part.open("ab" if goes_on else "wb") as file:
            for piece in answer.iter_content(CHUNK):
                file.write(piece)
                progress(len(piece))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip; nothing is written if any member would leave the folder, or all together would be too large.

    Raises:
        FetchError: no zip, damaged (each member's CRC is checked), or one that a careful owner would not make.
    """
    from tqdm import tqdm

    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [m for m in zipped.infolist() if not m.is_dir()]
            for member in members:
                if not _inside(member.filename) or stat.S_ISLNK(member.external_attr >> 16) or member.flag_bits & 1:
                    raise FetchError(
                        f"{archive.name}: refused, its member {member.filename!r} is not a plain file below it"
                    )
            size = sum(m.file_size for m in members)
            if len(members) > MAX_MEMBERS or size > min(MAX_UNPACKED, shutil.disk_usage(folder).free):
                raise FetchError(
                    f"{archive.name}: refused, {len(members):,} members of {size:,} bytes are too much here"
                )
            for member in tqdm(members, desc=f"unpack {archive.name}", unit="file", leave=False):
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as packed, _part(target).open("wb") as file:
                    shutil.copyfileobj(packed, file, CHUNK)
                _part(target).replace(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise FetchError(f"{archive.name}: cannot be unpacked ({error}); run again to fetch it anew") from None


def _inside(name: str) -> bool:
    """Whether a name from elsewhere stays inside the folder that it is joined to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and not set(name) & set("\\:\0")


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _accept(target: Path, source: Source) -> None:
    """Give a part its final name if its bytes are right; else delete it."""
    part = _part(target)
    try:
        _verify(part, source)
    except FetchError:
        part.unlink()
        raise
    part.replace(target)


def _verify(path: Path, source: Source) -> None:
    """Compare size and digest with those the owner states, as far as it states them."""
    size = path.stat().st_size
    if source.size not in (None, size):
        raise FetchError(f"{source.path}: {size:,} bytes came, {source.size:,} were expected; it was not kept")
    for algorithm, expected in (("sha256", source.sha256), ("md5", source.md5)):
        if expected is not None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
            if found != expected:
                raise FetchError(f"{source.path}: its {algorithm} is {found}, not {expected}; it was not kept")
