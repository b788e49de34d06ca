import torch
from tests.support.evidence import made_up


def test_a_view_holds_the_rows_of_its_group():
    evidence = made_up(forgotten=3, retained=2, shadows=4, population=5)
    assert evidence.candidates == 10
    forgotten, retained = evidence.view("forgotten", "original"), evidence.view("retained", "unlearned")
    assert torch.equal(forgotten.logits, evidence.original[:6])
    assert torch.equal(forgotten.members, evidence.members[:, :6])
    assert torch.equal(retained.logits, evidence.unlearned[6:10])
    assert torch.equal(retained.other, evidence.original[6:10])
    assert torch.equal(retained.shadows, evidence.shadows[:, 6:10])
    assert evidence.unlearned_shadows is not None
    assert retained.unlearned_shadows is not None
    assert torch.equal(retained.unlearned_shadows, evidence.unlearned_shadows[:, 6:10])
    assert torch.equal(retained.population, evidence.unlearned[10:])
    assert torch.equal(retained.population_labels, evidence.labels[10:])
    assert (evidence.pairs("forgotten"), evidence.pairs("retained")) == (3, 2)
