"""EMOTIC's annotations as its owners' file holds them: made up, for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat


def matlab(value: Any) -> Any:
    """As MATLAB keeps it: a list of texts is a cell array, one of structs a struct array."""
    if isinstance(value, dict):
        return {name: matlab(held) for name, held in value.items()}
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], dict):
        array = np.empty((1, len(value)), [(name, object) for name in value[0]])
        for place, struct in enumerate(value):
            for name, held in struct.items():
                array[0, place][name] = matlab(held)
        return array
    cells = np.empty((1, len(value)), object)
    cells[0] = value
    return cells


def person(categories: Sequence[str], valence: float = 10, arousal: float = 1, judges: int = 1) -> dict[str, Any]:
    """As one judge annotated her, or as several did (in `val` and `test`), whose combination stands beside them."""
    named, felt = {"categories": list(categories)}, {"valence": valence, "arousal": arousal, "dominance": 5}
    if judges == 1:
        return {"body_bbox": [1, 1, 9, 9], "annotations_categories": named, "annotations_continuous": felt}
    return {
        "body_bbox": [1, 1, 9, 9],
        "annotations_categories": [named] * judges,
        "combined_categories": list(categories),
        "annotations_continuous": [felt] * judges,
        "combined_continuous": felt,
    }


def write_annotations(root: Path, **parts: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """Annotations.mat: of each part the pictures (`mscoco/1.jpg`), and the people in each."""
    held = {}
    for part in ("train", "val", "test"):
        pictures = [(name.split("/"), people) for name, people in parts.get(part, [])]
        held[part] = [
            {"filename": file, "folder": f"{folder}/images", "person": people} for (folder, file), people in pictures
        ]
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    savemat(root / "Annotations" / "Annotations.mat", {part: matlab(pictures) for part, pictures in held.items()})
