"""Fetching a corpus: from its owner, or from a mirror, which is a folder or an address that holds corpora by name.

A file has its final name only once it is whole and checked; what was fetched stays, so a cut run goes on. Beside the
files, `checksums.json` records what each was when it first came, and `mirror.json` how much of the whole is here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mmer.data.corpora import CHECKSUMS, Corpus, Source, completeness, require_licence
from mmer.data.fetch.archives import ArchiveError, UnpackLimits, unpack
from mmer.data.fetch.http import CancelledError, Downloader, Limits, MissingError, Part, WrongBytesError, check
from mmer.errors import MmerError
from mmer.reporting import counted

SUMMARY = "mirror.json"
PROBES = 32
"""Files that a mirror at an address is asked for first: one that has none of them has nothing of the corpus, and is not
asked for 7,000 more."""
NAMED = 10
"""Files that a message names; it counts the others."""


class FetchError(MmerError):
    """A corpus could not be fetched; the message says which file, why, and what to do."""


def fetch(
    corpus: Corpus,
    raw: Path,
    mirror: str | Path | None = None,
    licences: Sequence[str] = (),
    parallel: int = 4,
    limits: Limits | None = None,
    unpack_limits: UnpackLimits | None = None,
) -> None:
    """Bring a corpus into its raw folder, and write there how much of the whole is here.

    Args:
        corpus: what to fetch.
        raw: the folder to fill, in the owner's layout.
        mirror: a folder, or the beginning of an address, below which corpora lie under their names in their owners'
            layouts, perhaps incomplete: what is there is taken. None, or a mirror without this corpus: the owner.
        licences: those accepted (`licences` in params.yaml).
        parallel: files at once.
        limits: patience and bounds of downloads.
        unpack_limits: bounds of archives.

    Raises:
        FetchError: its licence is not accepted, files cannot be had or are not what they should be (all others were
            fetched), or no clip was found.
    """
    require_licence(corpus, licences)
    root = os.fspath(mirror) if mirror else ""
    if corpus.sources is None and not (root and (Path(root) / corpus.name).is_dir()):
        raise FetchError(
            f"{corpus.name} is not fetched from anywhere: get it from {corpus.homepage} and put its files into {raw}, "
            f"or into a mirror's folder (MMER_MIRROR) under {corpus.name}/"
        )
    raw.mkdir(parents=True, exist_ok=True)
    fetching = _Fetching(corpus, raw, parallel, limits or Limits(), unpack_limits or UnpackLimits())
    try:
        if root.startswith(("http://", "https://")):
            base = f"{root.rstrip('/')}/{corpus.name}"
            mirrored = fetching.download(base)
            told = base
        elif root:
            if not Path(root).is_dir():
                raise FetchError(f"the mirror {root} (MMER_MIRROR) is no folder; name one that exists, or none")
            mirrored = (Path(root) / corpus.name).is_dir()
            told = os.fspath(Path(root) / corpus.name)
            if mirrored:
                fetching.copy(Path(told))
        else:
            mirrored = False
        if not mirrored:
            if root:
                print(f"{corpus.name}: the mirror has nothing of it ({told}); it is fetched from its owner instead")
            fetching.download(None)
    finally:
        fetching.record.save()
    _summarise(corpus, raw, fetching, "mirror" if mirrored else "owner")


def _summarise(corpus: Corpus, raw: Path, fetching: _Fetching, origin: str) -> None:
    """Write and print how much of the whole is here, and how much of that could be verified."""
    clips = corpus.list_clips(raw)
    pictures = sum(c.has_face for c in clips)
    told = completeness(corpus, clips, pictures)
    entries = fetching.record.entries.values()
    verified = sum(e["verified"] for e in entries)
    unverified = len(entries) - verified
    summary = {
        "corpus": corpus.name,
        "from": origin,
        "have": {"clips": len(clips), "speakers": len({c.speaker for c in clips}), "pictures": pictures},
        "expected": dict(corpus.expected),
        "summary": told,
        "files": {"verified": verified, "unverified": unverified, "missing": len(fetching.missing)},
        "missing": sorted(fetching.missing)[:NAMED],
    }
    (raw / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    print(f"{corpus.name}: {told}")
    if fetching.missing:
        print(f"  not in the mirror: {_named(sorted(fetching.missing))}")
    print(
        f"  {counted(verified, 'file')} checked against what their owner states; {counted(unverified, 'file')} "
        f"unverified (no checksum is stated): {raw / CHECKSUMS} records what they were when they first came"
    )
    if not clips:
        raise FetchError(f"{corpus.name}: no clip was found in {raw}; does it lie there as its owner publishes it?")


class _Record:
    """`checksums.json`: what each file was when it first came. It holds no times: DVC hashes it with the files."""

    def __init__(self, raw: Path) -> None:
        self._path = raw / CHECKSUMS
        try:
            self.entries: dict[str, dict[str, Any]] = json.loads(self._path.read_text()) if self._path.exists() else {}
        except ValueError:
            raise FetchError(f"{self._path} is no JSON; delete it, and all files are looked at anew") from None

    def add(self, source: Source, sha256: str, size: int, **more: object) -> None:
        verified = source.sha256 is not None or source.md5 is not None
        self.entries[source.path] = {"sha256": sha256, "size": size, "url": source.url, "verified": verified, **more}

    def sha256(self, source: Source) -> str | None:
        """What the file was when it first came."""
        return self.entries[source.path]["sha256"] if source.path in self.entries else None

    def knows(self, source: Source, size: int) -> bool:
        """Whether a file of that size was looked at, against all that is known of it now."""
        entry = self.entries.get(source.path)
        return (
            entry is not None
            and entry["size"] == size
            and source.size in (None, size)
            and source.sha256 in (None, entry["sha256"])
            and (entry["verified"] or source.md5 is None)
        )

    def save(self) -> None:
        if self.entries:
            new = self._path.with_name(f"{CHECKSUMS}.part")
            new.write_text(json.dumps(self.entries, indent=1, sort_keys=True) + "\n")
            new.replace(self._path)


class _Fetching:
    """One corpus on its way into its raw folder."""

    def __init__(self, corpus: Corpus, raw: Path, parallel: int, limits: Limits, unpack_limits: UnpackLimits) -> None:
        self.record = _Record(raw)
        self.missing: set[str] = set()
        """Files that a mirror lacks."""
        self._corpus, self._raw, self._parallel, self._limits = corpus, raw, parallel, limits
        self._unpack_limits = unpack_limits

    def download(self, base: str | None) -> bool:
        """Download all files.

        Args:
            base: this corpus's address in a mirror; None is the owner.

        Returns:
            Whether anything of it is there.
        """
        sources = self._sources(self._raw)
        if base:
            print(f"{self._corpus.name}: from the mirror {base}")
            sources = [replace(s, url=f"{base}/{quote(s.path)}") for s in sources]
        wanted = [s for s in sources if not self._done(s, self._raw / s.path)]
        self._require_room(wanted)
        if not base:
            failures = self._download(wanted, is_mirror=False)
        else:
            first, rest = wanted[:PROBES], wanted[PROBES:]
            failures = self._download(first, is_mirror=True)
            if first and len(self.missing) == len(first) and not self.record.entries:
                self.missing.clear()
                return False
            failures |= self._download(rest, is_mirror=True)
        self._stop_for(failures, len(sources))
        return True

    def _download(self, wanted: Sequence[Source], *, is_mirror: bool) -> dict[str, str]:
        with _Display(f"download {self._corpus.name}", wanted) as display:
            downloader = Downloader(self._limits, display.add)
            jobs = {s.path: self._job(s, downloader, is_mirror=is_mirror) for s in wanted}
            return self._run(jobs, display, downloader)

    def copy(self, mirror: Path) -> None:
        """Copy a mirror's files. Copies, not links: DVC changes permissions, and the mirror is not ours."""
        print(f"{self._corpus.name}: from the mirror {mirror}")
        sources = {s.path: s for s in self._sources(mirror)}
        names = {p.relative_to(mirror).as_posix(): p for p in sorted(mirror.rglob("*")) if p.is_file()}
        ours = (CHECKSUMS, SUMMARY)
        files = {n: p for n, p in names.items() if n not in ours and not n.endswith((".part", ".part.tag"))}
        # an archive may lie there unpacked: then it does not lack
        self.missing = {n for n, s in sources.items() if n not in files and not s.archive}
        wanted = {n: sources.get(n, Source(n)) for n in files}
        wanted = {n: s for n, s in wanted.items() if not self._done(s, files[n])}
        sized = [replace(s, size=s.size or files[n].stat().st_size) for n, s in wanted.items()]
        self._require_room(sized)
        with _Display(f"copy {self._corpus.name}", sized) as display:
            caller = Downloader(self._limits)
            jobs = {n: self._copy_job(s, files[n], display, caller) for n, s in wanted.items()}
            failures = self._run(jobs, display, caller)
        self._stop_for(failures, len(files))

    def _sources(self, folder: Path) -> list[Source]:
        return self._corpus.sources(folder) if self._corpus.sources else []

    def _done(self, source: Source, path: Path) -> bool:
        """Whether a file that lies at `path`, or is to come there, is in the raw folder already, or unpacked there."""
        entry, target = self.record.entries.get(source.path, {}), self._raw / source.path
        if source.archive:
            return "unpacked" in entry and self.record.knows(source, _size(path, entry["size"]))
        same = target.is_file() and (path == target or _stamp(path) == _stamp(target))
        return same and self.record.knows(source, _size(target))

    def _job(self, source: Source, downloader: Downloader, *, is_mirror: bool) -> Callable[[], None]:
        def job() -> None:
            try:
                self._obtain(source, downloader)
            except MissingError:
                if not is_mirror:
                    raise
                self.missing.add(source.path)

        return job

    def _obtain(self, source: Source, downloader: Downloader) -> None:
        """Bring one file into the raw folder, and unpack it if it is an archive."""
        target = self._raw / source.path
        own = target.is_file()
        if own:  # put there by hand, or by a run that was killed
            try:
                sha256 = check(target, source, self.record.sha256(source) if source.url else None)
            except WrongBytesError as error:
                if source.url is None:
                    raise WrongBytesError(f"{error}; replace {target}") from None
                own = False
        if not own:
            if source.url is None:
                raise FetchError(
                    f"{source.path}: cannot be fetched by a program; get it from {self._corpus.homepage} and put it "
                    f"into {target.parent}, or into a mirror (MMER_MIRROR) under {self._corpus.name}/"
                )
            sha256 = downloader.download(source, target, self.record.sha256(source))
        size = target.stat().st_size
        if not source.archive:
            self.record.add(source, sha256, size)
            return
        try:
            self._unpack(source, target, sha256, downloader)
        except ArchiveError as error:
            if own:
                raise ArchiveError(f"{error}. Replace or delete {target}, and run again") from None
            target.unlink()
            raise ArchiveError(f"{error}. It was not kept: run again to fetch it anew") from None
        if not own:
            target.unlink()

    def _unpack(self, source: Source, archive: Path, sha256: str, downloader: Downloader) -> None:
        entry = self.record.entries.get(source.path, {})
        if "unpacked" in entry and entry["sha256"] == sha256:
            return
        folder = (self._raw / source.path).parent
        count = unpack(archive, folder, self._unpack_limits, downloader.check_cancelled)
        self.record.add(source, sha256, archive.stat().st_size, unpacked=count)

    def _copy_job(self, source: Source, path: Path, display: _Display, caller: Downloader) -> Callable[[], None]:
        def job() -> None:
            caller.check_cancelled()
            try:
                if source.archive:
                    self._unpack(source, path, check(path, source), caller)
                else:
                    self._copy(source, path)
            except (WrongBytesError, ArchiveError) as error:
                raise FetchError(f"{error}. The mirror's {path} is damaged: replace it there") from None
            display.add(path.stat().st_size)

        return job

    def _copy(self, source: Source, path: Path) -> None:
        part = Part(self._raw / source.path)
        part.path.parent.mkdir(parents=True, exist_ok=True)
        part.discard()
        shutil.copyfile(path, part.path)  # the bytes, not the permissions: a mirror is often read-only
        stat = path.stat()
        os.utime(part.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        try:
            sha256 = check(part.path, source)
        except WrongBytesError:
            part.discard()
            raise
        part.accept()
        self.record.add(replace(source, url=None), sha256, stat.st_size)

    def _require_room(self, sources: Sequence[Source]) -> None:
        """Stop before the first byte where what is to come cannot fit, as far as sizes are known."""
        coming = [(s.size or 0) - Part(self._raw / s.path).size for s in sources]
        # what is in an archive is no smaller than the archive, and both are here until it is unpacked
        packed = sorted((s.size or 0 for s in sources if s.archive), reverse=True)[: self._parallel]
        need, free = sum(max(c, 0) for c in coming) + sum(packed), shutil.disk_usage(self._raw).free
        if need > free:
            raise FetchError(
                f"{self._corpus.name}: {need / 1e9:,.1f} GB are needed in {self._raw}, {free / 1e9:,.1f} GB are free"
            )

    def _run(self, jobs: Mapping[str, Callable[[], None]], display: _Display, downloader: Downloader) -> dict[str, str]:
        """Do all jobs, several at once; one that fails does not stop the others.

        Returns:
            What went wrong, by file.
        """
        failures = {}

        def shown(name: str) -> None:
            with display.in_hand(name):
                jobs[name]()

        with ThreadPoolExecutor(self._parallel) as pool:
            running = {pool.submit(shown, name): name for name in jobs}
            try:
                for done in as_completed(running):
                    try:
                        done.result()
                    except MmerError as error:
                        failures[running[done]] = str(error)
                    except CancelledError:
                        raise
                    except OSError as error:
                        failures[running[done]] = f"{running[done]}: {error}"
            except BaseException as error:
                downloader.cancel()
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, KeyboardInterrupt):
                    print("\ninterrupted; what came is kept: run again to go on", file=sys.stderr)
                raise
        return failures

    def _stop_for(self, failures: Mapping[str, str], of: int) -> None:
        if failures:
            lines = [f"  {failures[name]}\n" for name in sorted(failures)[:NAMED]]
            if len(failures) > NAMED:
                lines.append(f"  and {len(failures) - NAMED:,} more\n")
            raise FetchError(
                f"{self._corpus.name}: {len(failures):,} of {of:,} files could not be had\n{''.join(lines)}"
                f"What came is kept in {self._raw}: run again to fetch the rest. Or set MMER_MIRROR to a folder or an "
                "address in which the corpus lies under its name, as its owner publishes it"
            )


class _Display:
    """One progress bar for all files: bytes in all, files done, what is in hand."""

    def __init__(self, title: str, sources: Sequence[Source]) -> None:
        from tqdm import tqdm

        sizes = [s.size for s in sources if s.size is not None]
        total = sum(sizes) if len(sizes) == len(sources) else None
        self._bar = tqdm(desc=title, total=total, unit="B", unit_scale=True, disable=not sources)
        self._files, self._done = len(sources), 0
        self._in_hand: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, count: int) -> None:
        """Tell of bytes that came; fewer than none, where a file begins anew."""
        with self._lock:
            self._bar.update(count)

    @contextmanager
    def in_hand(self, name: str) -> Iterator[None]:
        """Tell of a file that is worked on."""
        self._tell(name, done=False)
        try:
            yield
        finally:
            self._tell(name, done=True)

    def _tell(self, name: str, *, done: bool) -> None:
        with self._lock:
            if done:
                self._in_hand.remove(name)
                self._done += 1
            else:
                self._in_hand.append(name)
            told = ", ".join(Path(n).name for n in self._in_hand[:2]) + (", …" if len(self._in_hand) > 2 else "")
            self._bar.set_postfix_str(f"{self._done:,} of {self._files:,} files {told}", refresh=False)


def _size(path: Path, absent: int = 0) -> int:
    return path.stat().st_size if path.exists() else absent


def _stamp(path: Path) -> tuple[int, int]:
    """By which a copy is known as the same."""
    return path.stat().st_size, path.stat().st_mtime_ns


def _named(names: Sequence[str]) -> str:
    rest = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{counted(len(names), 'file')}, {', '.join(names[:NAMED])}{rest}"
