"""The error that a user can act on."""


class RepriseError(Exception):
    """A mistake in the user's input: one line that names the file, row or key and what to do."""
