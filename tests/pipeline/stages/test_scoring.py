from typing import Any

import pytest
import torch
from tests.support.flat_oracle import small_images

from palimpsest.attacks import AuditorView, BatchReconstruction, Reconstruction
from palimpsest.config import AuditConfig, build_config
from palimpsest.datasets import ImageSet, RowSet, TokenSet
from palimpsest.metrics import SampleScores, Scores
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
    assert scored.pairing.own == pytest.approx(float(truth.images.square().mean()), rel=1e-4)


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
    assert scored.pairing.own > scored.pairing.shuffled
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
