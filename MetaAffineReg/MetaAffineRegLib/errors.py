"""The two exceptions that callers are expected to handle."""


class InputError(ValueError):
    """What the user gave can't be used; the text is one sentence that says what is wrong and what to do."""


class Cancelled(Exception):
    """The caller asked for the work to stop; nothing was changed."""
