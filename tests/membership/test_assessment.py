from pathlib import Path

import torch
from tests.support.evidence import made_up

from palimpsest.membership import Assessment, assess


def assessed(**settings: int) -> Assessment:
    evidence = made_up(**{"forgotten": 30, "retained": 20, "shadows": 4, "population": 20, **settings})
    return assess(evidence, forgotten=torch.arange(100, 130), retained=torch.arange(20))


def test_all_tests_are_run_on_both_groups_and_models():
    assessment = assessed()
    done = {(result.test, result.group, result.model) for result in assessment.results}
    assert ("u-lira", "retained", "unlearned") in done
    assert ("lira", "forgotten", "original") in done
    assert ("u-lira", "forgotten", "original") not in done
    assert len(done) == len(assessment.results) == 2 * (5 + 11)
    assert assessment.shadows == 4
    found = assessment.find("lira", "retained", "original")
    assert found is not None
    assert len(found.members) == len(found.nonmembers) == 20
    assert assessment.find("u-lira", "forgotten", "original") is None


def test_a_group_without_pairs_has_no_results():
    assessment = assessed(retained=0)
    assert {result.group for result in assessment.results} == {"forgotten"}


def test_the_most_exposed_samples_have_the_highest_scores():
    found = assessed().find("lira", "forgotten", "original")
    assert found is not None
    places = found.most_exposed(3)
    assert torch.equal(found.members[places], found.members.sort(descending=True).values[:3])


def test_results_are_stored(tmp_path: Path):
    assessment = assessed()
    assessment.save(tmp_path / "a.safetensors")
    loaded = Assessment.load(tmp_path / "a.safetensors")
    for one, other in zip(assessment.results, loaded.results, strict=True):
        assert (one.test, one.group, one.model) == (other.test, other.group, other.model)
        assert torch.equal(one.members, other.members)
