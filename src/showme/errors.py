"""The one error that says: what the user gave cannot be used."""


class InputError(ValueError):
    """The input is at fault, not the program; the command line answers with exit code 2.

    The message is one sentence that names the file or the setting and says what to do.
    """
