"""Attempts of a portfolio's members within a time budget, and the choice of the worst case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, Self, TypeVar

from palimpsest.attacks import BatchReconstruction, Member, Reconstruction, Strongest
from palimpsest.config import AttackConfig, AttackingConfig
from palimpsest.datasets import SampleSet
from palimpsest.errors import DivergenceError, KnowledgeError, ModelError
from palimpsest.metrics import LinkageScores, MemberMetrics, judge_control
from palimpsest.pipeline.stages.recovered import Inverter, Recovered
from palimpsest.pipeline.stages.scoring import Scored, score_attack
from palimpsest.progress import warn
from palimpsest.runs import Run


class _Configuration(AttackingConfig, Protocol):
    """A configuration with an attack that can be replaced."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """Return a copy with other values."""
        ...


C = TypeVar("C", bound=_Configuration)


@dataclass(frozen=True)
class Attempt(Generic[C]):
    """One attack that was run or left out.

    Args:
        config: The configuration with this attack.
        run: The run, which adds the attack's label to the names of its stages.
        recovered: The reconstructions; None if the attack was not run or failed.
        not_run: Reason why there are no reconstructions; empty if there are.
        out_of_time: Whether the attack was left out because of the time budget.
        estimate: Estimated seconds; None means that nothing was there to estimate from.
        settings: Settings that differ from the attack's defaults.
    """

    config: C
    run: Run
    recovered: Recovered | None
    not_run: str = ""
    out_of_time: bool = False
    estimate: float | None = None
    settings: str = ""

    @property
    def seconds(self) -> float:
        """Recorded time of the attempt's stages, in seconds; the same for a resumed run."""
        return sum(self.run.labeled_seconds().values())


@dataclass(frozen=True)
class Worst:
    """The attack that recovers the most, and the results of all.

    Args:
        attack: The reported attack.
        scored: Its reconstructions and scores.
        members: Results of all attacks; empty if only one attack was configured.
        inverter: The trained attack; see `Recovered`.
    """

    attack: AttackConfig
    scored: Scored
    members: tuple[MemberMetrics, ...] = ()
    inverter: Inverter | None = None


def attempt_on_proofs(
    run: Run,
    config: C,
    auxiliary: SampleSet,
    recover: Callable[[Run, C], Recovered],
    *,
    architecture: bool,
    aggregated: bool = False,
) -> list[Attempt[C]]:
    """Run the configured attack on proofs, or the portfolio's attacks.

    Args:
        run: The run.
        config: The configuration.
        auxiliary: The auditor's auxiliary samples.
        recover: Runs a configuration's attack.
        architecture: Whether the auditor knows the model's architecture.
        aggregated: Whether a proof is a mean over several samples.
    """
    attack = config.attack.build()
    if not isinstance(attack, Strongest):
        return single_attempt(run, config, recover)
    members = attack.against_proofs(auxiliary, architecture=architecture, aggregated=aggregated)
    return try_members(run, config, members, recover, minutes=attack.minutes(auxiliary))


def with_linkage(
    run: Run, members: tuple[MemberMetrics, ...], links: LinkageScores | None
) -> tuple[MemberMetrics, ...]:
    """Add the linkage attack, which needs candidates, to the results of a portfolio.

    Args:
        run: The run.
        members: Results of the other attacks; if empty, nothing is added.
        links: Scores of the linkage attack; None if it was not run.
    """
    if not members:
        return ()
    if links is None:
        reason = (
            "no candidates are known, or the oracle can't be queried about them within its limit and the "
            "memory budget."
        )
        return (MemberMetrics(attack="linkage", not_run=reason), *members)
    low, high = links.intervals[0]
    linkage = MemberMetrics(
        attack="linkage",
        seconds=run.seconds().get("linkage"),
        identified=links.identified,
        interval=(low, high),
    )
    return (linkage, *members)


def single_attempt(run: Run, config: C, recover: Callable[[Run, C], Recovered]) -> list[Attempt[C]]:
    """Run the configured attack alone.

    Args:
        run: The run.
        config: The configuration.
        recover: Runs a configuration's attack.
    """
    return [Attempt(config, run, recover(run, config))]


def try_members(
    run: Run,
    config: C,
    members: Sequence[Member],
    recover: Callable[[Run, C], Recovered],
    *,
    minutes: float,
) -> list[Attempt[C]]:
    """Run the members of a portfolio in order, as long as their estimated times fit into the time budget.

    A member's time is estimated from the recorded time and the work of the first one that trained or searched. The
    first member with work always runs. A member that does not apply to the model or diverges is left out.

    Args:
        run: The run.
        config: The configuration of the portfolio.
        members: The portfolio, cheapest first.
        recover: Runs a configuration's attack.
        minutes: The time budget.

    Returns:
        One attempt for each member.

    Raises:
        PalimpsestError: All members failed; the error is that of the last one.
    """
    attempts: list[Attempt[C]] = []
    pace: float | None = None
    failure: Exception | None = None
    for member in members:
        attempt = _prepared(run, config, member, pace)
        left = 60 * minutes - sum(finished.seconds for finished in attempts)
        if attempt.estimate is not None and attempt.estimate > left:
            attempts.append(_left_out(attempt, attempt.estimate, left))
            continue
        try:
            attempt = replace(attempt, recovered=recover(attempt.run, attempt.config))
        except (DivergenceError, KnowledgeError, ModelError) as error:
            failure = error
            warn(f"{member.attack} gave no result: {error}")
            attempt = replace(attempt, not_run=str(error))
        attempts.append(attempt)
        if attempt.recovered is not None and member.work and pace is None:
            pace = attempt.seconds / member.work
    if failure is not None and all(attempt.recovered is None for attempt in attempts):
        raise failure
    return attempts


def _prepared(run: Run, config: C, member: Member, pace: float | None) -> Attempt[C]:
    """Return an attempt of a member with its configuration and estimate, before it is run."""
    control_size = config.attack.build().control_size
    attack = AttackConfig.model_validate(
        {"name": member.attack, "control_size": control_size, **member.settings}
    )
    return Attempt(
        config.model_copy(update={"attack": attack}),
        run.labeled(member.label),
        None,
        estimate=None if pace is None else pace * member.work,
        settings=", ".join(f"{name} {value}" for name, value in member.settings.items()),
    )


def _left_out(attempt: Attempt[C], estimate: float, left: float) -> Attempt[C]:
    reason = (
        f"its estimated time of {estimate:.0f} s exceeds the {max(0.0, left):.0f} s that are left of the time budget. "
        "Raise attack.time_budget."
    )
    return replace(attempt, not_run=reason, out_of_time=True)


def report_worst(
    run: Run, attempts: Sequence[Attempt[C]], score: Callable[[Attempt[C], Recovered], Scored]
) -> Worst:
    """Score all attempts, and choose the one that recovers the most.

    With the forgotten samples, that is the highest identification rate, then the smallest error. Without them, it is
    the best on the samples that the attacker kept aside. The choice is made here, after the last reconstruction.

    Args:
        run: The run.
        attempts: The attempts, at least one of them with reconstructions.
        score: Scores an attempt that has reconstructions.

    Returns:
        The worst case, and the results of all attempts.
    """
    scored = {
        index: score(attempt, attempt.recovered)
        for index, attempt in enumerate(attempts)
        if attempt.recovered is not None
    }
    worst = max(scored, key=lambda index: _success(scored[index]))
    reported = scored[worst]
    found = attempts[worst].recovered
    assert found is not None, "only attempts with reconstructions are scored"
    if len(attempts) == 1 and attempts[0].run is run:  # A portfolio gives even a single attack a labeled run.
        return Worst(attempts[worst].config.attack, reported, inverter=found.inverter)
    kind = type(found.reconstruction)
    assert kind in (Reconstruction, BatchReconstruction), "attacks return these"
    run.stage("reconstructions", kind, lambda _: found.reconstruction, key=(found.reconstruction,))
    members = (
        _member(attempt, scored.get(index), reported=index == worst) for index, attempt in enumerate(attempts)
    )
    return Worst(attempts[worst].config.attack, reported, tuple(members), found.inverter)


def report_on_proofs(
    run: Run,
    attempts: Sequence[Attempt[C]],
    forgotten: SampleSet | None,
    auxiliary: SampleSet,
    links: LinkageScores | None,
) -> Worst:
    """Score all attempts on proofs, choose the one that recovers the most, and add the linkage attack to the results.

    Args:
        run: The run.
        attempts: As for `report_worst`.
        forgotten: The forgotten samples, in the order of the proofs; None if they are unknown.
        auxiliary: The attacker's auxiliary samples.
        links: Scores of the linkage attack; None if it was not run.

    Returns:
        The worst case, and the results of all attempts.
    """
    worst = report_worst(
        run,
        attempts,
        lambda attempt, recovered: score_attack(
            attempt.run, attempt.config, recovered, forgotten, auxiliary, links
        ),
    )
    return replace(worst, members=with_linkage(run, worst.members, links))


def _success(scored: Scored) -> tuple[float, float]:
    """Return the identification rate and the negative error, on the forgotten samples or the kept-aside ones."""
    scores = scored.scores or scored.control
    if scores is None:
        return 0.0, 0.0
    judged = judge_control(scores)
    return judged.identified, -judged.mse


def _member(attempt: Attempt[Any], scored: Scored | None, *, reported: bool) -> MemberMetrics:
    judged = judge_control(scored.scores) if scored and scored.scores else None
    return MemberMetrics(
        attack=attempt.config.attack.name,
        settings=attempt.settings,
        reported=reported,
        not_run=attempt.not_run,
        out_of_time=attempt.out_of_time,
        seconds=attempt.seconds if attempt.recovered else None,
        estimated_seconds=attempt.estimate,
        identified=judged and judged.identified,
        interval=judged and judged.interval,
        mse=judged and judged.mse,
        mse_interval=judged and judged.mse_interval,
        positive_control=judge_control(scored.control) if scored and scored.control else None,
    )
