"""The errors that a caller may want to catch; every message says what is wrong, where, and what to do."""


class GraphtaskError(Exception):
    """Base of every error that graphtask raises on purpose."""


class GraphError(GraphtaskError, ValueError):
    """A graph breaks a rule of the architecture graph.

    Attributes:
        fact: The message without the remedy.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.fact = message


class DisconnectedError(GraphError):
    """No path leads from the input to the output any more."""


class ArgumentError(GraphtaskError, ValueError):
    """An argument is invalid.

    Attributes:
        argument: Name of the argument in the signature; empty if the error concerns several.
    """

    def __init__(self, message: str, *, argument: str = "") -> None:
        super().__init__(message)
        self.argument = argument


class FormatError(GraphtaskError, ValueError):
    """A file is not what its name or its place promises, or is not safe to read."""


class DataError(GraphtaskError, ValueError):
    """A data set cannot be found, read, or used for training."""


class RunError(GraphtaskError):
    """A run folder, or a checkpoint in it, is missing, damaged, or belongs to another run."""


class RunInUseError(RunError):
    """Another process is training the run."""


class DivergedError(GraphtaskError):
    """Training produced a loss that is not finite."""


class RunInterruptedError(GraphtaskError):
    """Training was asked to stop, saved its state, and can be resumed."""
