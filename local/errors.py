"""The one error of the local tools: a sentence for the person at the terminal."""


class LocalError(Exception):
    """Something on this machine stands in the way; the text says what failed and what to do, and is shown as it is."""
