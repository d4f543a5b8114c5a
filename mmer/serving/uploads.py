"""How a form becomes a file, which lives for the length of its request and nowhere after."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from _bentoml_impl.serde import ALL_SERDE, MultipartSerde  # type: ignore[import-untyped]
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

PREFIX = "mmer-upload-"
NO_FILE = Path()
"""What `predict` is given where the form holds no file."""
SEVERAL_FILES = Path("..")
"""And where it holds more than one."""
CALIBRATION_BYTES = 2**14
"""Of a calibration at most so much is read: more than any has."""


class Uploads(MultipartSerde):  # type: ignore[misc]
    """BentoML's own way would fetch a URL that stands in place of the file, hold the whole file in memory and trust its
    name."""

    async def parse_request(self, request: Request, cls: Any) -> Any:
        """The arguments of `predict`."""
        try:
            form = await request.form(max_files=2, max_fields=8)
        except (HTTPException, ClientDisconnect) as error:  # no form at all, or nobody left to hear of it
            several = isinstance(error, HTTPException) and "Too many files" in str(error.detail)
            return cls.model_construct(file=SEVERAL_FILES if several else NO_FILE)
        calibration = form.get("calibration")
        if isinstance(calibration, UploadFile):  # as curl's @ sends it
            calibration = (await calibration.read(CALIBRATION_BYTES)).decode(errors="replace")
        if sum(isinstance(value, UploadFile) for name, value in form.multi_items() if name != "calibration") > 1:
            return cls.model_construct(file=SEVERAL_FILES)
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            return cls.model_construct(file=NO_FILE)
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in (upload.filename or ""))[-80:].lstrip(".-")
        path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")) / (name or "clip")
        try:
            with path.open("wb") as file:
                while block := await upload.read(2**20):
                    file.write(block)
        except BaseException:  # the disk is full, or the client is gone
            forget(path)
            raise
        return cls.model_construct(file=path, calibration=calibration)


def take_over_forms() -> None:
    """From now on forms are read by `Uploads`."""
    ALL_SERDE["multipart/form-data"] = Uploads


def forget(file: Path) -> None:
    """Delete an upload."""
    if file not in (NO_FILE, SEVERAL_FILES):
        shutil.rmtree(file.parent, ignore_errors=True)


def forget_orphans() -> None:
    """Delete what processes left that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
