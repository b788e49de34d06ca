"""What can go wrong, as types: each message names the thing, the value and the remedy."""


class PalimpsestError(Exception):
    """Anything the person at the keyboard can put right; the command line ends with code 2."""


class ConfigurationError(PalimpsestError):
    """A key, a type, a range or a name that is not accepted."""


class MissingDependencyError(PalimpsestError):
    """An optional package that the configuration needs is not installed."""


class DatasetError(PalimpsestError):
    """Images that are missing, unreadable, of mixed sizes, or labeled out of range."""


class ModelError(PalimpsestError):
    """A model that does not fit its images, or a layer that has no per-sample gradient."""


class CheckpointError(PalimpsestError):
    """A stored value that is missing, truncated, or of the wrong shape."""


class ProofError(PalimpsestError):
    """Proofs of the wrong dimension or type, or with values that are not finite."""


class FederationError(PalimpsestError):
    """A round that too few clients answered, or an engine that cannot run."""


class UnlearningError(PalimpsestError):
    """A request to forget that names nothing, everything, or what is not there."""


class DivergenceError(PalimpsestError):
    """A loss or a parameter that stopped being finite."""


class OracleError(PalimpsestError):
    """An auditor's oracle that can't be asked, breaks off, answers what can't be true, or has been asked enough."""


class KnowledgeError(PalimpsestError):
    """An attack that needs more than its attacker would hold."""


class ArtifactsError(PalimpsestError):
    """Pieces that somebody brings and that do not fit together."""


class RunError(PalimpsestError):
    """A run folder that cannot be used: another run's, in use, or not writable."""


class ResourceError(PalimpsestError):
    """Too little memory or disk for the stage that was about to start."""


class ReproductionError(PalimpsestError):
    """Cells of a table that could not be computed."""
