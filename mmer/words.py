"""Counts in the sentences of reports."""


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 speaker", "1,440 clips"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
