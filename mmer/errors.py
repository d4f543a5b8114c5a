"""The root of every error whose message is written for the user."""


class MmerError(Exception):
    """Says which file or setting, what is wrong and what to do: a command prints it as it is, without a traceback."""
