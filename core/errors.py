"""The errors that a user can act on."""


class GeneCanvasError(Exception):
    """Something that a user can mend; its message says what was expected, what came, what to do."""


class InputError(GeneCanvasError):
    """What was given (a file, a name, a number) can't be used. The command line exits with 2."""


class DamageError(InputError):
    """Something that was kept can't be read any more, or isn't what was kept."""


class StoreError(InputError):
    """The list of runs can't be read or written at the moment, or at all."""


class WeightsError(GeneCanvasError):
    """Network weights are missing, damaged or of another architecture."""


class Cancelled(GeneCanvasError):
    """The user asked for the run to stop."""
