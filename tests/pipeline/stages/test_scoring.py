from typing import Any

import pytest
import torch
from tests.support.flat_oracle import small_images

from palimpsest.attacks import AuditorView, BatchReconstruction, Reconstruction
from palimpsest.config import AuditConfig, build_config
from palimpsest.datasets import ImageSet, RowSet, TokenSet
from palimpsest.metrics import SampleScores, Scores
from palimpsest.pipeline.results.rates import identification_rates
from palimpsest.pipeline.stages import auditor, scoring
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.pipeline.stages.scoring import score, score_attack, score_batches, score_links
from palimpsest.runs import Run

LABELS = torch.arange(4) % 2


def configured(**keys: Any) -> AuditConfig:
    return build_config({"data": {"name": "digits"}, "scoring": {"bootstrap": 10}, **keys})


def drawn_images(count: int, seed: int) -> ImageSet:
    generator = torch.Generator().manual_seed(seed)
    return ImageSet("drawn", torch.rand(count, 1, 12, 12, generator=generator), torch.arange(count) % 2, 2)


def in_pairs() -> AuditConfig:
    """Batches of three retained and two forgotten samples."""
    return configured(observation={"retained": 3, "forgotten": 2}, unlearning={"count": 4})


def swapped(forgotten: ImageSet, retained: ImageSet, *, prior: bool = False) -> BatchReconstruction:
    """The originals of two batches of two, in the wrong order within each batch."""
    order, nothing = torch.tensor([1, 0, 3, 2]), torch.empty(0, *forgotten.shape)
    return BatchReconstruction(
        images=forgotten.images[order],
        history={},
        facts={},
        labels=forgotten.labels[order],
        retained=retained.images,
        objectives=torch.zeros(2),
        prior=forgotten.images * 0 if prior else nothing,
    )


ROWS = RowSet("rows", torch.eye(4), LABELS, 2, ("a", "b", "c", "d"))
TOKENS = TokenSet("tokens", torch.arange(12).view(4, 3), LABELS, 2)


@pytest.mark.parametrize(
    ("samples", "kind", "best"),
    [
        (drawn_images(4, 1), Scores, ("mse", 0)),
        (ROWS, SampleScores, ("mse", 0)),
        (TOKENS, SampleScores, ("token_accuracy", 1)),
    ],
    ids=["images", "rows", "tokens"],
)
def test_each_kind_of_samples_has_its_scores(
    run: Run, samples: Any, kind: type, best: tuple[str, float]
) -> None:
    found = Reconstruction(samples.inputs, {}, {})
    scores = score(run, configured(), "scores", found, samples, samples)
    assert type(scores) is kind
    assert scores.reconstruction()[best[0]] == best[1]
    assert scores.reconstruction()["identification_top1"] == 1
    # A stored result is only reused for the same inputs.
    worse = Reconstruction(samples.inputs.flip(0), {}, {})
    assert (
        score(run, configured(), "scores", found, samples, samples).reconstruction()
        == scores.reconstruction()
    )
    assert (
        score(run, configured(), "scores", worse, samples, samples).reconstruction()
        != scores.reconstruction()
    )


@pytest.mark.parametrize("samples", [ROWS, TOKENS], ids=["rows", "tokens"])
def test_rows_and_tokens_have_a_permutation_test(run: Run, samples: Any) -> None:
    found = Recovered(Reconstruction(samples.inputs, {}, {}))
    scored = score_attack(run, configured(scoring={"bootstrap": 37}), found, samples, samples)
    assert scored.pairing is not None
    assert scored.pairing.matched < 1e-12
    assert scored.pairing.permutations == 37
    assert scored.pairing.shuffled > 0


def test_a_share_of_zero_stays_zero(run: Run) -> None:
    truth = drawn_images(8, 1)
    shifted = Reconstruction(truth.images.roll(1, 0), {}, {})
    scores = score(run, configured(), "scores", shifted, truth, drawn_images(6, 2))
    rate = identification_rates(scores)["identification_top1"]
    assert (rate.value, rate.low, rate.count) == (0, 0, 8)
    assert rate.high < 0.5


def test_scoring_uses_the_configured_network_metrics_and_resamples(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    for name in ("evaluate", "measure"):
        function = getattr(scoring, name)

        def record(*inputs: Any, function: Any = function, **settings: Any) -> Any:
            calls.append(settings)
            return function(*inputs, **settings)

        monkeypatch.setattr(scoring, name, record)
    config = configured(
        observation={"retained": 3, "forgotten": 2},
        unlearning={"count": 4},
        scoring={"bootstrap": 23, "lpips_network": "squeeze", "metrics": ["mae"]},
    )
    forgotten, retained = drawn_images(4, 1), drawn_images(6, 2)
    found = Recovered(swapped(forgotten, retained, prior=True))
    scored = score_batches(
        run, config, found, forgotten=forgotten, retained=retained, public=drawn_images(6, 3)
    )
    assert [settings["bootstrap"] for settings in calls] == [23, 23, 23]
    assert {settings["lpips_network"] for settings in calls} == {"squeeze"}
    assert scored.scores is not None
    assert scored.scores.reconstruction()["mae"] == 0


def test_the_undefended_batches_are_scored_after_pairing(run: Run) -> None:
    forgotten, retained = drawn_images(4, 1), drawn_images(6, 2)
    exact = swapped(forgotten, retained)
    defended = swapped(drawn_images(4, 5), retained)
    recovered = Recovered(defended, {"undefended": exact})
    scored = score_batches(
        run, in_pairs(), recovered, forgotten=forgotten, retained=None, public=drawn_images(6, 3)
    )
    assert scored.undefended is not None
    assert scored.undefended.reconstruction()["mse"] == 0
    assert scored.scores is not None
    assert float(scored.scores.reconstruction()["mse"] or 0) > 0.01


def test_every_attacker_is_scored_and_the_undefended_one_is_the_baseline(run: Run) -> None:
    truth, found = drawn_images(4, 1), Reconstruction(torch.zeros(4, 1, 12, 12), {}, {})
    exact = Reconstruction(truth.images, {}, {})
    recovered = Recovered(found, {"non-adaptive": found, "undefended": exact})
    scored = score_attack(run, configured(), recovered, truth, drawn_images(6, 2))
    assert scored.scores is not None
    assert set(scored.attackers) == {"non-adaptive", "undefended"}
    assert scored.undefended is scored.attackers["undefended"]
    assert scored.undefended.reconstruction()["mse"] == 0
    assert scored.scores.reconstruction() == scored.attackers["non-adaptive"].reconstruction()
    assert scored.pairing is not None
    assert scored.pairing.matched == pytest.approx(float(truth.images.square().mean()), rel=1e-4)


def test_without_the_forgotten_samples_nothing_is_scored(run: Run) -> None:
    found = Reconstruction(torch.zeros(4, 1, 12, 12), {}, {})
    scored = score_attack(
        run, configured(), Recovered(found, {"undefended": found}), None, drawn_images(6, 2)
    )
    assert scored.reconstruction is found
    assert (scored.scores, scored.undefended, scored.pairing, scored.attackers) == (None, None, None, {})
    assert run.seconds() == {}


def test_batches_are_paired_with_their_originals(run: Run) -> None:
    forgotten, retained = drawn_images(4, 1), drawn_images(6, 2)
    found = swapped(forgotten, retained, prior=True)
    scored = score_batches(
        run, in_pairs(), Recovered(found), forgotten=forgotten, retained=retained, public=drawn_images(6, 3)
    )
    assert torch.equal(scored.reconstruction.images, forgotten.images)
    assert scored.scores is not None
    assert scored.scores.reconstruction()["mse"] == 0
    assert scored.batches is not None
    assert scored.batches.label_accuracy == 1
    assert scored.batches.retained is not None
    assert scored.batches.retained.aggregates()["mse"] == 0
    assert scored.batches.prior is not None
    assert scored.batches.prior.aggregates()["mse"] == pytest.approx(float(forgotten.images.square().mean()))
    # Pairs that were chosen by similarity can't be tested.
    assert scored.pairing is None


def test_batches_of_one_are_tested(run: Run) -> None:
    forgotten = drawn_images(4, 1)
    config = configured(observation={"retained": 1, "forgotten": 1})
    found = swapped(forgotten, drawn_images(4, 2))
    scored = score_batches(
        run, config, Recovered(found), forgotten=forgotten, retained=None, public=drawn_images(6, 3)
    )
    assert scored.pairing is not None
    assert scored.pairing.matched > scored.pairing.shuffled
    assert scored.batches is not None
    assert (scored.batches.retained, scored.batches.prior) == (None, None)


def test_scores_retained_samples_without_the_forgotten_ones(run: Run) -> None:
    forgotten, retained = drawn_images(4, 1), drawn_images(6, 2)
    found = swapped(forgotten, retained)
    scored = score_batches(
        run, in_pairs(), Recovered(found), forgotten=None, retained=retained, public=drawn_images(6, 3)
    )
    assert scored.scores is None
    assert scored.batches is not None
    assert scored.batches.label_accuracy is None
    assert scored.batches.retained is not None


def test_links_are_scored_against_candidates_in_random_order(view: AuditorView, run: Run) -> None:
    links = score_links(run, configured(), view, small_images(60, seed=2), key=())
    assert links.identified == 1
    assert links.chance == pytest.approx(1 / 60)
    assert set(run.seconds()) == {"linkage", "scores-linkage"}
    others = score_links(run, configured(), view, small_images(60, seed=9), key=())
    assert others.identified < 0.2


def test_the_order_of_the_candidates_follows_from_the_seed(
    view: AuditorView, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.Tensor] = []
    link_proofs = auditor.link_proofs

    def record(view: AuditorView, candidates: Any, *rest: Any, **settings: Any) -> Any:
        made.append(candidates.labels)
        return link_proofs(view, candidates, *rest, **settings)

    monkeypatch.setattr(auditor, "link_proofs", record)
    for _ in range(2):
        score_links(run, configured(), view, small_images(60, seed=2), key=())
    assert len(made) == 1, "a second call with the same inputs reads the stored stage"
