"""Exceptions of the package; each message names the problem, the value and the remedy."""


class PalimpsestError(Exception):
    """Base class of all errors that a user can correct; the command line ends with code 2.

    Example:
        >>> from palimpsest import read_config
        >>> try:
        ...     read_config("digts")
        ... except PalimpsestError as error:
        ...     print(error)
        There is no preset 'digts': did you mean 'digits'? `palimpsest presets` lists them, ...
    """


class ConfigurationError(PalimpsestError):
    """A key, type, value or name is not accepted."""


class MissingDependencyError(PalimpsestError):
    """An optional package that the configuration needs is not installed."""


class DatasetError(PalimpsestError):
    """A data set is missing or unreadable, or its samples have mixed shapes or labels out of range."""


class ModelError(PalimpsestError):
    """A model does not accept its samples, or a layer has no per-sample gradient."""


class CheckpointError(PalimpsestError):
    """A stored tensor is missing, truncated, or of the wrong shape."""


class ProofError(PalimpsestError):
    """Proofs have the wrong dimension or type, or values that are not finite."""


class FederationError(PalimpsestError):
    """Too few clients replied in a round, or an engine can't run."""


class UnlearningError(PalimpsestError):
    """An unlearning request names no samples, all samples, or samples that do not exist."""


class DivergenceError(PalimpsestError):
    """A loss or a parameter is no longer finite."""


class OracleError(PalimpsestError):
    """An oracle can't be reached, stops responding, returns invalid answers, or has no query budget left."""


class KnowledgeError(PalimpsestError):
    """An attack needs knowledge that its attacker does not have."""


class RunError(PalimpsestError):
    """A run folder can't be used: it belongs to another run, is in use, or is not writable."""


class ResourceError(PalimpsestError):
    """Too little memory or disk space for the next stage."""


class BoundError(PalimpsestError):
    """A measurement exceeds a proven bound, so that a defense is not what it describes."""


class ReproductionError(PalimpsestError):
    """Some cells of a table could not be computed."""
