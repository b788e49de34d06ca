from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.flat_oracle import small_images
from tests.support.wall_cases import table_case

from palimpsest.attacks import Member, Reconstruction
from palimpsest.config import AttackConfig, AuditConfig, build_config
from palimpsest.datasets import ImageSet
from palimpsest.errors import DivergenceError, KnowledgeError
from palimpsest.metrics import LinkageScores
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.pipeline.stages.control import Control
from palimpsest.pipeline.stages.portfolio import Attempt, report_worst, try_members, with_linkage
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.pipeline.stages.scoring import Scored, score_attack
from palimpsest.runs import Run

CONFIG = build_config({"data": {"name": "digits"}, "scoring": {"bootstrap": 10}})
TRUTH, AUXILIARY = small_images(20, seed=1), small_images(30, seed=2)
MEMBERS = [
    Member("short", "igf-plus", {"epochs": 2}),
    Member("full", "igf-plus", {"epochs": 4}, work=10.0),
    Member("last", "igf-white", work=2.0),
]
Recover = Callable[[Run, AuditConfig], Recovered]


def found(images: torch.Tensor) -> Recovered:
    return Recovered(Reconstruction(images, {}, {}))


def recover_in(seconds: float, *, failing: dict[str, Exception] | None = None) -> Recover:
    """Recover the mean image, and record that each attack took this time, times its epochs."""

    def recover(run: Run, config: AuditConfig) -> Recovered:
        if run.label in (failing or {}):
            raise (failing or {})[run.label]
        images = AUXILIARY.images.mean(0).expand_as(TRUTH.images).contiguous()
        run.stage("inverter", Reconstruction, lambda _: Reconstruction(images, {}, {}), key=(run.label,))
        run.manifest["stages"][f"inverter-{run.label}"]["seconds"] = seconds
        return found(images)

    return recover


def tried(attempts: list[Attempt[AuditConfig]]) -> list[str]:
    return [attempt.run.label for attempt in attempts if attempt.recovered]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(60.0, ["short", "full", "last"]), (1.0, ["short", "last"]), (0.001, ["short"])],
)
def test_members_whose_estimate_exceeds_the_rest_of_the_budget_are_left_out(
    run: Run, minutes: float, expected: list[str]
) -> None:
    # The first takes 6 s, so the second is estimated at 60 s and the third at 12 s.
    attempts = try_members(run, CONFIG, MEMBERS, recover_in(6.0), minutes=minutes)
    assert tried(attempts) == expected
    assert [attempt.estimate for attempt in attempts] == [None, 60.0, 12.0]
    left_out = [attempt for attempt in attempts if attempt.recovered is None]
    assert all(attempt.out_of_time and "attack.time_budget" in attempt.not_run for attempt in left_out)


def test_members_keep_their_settings_and_the_size_of_the_control(run: Run) -> None:
    config = CONFIG.model_copy(
        update={"attack": AttackConfig.model_validate({"name": "strongest", "control_size": 7})}
    )
    attempts = try_members(run, config, MEMBERS, recover_in(1.0), minutes=60)
    assert [attempt.config.attack.name for attempt in attempts] == ["igf-plus", "igf-plus", "igf-white"]
    assert {attempt.config.attack.build().control_size for attempt in attempts} == {7}
    assert attempts[0].settings == "epochs 2"


def test_a_resumed_run_makes_the_same_choice(run: Run) -> None:
    first = try_members(run, CONFIG, MEMBERS, recover_in(6.0), minutes=1.0)

    def stored(run: Run, config: AuditConfig) -> Recovered:
        def fail(_: object) -> Reconstruction:
            raise AssertionError("the stage is finished")

        return Recovered(run.stage("inverter", Reconstruction, fail, key=(run.label,)))

    again = try_members(run, CONFIG, MEMBERS, stored, minutes=1.0)
    assert tried(again) == tried(first)
    assert [attempt.estimate for attempt in again] == [attempt.estimate for attempt in first]


def test_a_member_that_does_not_apply_is_named_and_the_others_run(run: Run) -> None:
    failing: dict[str, Exception] = {"short": KnowledgeError("no such layer"), "last": DivergenceError("NaN")}
    attempts = try_members(run, CONFIG, MEMBERS, recover_in(1.0, failing=failing), minutes=60)
    assert [attempt.not_run for attempt in attempts] == ["no such layer", "", "NaN"]
    assert not any(attempt.out_of_time for attempt in attempts)
    failing["full"] = KnowledgeError("nothing works")
    with pytest.raises(DivergenceError, match="NaN"):
        try_members(run, CONFIG, MEMBERS, recover_in(1.0, failing=failing), minutes=60)


def attempts_of(run: Run, *recovered: Recovered | None) -> list[Attempt[AuditConfig]]:
    return [
        Attempt(CONFIG, run.labeled(f"member{index}"), value, not_run="" if value else "no time.")
        for index, value in enumerate(recovered)
    ]


def score_with(truth: ImageSet | None) -> Callable[[Attempt[AuditConfig], Recovered], Scored]:
    return lambda attempt, recovered: score_attack(attempt.run, CONFIG, recovered, truth, AUXILIARY)


def test_reports_the_worst_case_by_the_true_scores(run: Run) -> None:
    near, far = TRUTH.images, TRUTH.images.roll(1, 0)
    worst = report_worst(run, attempts_of(run, found(far), found(near), None), score_with(TRUTH))
    assert [member.reported for member in worst.members] == [False, True, False]
    assert [member.identified for member in worst.members] == [0.0, 1.0, None]
    assert worst.members[2].not_run == "no time."
    assert torch.equal(worst.scored.reconstruction.images, near)
    stored = Reconstruction.load(run.folder / "reconstructions.safetensors")
    assert torch.equal(stored.images, near)


def test_without_the_truth_the_control_decides(run: Run) -> None:
    def controlled(images: torch.Tensor) -> Recovered:
        return replace(found(AUXILIARY.images[:20]), control=Control(TRUTH, Reconstruction(images, {}, {})))

    attempts = attempts_of(run, controlled(TRUTH.images), controlled(TRUTH.images.roll(1, 0)))
    worst = report_worst(run, attempts, score_with(None))
    assert [member.reported for member in worst.members] == [True, False]
    assert worst.members[0].identified is None
    controls = [member.positive_control for member in worst.members]
    assert [control.identified for control in controls if control] == [1.0, 0.0]


def test_a_single_attack_has_no_portfolio(run: Run) -> None:
    (attempt,) = attempts_of(run, found(TRUTH.images))
    worst = report_worst(run, [replace(attempt, run=run)], score_with(TRUTH))
    assert worst.members == ()
    assert with_linkage(run, (), None) == ()


def test_a_portfolio_of_one_attack_is_a_portfolio(run: Run) -> None:
    worst = report_worst(run, attempts_of(run, found(TRUTH.images)), score_with(TRUTH))
    assert [member.reported for member in worst.members] == [True]
    assert (run.folder / "reconstructions.safetensors").exists()


def test_the_linkage_attack_is_the_first_row(run: Run) -> None:
    attempts = attempts_of(run, found(TRUTH.images), None)
    members = report_worst(run, attempts, score_with(TRUTH)).members
    assert "no candidates" in with_linkage(run, members, None)[0].not_run
    links = LinkageScores("imitation", 0.9, [0.5, 0.6], 0.99, 0.05, [[0.7, 0.98], [0.3, 0.7], [0.4, 0.8]])
    first = with_linkage(run, members, links)[0]
    assert (first.attack, first.identified, first.interval) == ("linkage", 0.9, (0.7, 0.98))


def test_the_default_attack_on_rows_finds_what_the_exact_attack_finds(here: Path) -> None:
    config = table_case("linear-layer", here)
    plain = config.model_copy(
        update={"attack": AttackConfig(), "defenses": ()},
    )
    result = attack(plain, out=here / "run")
    members = {member.attack: member for member in result.metrics.portfolio}
    assert set(members) == {"linkage", "linear-layer", "igf-rows"}
    assert members["linear-layer"].reported
    assert members["linear-layer"].identified == 1.0
    assert result.metrics.reconstruction is not None
    assert result.metrics.reconstruction.identification_top1 == 1.0
    # A resumed run keeps the finished members and reaches the same result.
    (here / "run" / "scores-igf-rows.safetensors").unlink()
    again = attack(plain, out=here / "run")
    assert again.verdict == result.verdict
    assert without_seconds(again) == without_seconds(result)
    other = attack(plain, out=here / "other")
    assert without_seconds(other) == without_seconds(result)


def without_seconds(result: AuditResult) -> dict[str, Any]:
    tree = result.metrics.tree()
    del tree["seconds"]
    for member in tree["portfolio"]:
        member.pop("seconds", None)
        member.pop("estimated_seconds", None)
    return tree
