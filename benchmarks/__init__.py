"""Speed, memory and size, each measured by one command: `python -m benchmarks.budgets`. Run from the repository."""
