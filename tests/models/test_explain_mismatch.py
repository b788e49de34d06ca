import torch

from palimpsest.models.explain_mismatch import explain_mismatch, listed


def test_both_lists_stand_side_by_side() -> None:
    expected = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}
    stored = {"fc.weight": torch.ones(4, 3), "head.bias": torch.ones(2)}
    text = explain_mismatch(
        "Net",
        expected,
        stored,
        place="model",
        missing=["fc.bias"],
        strange=["head.bias"],
        reshaped=["fc.weight"],
    )
    lines = text.split("\n")
    assert (
        lines[0]
        == "its state dict under 'model' does not fit the network Net: 0 of the network's 2 tensors match."
    )
    assert [line.split() for line in lines[2:5]] == [
        ["fc.weight", "[4,", "3]", "fc.weight", "[2,", "3]", "another", "shape"],
        ["-", "fc.bias", "[2]", "missing"],
        ["head.bias", "[2]", "-", "not", "in", "the", "network"],
    ]
    assert (
        len(
            {
                line.index(what)
                for line, what in zip(lines[2:5], ("another", "missing", "not in"), strict=True)
            }
        )
        == 1
    )
    assert lines[5].startswith("Likely cause: the checkpoint belongs to another network.")


def test_long_lists_are_cut() -> None:
    names = [f"layer{index}.weight" for index in range(40)]
    expected = {name: torch.ones(1) for name in names}
    text = explain_mismatch("Net", expected, {}, place="", missing=names, strange=(), reshaped=())
    assert "... and 28 more" in text
    assert listed(names) == "layer0.weight, layer1.weight, layer2.weight and 37 more"
    assert listed(["a", "b"], quoted=True) == "'a', 'b'"
