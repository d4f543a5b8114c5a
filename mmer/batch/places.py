"""Where the files of each clip lie: its timeline as a picture, its annotations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PICTURE, EAF, TEXTGRID = ".png", ".eaf", ".TextGrid"
SAME = {PICTURE: (".png", ".svg", ".pdf")}
"""Endings that mean a file of that kind as well."""

Places = dict[str, Path]
"""Of one clip: its files by their kind."""


def is_file(kind: str, out: Path) -> bool:
    """Whether the name is of a file of that kind, and not of a folder of such files."""
    return out.suffix in SAME.get(kind, (kind,)) or out.is_file()


def places(clips: Sequence[Path], named: Sequence[Path], outs: Mapping[str, Path]) -> Iterator[Places]:
    """The files of each clip, one after the other.

    In a folder, they are called as the clip is with its folders below what was named; where two clips differ in their
    ending alone, with that. Of a file that is named for several clips there are several, by number.

    Args:
        clips: in their order.
        named: the files and folders that they were found by.
        outs: what was asked for, by kind: a file, or a folder.
    """
    above = os.path.commonpath([absolute(path if path.is_dir() else path.parent) for path in named])
    names = [absolute(clip).relative_to(above) for clip in clips]
    times = Counter(name.with_suffix("") for name in names)
    for number, name in enumerate(names, 1):
        short = name if times[name.with_suffix("")] > 1 else name.with_suffix("")
        yield {
            kind: out / f"{short}{kind}"
            if not is_file(kind, out)
            else out
            if len(clips) == 1
            else out.with_stem(f"{out.stem}-{number}")
            for kind, out in outs.items()
        }


def absolute(path: Path) -> Path:
    """From the root and without `..`, but of a link the link's own."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links
