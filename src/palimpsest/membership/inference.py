"""The membership tests by name, from the outputs of the tested models and the shadow models."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from palimpsest.membership.evidence import Evidence, GroupName, ModelName, View
from palimpsest.membership.lira import lira_offline, lira_online
from palimpsest.membership.rmia import OFFLINE_A, rmia
from palimpsest.membership.ruli import ruli
from palimpsest.membership.update_aware import joint_ratio, update_attack, update_features
from palimpsest.metrics.membership_signals import confidence, loss, scaled_confidence

Needs = Literal["one model", "unlearned shadows", "both models", "proofs"]


@dataclass(frozen=True)
class MembershipTest:
    """A test that scores how likely each candidate was trained on.

    Args:
        title: Name of the test in tables.
        source: Paper and section.
        needs: What the attacker holds: one model and shadow models; also shadow models that unlearned their own
            members; or, besides, the model before unlearning; or both models and the proofs, without shadow models.
        score: Function that returns a score for each candidate, higher for members, `[n]`.
    """

    title: str
    source: str
    needs: Needs
    score: Callable[[View], Tensor]


def _yeom(view: View) -> Tensor:
    return -loss(view.logits, view.labels)


def _lira(view: View) -> Tensor:
    return lira_online(*_signals(view))


def _lira_offline(view: View) -> Tensor:
    return lira_offline(*_signals(view))


def _rmia(view: View, offline: float | None = None) -> Tensor:
    return rmia(
        confidence(view.logits, view.labels),
        confidence(view.shadows, view.labels),
        view.members,
        population=confidence(view.population, view.population_labels),
        population_shadows=confidence(view.population_shadows, view.population_labels),
        offline=offline,
    )


def _rmia_offline(view: View) -> Tensor:
    return _rmia(view, OFFLINE_A)


def _unlearned(view: View) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits before and after unlearning, and the members, of the shadow models that unlearned."""
    after = view.unlearned_shadows
    assert after is not None, "tests that need unlearned shadow models run only with them"
    return view.shadows[: len(after)], after, view.members[: len(after)]


def _u_lira(view: View) -> Tensor:
    _, after, members = _unlearned(view)
    signal = scaled_confidence(view.logits, view.labels)
    return lira_online(signal, scaled_confidence(after, view.labels), members)


def _ruli(view: View) -> Tensor:
    _, after, members = _unlearned(view)
    signal = scaled_confidence(view.logits, view.labels)
    return ruli(signal, scaled_confidence(after, view.labels), members)


def _update_aware(view: View) -> Tensor:
    before, after, members = _unlearned(view)
    return update_attack(
        update_features(view.other, view.logits, view.labels),
        update_features(before, after, view.labels),
        members,
    )


def _update_lira(view: View) -> Tensor:
    before, after, members = _unlearned(view)
    target = [scaled_confidence(logits, view.labels) for logits in (view.other, view.logits)]
    shadows = [scaled_confidence(logits, view.labels) for logits in (before, after)]
    return joint_ratio(torch.stack(target, -1), torch.stack(shadows, -1), members)


def _acceptance(view: View) -> Tensor:
    """Score by the norm on which acceptance depends: a small one is accepted."""
    assert view.proofs is not None, "tests that need proofs run only with them"
    return -view.proofs.norms


def _nearest_proof(view: View) -> Tensor:
    assert view.proofs is not None, "tests that need proofs run only with them"
    return -view.proofs.distances


def _signals(view: View) -> tuple[Tensor, Tensor, Tensor]:
    signal = scaled_confidence(view.logits, view.labels)
    return signal, scaled_confidence(view.shadows, view.labels), view.members


TESTS = {
    "yeom": MembershipTest("Yeom", "Yeom et al. 2018, section 3.2", "one model", _yeom),
    "lira": MembershipTest("LiRA", "Carlini et al. 2022, Algorithm 1", "one model", _lira),
    "lira-offline": MembershipTest("LiRA offline", "Carlini et al. 2022, Eq. 4", "one model", _lira_offline),
    "rmia": MembershipTest("RMIA", "Zarifzadeh et al. 2024, Eq. 2 and 3", "one model", _rmia),
    "rmia-offline": MembershipTest(
        "RMIA offline", "Zarifzadeh et al. 2024, appendix B.2.2", "one model", _rmia_offline
    ),
    "u-lira": MembershipTest("U-LiRA", "Hayes et al. 2024, section 4", "unlearned shadows", _u_lira),
    "ruli": MembershipTest("RULI", "Naderloui et al. 2025, Game 2", "unlearned shadows", _ruli),
    "update-aware": MembershipTest(
        "update-aware", "Chen et al. 2021, section 3", "both models", _update_aware
    ),
    "update-lira": MembershipTest(
        "update-aware LiRA",
        "Palimpsest, from Carlini et al. 2022 and Chen et al. 2021",
        "both models",
        _update_lira,
    ),
    "acceptance": MembershipTest("norm check", "IGF, section 3.1", "proofs", _acceptance),
    "proof": MembershipTest("nearest proof", "Palimpsest", "proofs", _nearest_proof),
}
"""All tests by name."""


def applicable_tests(evidence: Evidence, model: ModelName) -> list[str]:
    """Return the names of the tests that can be run on a model.

    Args:
        evidence: Outputs of the tested models and the shadow models.
        model: The tested model. Before unlearning, there is nothing that shadow models could have unlearned.
    """
    if model == "original":
        held = {"one model"}
    else:
        shadows = set[Needs]() if evidence.unlearned_shadows is None else {"unlearned shadows", "both models"}
        held = {"one model"} | shadows | (set() if evidence.proofs is None else {"proofs"})
    return [name for name, test in TESTS.items() if test.needs in held]


def membership_scores(
    evidence: Evidence, name: str, group: GroupName, model: ModelName
) -> tuple[Tensor, Tensor]:
    """Run one test.

    Args:
        evidence: Outputs of the tested models and the shadow models.
        name: Name of the test, one of `applicable_tests`.
        group: Whether forgotten or retained samples are the members.
        model: The tested model.

    Returns:
        Scores of the members and of the nonmembers, in the order of the pairs, `[pairs]` each.
    """
    pairs = evidence.pairs(group)
    scores = TESTS[name].score(evidence.view(group, model))
    return scores[:pairs], scores[pairs:]
