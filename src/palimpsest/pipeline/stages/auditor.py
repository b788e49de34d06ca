"""Stages of the auditor's attack on proofs, with and without knowledge of the clients' defenses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import nn

from palimpsest.attacks import (
    ArchitectView,
    Attack,
    AuditorView,
    Knowledge,
    Linkage,
    ModelsView,
    Reconstruction,
    TrainedAttack,
    link_proofs,
)
from palimpsest.config import AttackingConfig
from palimpsest.datasets import GroupSet, ImageSet, SampleSet
from palimpsest.oracles import DefendedOracle
from palimpsest.pipeline.stages.control import Control, control_proofs, keep_aside
from palimpsest.pipeline.stages.groups import aggregated, control_of_groups, group_aside
from palimpsest.pipeline.stages.recovered import Inverter, Recovered
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run

_CONTROL = "control"


@dataclass(frozen=True)
class HeldModels:
    """The models that an auditor may hold.

    Args:
        architecture: The model on torch's meta device: layers and shapes, no values.
        original: The model before unlearning, in evaluation mode.
        unlearned: The model after unlearning.
    """

    architecture: nn.Module
    original: nn.Module
    unlearned: nn.Module


def attack_as_auditor(
    run: Run,
    config: AttackingConfig,
    view: AuditorView[Any],
    clean: Proofs | None,
    issued: Proofs,
    *,
    models: HeldModels | None,
    key: Sequence[object],
) -> Recovered:
    """Attack the proofs, and proofs of samples that the attacker keeps aside from the attack's training.

    If there are defenses, attack the proofs with and without knowledge of the defenses. An attack on aggregated proofs
    learns from the auditor's own groups, and its positive control consists of groups too.

    Args:
        run: The run that stores the stages.
        config: Attack, defenses and seed.
        view: The auditor's view, with the issued proofs.
        clean: The proofs before the defenses; None if they are unknown.
        issued: The proofs that the clients issued.
        models: The models, for attacks that declare that they know them; None if the auditor does not have them.
        key: Everything that the oracle's answers depend on.

    Returns:
        The reconstructions of each attacker, one for each proof, and the positive control.
    """
    attack = config.attack.build()
    view, aside, control_view = _prepared(view, attack.control_size, seed=config.seed)
    view = attacker_view(attack, view, models)
    if view.group_sizes:
        key = (*key, view.group_sizes)
    answers_key = (*key, config.seed, view.device)
    key = (*key, view.auxiliary, config.attack, config.seed, view.device)
    if not config.defenses:
        control = (
            {_CONTROL: control_proofs(run, control_view.oracle, aside, key=answers_key)} if aside else {}
        )
        found, inverter = _reconstruct(run, config, view, {"": issued} | control, key)
        return _with_control(found, {}, aside, inverter)
    oracle = defended_oracle(config, view, "attack")
    control = {}
    if aside:
        imitation = defended_oracle(config, control_view, "positive control")
        control[_CONTROL] = control_proofs(run, imitation, aside, key=(*answers_key, config.defenses))
    adaptive_view = replace(view, oracle=oracle, stochastic_oracle=oracle.stochastic)
    adaptive, inverter = _reconstruct(
        run, config, adaptive_view, {"": issued} | control, (*key, config.defenses), adaptive=True
    )
    targets = {}
    if view.oracle.dimension == issued.vectors.shape[1]:
        targets["non-adaptive"] = issued
    if clean is not None:
        targets["undefended"] = clean
    others = _reconstruct(run, config, view, targets, key)[0] if targets else {}
    return _with_control(adaptive, others, aside, inverter)


def _with_control(
    main: Mapping[str, Reconstruction],
    others: Mapping[str, Reconstruction],
    aside: SampleSet | None,
    inverter: Inverter | None,
) -> Recovered:
    if isinstance(aside, GroupSet):
        return Recovered(main[""], others, control_of_groups(aside, main[_CONTROL]), inverter)
    return Recovered(main[""], others, Control(aside, main[_CONTROL]) if aside else None, inverter)


def _prepared(
    view: AuditorView[Any], control_size: int, *, seed: int
) -> tuple[AuditorView[Any], SampleSet | None, AuditorView[Any]]:
    """Return the attack's view, the samples or groups of the positive control, and the view that answers about these.

    Too few kept-aside images for groups of the proofs' sizes are not kept aside.
    """
    rest, aside = keep_aside(view, control_size, seed=seed)
    if not view.group_sizes:
        return rest, aside, rest
    groups = group_aside(view, aside if isinstance(aside, ImageSet) else None, seed=seed)
    rest = rest if groups else view
    control_view = replace(view, oracle=aggregated(view, groups.pool)) if groups else view
    return replace(rest, oracle=aggregated(rest, rest.auxiliary)), groups, control_view


def link_candidates(
    run: Run, config: AttackingConfig, view: AuditorView[Any], candidates: SampleSet, *, key: Sequence[object]
) -> Linkage:
    """Run the stage `linkage`: link each proof to one of the samples that the auditor suspects.

    Args:
        run: The run that stores the stage.
        config: Defenses and seed.
        view: The auditor's view.
        candidates: Samples that may include the samples behind the proofs.
        key: Everything that the oracle's answers depend on.

    Returns:
        A score for each pair of a proof and a candidate.
    """
    return run.stage(
        "linkage",
        Linkage,
        lambda scratch: link_proofs(
            replace(view, scratch=scratch),
            candidates,
            defended_oracle(config, view, "linkage").defend if config.defenses else None,
            generator=make_generator(config.seed, "linkage"),
        ),
        key=(*key, view.proofs, candidates, view.auxiliary, config.defenses, config.seed, view.device),
    )


def defended_oracle(config: AttackingConfig, view: AuditorView[Any], purpose: str) -> DefendedOracle:
    """Make an oracle on which the auditor imitates the clients' defenses.

    Args:
        config: Defenses and seed.
        view: The auditor's view.
        purpose: Name of the use; each one has a random sequence of its own.
    """
    defenses = [defense.build() for defense in config.defenses]
    return DefendedOracle(
        view.oracle,
        defenses,
        generator=make_generator(config.seed, "imitated defense", purpose),
        memory_budget=view.memory_budget // 2,
    )


def attacker_view(attack: Attack, view: AuditorView[Any], models: HeldModels | None) -> AuditorView[Any]:
    """Build the view that the attack receives, with the models only as far as the attack declares that it knows them.

    Args:
        attack: The attack.
        view: The auditor's view.
        models: The models, or None.
    """
    held = {item.name: getattr(view, item.name) for item in fields(view)}
    if models is None or Knowledge.ARCHITECTURE not in attack.knowledge:
        return view
    if Knowledge.PARAMETERS not in attack.knowledge:
        return ArchitectView(**held, architecture=models.architecture)
    return ModelsView(
        **held, architecture=models.architecture, original=models.original, unlearned=models.unlearned
    )


def _reconstruct(
    run: Run,
    config: AttackingConfig,
    view: AuditorView[Any],
    targets: Mapping[str, Proofs],
    key: Sequence[object],
    *,
    adaptive: bool = False,
) -> tuple[dict[str, Reconstruction], Inverter | None]:
    """Run a stage for each set of proofs. A trained attack is trained once, in a separate stage, and returned."""
    attack = config.attack.build()
    stages = {name: f"reconstructions-{name}" if name else "reconstructions" for name in targets}
    if not isinstance(attack, TrainedAttack):
        return {
            name: run.stage(
                stages[name],
                Reconstruction,
                lambda scratch, proofs=proofs: attack(
                    replace(view, proofs=proofs.vectors, scratch=scratch),
                    generator=make_generator(config.seed, "attack"),
                ),
                key=(*key, proofs),
            )
            for name, proofs in targets.items()
        }, None
    learned = run.stage(
        "inverter-adaptive" if adaptive else "inverter",
        attack.state,
        lambda scratch: attack.learn(
            replace(view, scratch=scratch), generator=make_generator(config.seed, "attack")
        ),
        key=key,
    )
    inverter = Inverter(attack, learned, view.device)
    return {
        name: run.stage(
            stages[name],
            Reconstruction,
            lambda _, proofs=proofs: inverter(proofs.vectors),
            key=(learned, proofs),
        )
        for name, proofs in targets.items()
    }, inverter
