"""A clip or a live stream in, emotions out: onnxruntime and numpy, never torch. `web/runtime/` is its twin."""
