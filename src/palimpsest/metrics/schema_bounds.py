"""Section of `metrics.json` with bounds on what any attack on the proofs could do."""

from palimpsest.metrics.schema_parts import Interval, Part


class IdentificationBounds(Part):
    """Largest expected share of proofs that any attack links to the right candidate."""

    candidates: int
    """Number n of equally likely candidates: the forgotten samples."""
    chance: float
    """Share of a random guess, 1/n."""
    optimum: float | None = None
    """Simulated share of the best possible attack on one proof, which knows the noise and the undefended proof of every
    candidate, in [0, 1]."""
    optimum_interval: Interval | None = None
    """Exact 95 % interval of that share over the simulated proofs."""
    candidate_bound: float | None = None
    """Proven bound for one proof and these candidates, in [1/n, 1]."""
    joint_bound: float | None = None
    """Proven bound for an attack that sees the proofs of all candidates together, in [1/n, 1]."""
    any_candidates_bound: float | None = None
    """Proven bound for one proof and any n candidates, in [1/n, 1]; absent if the defense does not limit the norm."""
    all_releases_bound: float | None = None
    """The same for all releases of a proof that the defense is made for together."""

    @property
    def bound(self) -> float | None:
        """The smallest proven bound for an attack on one proof; None if there is none."""
        known = [bound for bound in (self.candidate_bound, self.any_candidates_bound) if bound is not None]
        return min(known, default=None)


class ErrorBounds(Part):
    """Smallest expected squared error of any attack, per pixel or column, in the unit of `reconstruction.mse`."""

    bayes_error: float
    """Error of the best attack if the forgotten sample was one of the auxiliary samples. If forgotten and auxiliary
    samples are drawn from one distribution, no attack has a smaller error in expectation. At least 0."""
    bayes_interval: Interval
    """Its 95 % interval over samples and noise."""
    prior_samples: int
    """Number of auxiliary samples behind it; more of them make the bound larger."""
    van_trees: float | None = None
    """Bound for an attacker who knows the labels, if the images of a class were Gaussian with the auxiliary images'
    covariance and the proof had no jumps, at least 0. An attack that exploits other properties of images may have a
    smaller error."""
    van_trees_deviation: float | None = None
    """Standard error of that estimate over its random probes."""
    local_mean: float | None = None
    """Mean over images of the same expression with the derivative at one image: the error that remains near it."""
    local_range: Interval | None = None
    """Smallest and largest of these values."""
    images: int | None = None
    """Number of auxiliary images at which the derivative was taken."""
    class_mean: float | None = None
    """Value of `van_trees` if the proof revealed nothing: the error of the mean image of the correct class."""
    missing: str | None = None
    """Reason why `van_trees` is absent."""


class EpsilonMetrics(Part):
    """Privacy loss of the release of a proof: what was measured, and what the noise guarantees."""

    delta: float
    """Probability with which the privacy loss may exceed epsilon."""
    analytic: float | None = None
    """Epsilon between the two auxiliary samples of the test that follows from the noise; absent without a guarantee."""
    any_samples: float | None = None
    """Epsilon between any two samples, for all releases of a proof; absent without a guarantee."""
    measured: float
    """Lower bound of epsilon from a test between two auxiliary samples (95 %, Clopper-Pearson), at least 0; it can't
    exceed a limit that grows with the number of releases."""
    measured_gaussian: float
    """Lower bound of epsilon from the same test if the noise is Gaussian."""
    statistic: str
    """Statistic of the test: one of the linkage attack's, or `difference`."""
    power: float
    """Share of the first sample's releases that the test accepts, in [0, 1]."""
    level: float
    """Share of the second sample's releases that the test accepts, in [0, 1]."""
    releases: int
    """Number of releases of each sample behind these shares."""
    one_run: float
    """Lower bound of epsilon from one release of each canary (95 %; Steinke, Nasr and Jagielski 2023)."""
    one_run_analytic: float | None = None
    """Epsilon of the most different pair among the canaries that follows from the noise."""
    canaries: int
    """Number of canaries, each one of two auxiliary samples."""
    guesses: int
    """Number of canaries about which the attack guesses."""
    correct: int
    """Number of correct guesses."""


class BoundsMetrics(Part):
    """Bounds on what any attack on the proofs could do, given the two models."""

    reason: str | None = None
    """Reason why there is none, such as `no bound: the proof is a fixed function of the sample`; absent if there is
    one."""
    sigma: float | None = None
    """Standard deviation of the noise in each coordinate."""
    identification: IdentificationBounds | None = None
    """Identification of a proof's sample among candidates."""
    error: ErrorBounds | None = None
    """Error of a reconstruction."""
    epsilon: EpsilonMetrics | None = None
    """Measured and guaranteed privacy loss; absent if the defense has no randomness."""
