"""The ways a command can end badly, and the exit code of each."""


class UserError(Exception):
    """The configuration or the data are wrong; the program ends with exit code 2.

    The text is the whole message a user sees: where (file, line or key), what is wrong, and what would be right.
    """

    exit_code = 2


class SolverError(Exception):
    """No further finite step exists; the program ends with exit code 3, after writing what it has."""

    exit_code = 3


class CheckError(Exception):
    """A check found the program itself wrong: a derivative is not what every other way says; exit code 3."""

    exit_code = 3


class SystemRefusal(Exception):
    """The system refused: the disk is full, memory is short, a file may not be written, the output is closed.

    The program ends with exit code 4. The text is the whole message: what was refused, why, and what was kept.
    """

    exit_code = 4
