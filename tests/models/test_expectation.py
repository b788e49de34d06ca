import torch
from torch import nn

from palimpsest.models.expectation import expect, plain_names


def test_frozen_tied_and_remade_parameters() -> None:
    def make(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network = nn.ModuleDict({"base": nn.Linear(2, 2, bias=False), "head": nn.Linear(2, 2)})
        network["again"] = network["base"]
        return network.requires_grad_(True)

    network = make(0)
    network["base"].requires_grad_(False)
    needs = expect(network, make(0))
    assert needs.frozen == needs.remade == {"base.weight", "again.weight"}
    assert needs.tied["base.weight"] == ("again.weight",)
    assert expect(network, make(1)).remade == expect(network, None).remade == frozenset()
    # A network without trainable parameters counts as trained in all of them.
    assert expect(make(0).requires_grad_(False), make(0)).frozen == frozenset()


def test_plain_names_keep_two_adapters_apart() -> None:
    one = {"module.q.lora_A.default.weight": torch.zeros(1)}
    assert plain_names(one) == {"q.lora_A.weight": "module.q.lora_A.default.weight"}
    two = one | {"module.q.lora_A.other.weight": torch.zeros(1)}
    assert list(plain_names(two)) == ["q.lora_A.default.weight", "q.lora_A.other.weight"]
