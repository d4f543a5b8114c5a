"""Comparisons that anyone can run again: `python -m experiments.compare` (README.md)."""
