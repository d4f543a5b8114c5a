"""MTCNN's three networks as ONNX graphs, so that faces are found without torch.

The weights are those inside the facenet-pytorch package (Zhang et al. 2016, "Joint Face Detection and Alignment Using
Multitask Cascaded Convolutional Networks").
"""

from __future__ import annotations

import warnings
from pathlib import Path

from mmer.packaging.prelu import vectorise


def export_detector(folder: Path) -> None:
    """Write `pnet.onnx`, `rnet.onnx` and `onet.onnx`, about 2 MB together; the same package gives the same bytes.

    Each takes `images`, float32 [N, 3, H, W] in -1..1, with N free, and gives `offsets` (of the box's sides, as
    shares of its size) and `scores` (no face, face); the O-Net gives `landmarks` too. H and W are free for the P-Net,
    24 for the R-Net and 48 for the O-Net.
    """
    import torch
    from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

    folder.mkdir(parents=True, exist_ok=True)
    for name, network, side, outputs in (
        ("pnet", PNet(), 24, ["offsets", "scores"]),
        ("rnet", RNet(), 24, ["offsets", "scores"]),
        ("onet", ONet(), 48, ["offsets", "landmarks", "scores"]),
    ):
        vectorise(network, exact=True)
        picture, grid = {0: "n"}, {0: "n"}
        if name == "pnet":  # fully convolutional: one window for each place of a picture of any size
            picture, grid = {0: "n", 2: "height", 3: "width"}, {0: "n", 2: "rows", 3: "columns"}
        with warnings.catch_warnings(action="ignore"):  # of its age
            torch.onnx.export(
                network.eval(),
                (torch.zeros(2, 3, side, side),),
                folder / f"{name}.onnx",
                input_names=["images"],
                output_names=outputs,
                dynamic_axes={"images": picture, **dict.fromkeys(outputs, grid)},
                dynamo=False,  # torch's older exporter: it keeps the free sizes free
            )
