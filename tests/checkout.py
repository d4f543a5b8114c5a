"""The project as somebody has it who clones it."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT


def copy_checkout(to: Path) -> None:
    """Copy the files of this folder that belong to the project, committed or not."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
