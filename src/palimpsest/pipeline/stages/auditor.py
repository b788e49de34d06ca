"""The auditor's side of an audit: what it makes of the proofs, knowing the clients' defences or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import nn

from palimpsest.attacks import (
    ArchitectView,
    Attack,
    AuditorView,
    Knowledge,
    Learned,
    LearnedInversion,
    Linkage,
    Reconstruction,
    link_proofs,
)
from palimpsest.config import AttackingConfig
from palimpsest.datasets import SampleSet
from palimpsest.oracles import DefendedOracle
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


@dataclass(frozen=True)
class Audited:
    """What an auditor recovered; with defences, by three attackers.

    Args:
        reconstruction: From the proofs as they were issued. Where there are defences, this attacker knows them and has
            learned through them.
        non_adaptive: The same, by an attacker who has learned from undefended differences; none without defences, or
            where a defended proof has another length than those.
        undefended: From the proofs before the defences: what the attack is worth without them; none without defences.
    """

    reconstruction: Reconstruction
    non_adaptive: Reconstruction | None = None
    undefended: Reconstruction | None = None

    @property
    def others(self) -> dict[str, Reconstruction]:
        """The other attackers' reconstructions, by name."""
        both = {"non-adaptive": self.non_adaptive, "undefended": self.undefended}
        return {name: one for name, one in both.items() if one is not None}


def attack_as_auditor(
    run: Run,
    config: AttackingConfig,
    view: AuditorView[Any],
    clean: Proofs | None,
    issued: Proofs,
    *,
    architecture: nn.Module | None,
    key: Sequence[object],
) -> Audited:
    """Attack the proofs: without defences once, with defences knowing them and not.

    Args:
        run: Where the stages are kept.
        config: Attack, defences and seed.
        view: What the auditor holds, with the proofs as they were issued.
        clean: The proofs before the defences; none where nobody has them.
        issued: The proofs as they were issued.
        architecture: The model on torch's meta device, for an attack that declares that it knows it; none where the
            auditor does not have it.
        key: What the oracle's answers depend on.
    """
    attack = config.attack.components["name"]
    view = attacker_view(attack, view, architecture=architecture)
    key = (*key, view.auxiliary, config.attack, config.seed, view.device)
    if not config.defenses:
        return Audited(**_reconstruct(run, config, view, {"reconstruction": issued}, key))
    oracle = defended_oracle(config, view, "attack")
    knowing = replace(view, oracle=oracle, stochastic_oracle=oracle.stochastic)
    targets = {} if clean is None else {"undefended": clean}
    if view.oracle.dimension == issued.vectors.shape[1]:
        targets["non_adaptive"] = issued
    return Audited(
        **_reconstruct(
            run, config, knowing, {"reconstruction": issued}, (*key, config.defenses), adaptive=True
        ),
        **(_reconstruct(run, config, view, targets, key) if targets else {}),
    )


def confirm_candidates(
    run: Run, config: AttackingConfig, view: AuditorView[Any], candidates: SampleSet, *, key: Sequence[object]
) -> Linkage:
    """The stage `confirmation`: an auditor who holds candidate images asks which of them each proof belongs to."""
    return run.stage(
        "confirmation",
        Linkage,
        lambda scratch: link_proofs(
            replace(view, scratch=scratch),
            candidates,
            defended_oracle(config, view, "confirmation").defend if config.defenses else None,
            generator=make_generator(config.seed, "confirmation"),
        ),
        key=(*key, view.proofs, candidates, view.auxiliary, config.defenses, config.seed, view.device),
    )


def defended_oracle(config: AttackingConfig, view: AuditorView[Any], purpose: str) -> DefendedOracle:
    """The auditor's own imitation of the clients' defences."""
    defenses = [defense.components["name"] for defense in config.defenses]
    return DefendedOracle(
        view.oracle,
        defenses,
        generator=make_generator(config.seed, "imitated defence", purpose),
        memory_budget=view.memory_budget // 2,
    )


def attacker_view(
    attack: Attack, view: AuditorView[Any], *, architecture: nn.Module | None
) -> AuditorView[Any]:
    """What the attack is given: the grey box, and the model's layers only if it declares that it knows them."""
    if architecture is None or Knowledge.ARCHITECTURE not in attack.knowledge:
        return view
    return ArchitectView(
        **{item.name: getattr(view, item.name) for item in fields(view)}, architecture=architecture
    )


def _reconstruct(
    run: Run,
    config: AttackingConfig,
    view: AuditorView[Any],
    targets: Mapping[str, Proofs],
    key: Sequence[object],
    *,
    adaptive: bool = False,
) -> dict[str, Reconstruction]:
    """A stage for each of the proofs; an attack that learns does so once, in a stage of its own."""
    attack = config.attack.components["name"]
    stages = {
        name: "reconstructions" if name == "reconstruction" else f"reconstructions-{name.replace('_', '-')}"
        for name in targets
    }
    generator = make_generator(config.seed, "attack")
    if not isinstance(attack, LearnedInversion):
        return {
            name: run.stage(
                stages[name],
                Reconstruction,
                lambda scratch, proofs=proofs: attack(
                    replace(view, proofs=proofs.vectors, scratch=scratch), generator=generator
                ),
                key=(*key, proofs),
            )
            for name, proofs in targets.items()
        }
    learned = run.stage(
        "inverter-adaptive" if adaptive else "inverter",
        Learned,
        lambda scratch: attack.learn(replace(view, scratch=scratch), generator=generator),
        key=key,
    )
    return {
        name: run.stage(
            stages[name],
            Reconstruction,
            lambda _, proofs=proofs: attack.invert(learned, proofs.vectors, device=view.device),
            key=(learned, proofs),
        )
        for name, proofs in targets.items()
    }
