"""What several files of claims about the code share."""

from pathlib import Path

import pytest

from mmer.config import Params
from tests.tiny import tiny_corpus


@pytest.fixture(scope="module")
def corpus(small: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus, prepared for the parameters `small` of the file that asks."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_corpus(folder, small)
    return folder
