"""Make the teacher's weights of OpenAI's own: the audio encoder of whisper's base.pt as a safetensors file.

    python -m scripts.whisper_encoder base.pt MIRROR/whisper/base_encoder.safetensors

`base.pt` is what the package openai-whisper downloads for `whisper.load_model("base")` (MIT). Only numbers are read.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Write the encoder alone, as float16, with OpenAI's key names."""
    parser = argparse.ArgumentParser(prog="python -m scripts.whisper_encoder", description=__doc__)
    parser.add_argument("source", type=Path, help="OpenAI's base.pt")
    parser.add_argument("target", type=Path, help="whisper/base_encoder.safetensors below MMER_MIRROR")
    given = parser.parse_args()
    import torch
    from safetensors.torch import save_file

    weights = torch.load(given.source, map_location="cpu", weights_only=True)["model_state_dict"]
    encoder = {key: value.half().contiguous() for key, value in weights.items() if key.startswith("encoder.")}
    given.target.parent.mkdir(parents=True, exist_ok=True)
    save_file(encoder, given.target, {"licence": "MIT", "source": "OpenAI whisper, base"})
    print(f"{given.target}: {sum(value.numel() for value in encoder.values()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
