"""What mmer costs before a change and after it, side by side in one run: `python -m benchmarks.speed`."""
