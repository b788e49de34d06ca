"""The message for a state dict that does not fit its network: both lists side by side, and the likeliest cause."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from palimpsest.display import escape_control_characters

_SHOWN = 12
_KERAS = tuple(
    f"/{part}{end}"
    for part in ("kernel", "bias", "gamma", "beta", "moving_mean", "scale")
    for end in ("", ":0")
)
_FROZEN = (
    "only the trained parameters were saved, and the network's factory makes its frozen ones anew each time. Let the "
    "factory load the base model that was trained on, save the whole `model.state_dict()`, or merge the adapter into "
    "the base model."
)
_STATISTICS = ("running_mean", "running_var")


def explain_mismatch(
    network: str,
    expected: Mapping[str, Tensor],
    stored: Mapping[str, Tensor],
    *,
    place: str,
    missing: Sequence[str],
    strange: Sequence[str],
    reshaped: Sequence[str],
    frozen: bool = False,
) -> str:
    """Explain how a state dict differs from a network's, on several lines.

    Args:
        network: The name of the network's class.
        expected: The network's state dict.
        stored: The stored tensors, under the network's names as far as possible.
        place: Keys that lead to the state dict in its file; may be empty.
        missing: Names that the network needs and that are not stored.
        strange: Stored names that the network does not have.
        reshaped: Names whose stored shape is not the network's.
        frozen: Whether exactly the trained parameters are stored, and the factory makes the frozen ones at random.
    """
    rows = [(_described(name, stored), _described(name, expected), "another shape") for name in reshaped]
    rows += [("-", _described(name, expected), "missing") for name in missing]
    rows += [(_described(name, stored), "-", "not in the network") for name in strange]
    shown = rows[:_SHOWN]
    left = max(len("checkpoint"), *(len(row[0]) for row in shown))
    right = max(len("network"), *(len(row[1]) for row in shown))
    lines = [f"  {one:<{left}}  {two:<{right}}  {what}" for one, two, what in shown]
    if len(rows) > _SHOWN:
        lines.append(f"  ... and {len(rows) - _SHOWN:,} more")
    shared = len(expected.keys() & stored.keys()) - len(reshaped)
    cause = _FROZEN if frozen and not (strange or reshaped) else _cause(missing, strange, reshaped, shared)
    where = f" under {place!r}" if place else ""
    return "\n".join(
        [
            f"its state dict{where} does not fit the network {network}: {shared:,} of the network's "
            f"{len(expected):,} tensors match.",
            f"  {'checkpoint':<{left}}  network",
            *lines,
            f"Likely cause: {cause}",
        ]
    )


def _cause(missing: Sequence[str], strange: Sequence[str], reshaped: Sequence[str], shared: int) -> str:
    if missing and not strange and all(name.endswith(_STATISTICS) for name in missing):
        return (
            "the running statistics of batch normalization were not saved. Save `model.state_dict()`, not only the "
            "parameters."
        )
    if reshaped and not (missing or strange):
        return "the network was built with other settings. Set model_arguments to those of the training."
    if shared == 0 and strange and all(name.endswith(_KERAS) for name in strange):
        return (
            "the names are those of a Keras or Flax model, whose arrays have other axes. Build the network in PyTorch, "
            "copy the weights with their axes permuted, and save `model.state_dict()`."
        )
    if shared == 0:
        return "the checkpoint belongs to another network. Name the factory of the network that it was saved from."
    if missing and not strange:
        return "only a part of the network was saved. Save the whole `model.state_dict()`."
    return "the network has changed since the checkpoint was saved. Name the factory that it was saved from."


def listed(names: Sequence[str], *, quoted: bool = False) -> str:
    """Return the first three names, each at most 80 characters long, and the number of the others.

    Args:
        names: At least one.
        quoted: Put quotation marks around each.
    """
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return (
        ", ".join(repr(name[:80]) if quoted else escape_control_characters(name[:80]) for name in names[:3])
        + more
    )


def _described(name: str, tensors: Mapping[str, Tensor]) -> str:
    return f"{escape_control_characters(name[:80])} {list(tensors[name].shape)}"
