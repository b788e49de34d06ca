"""A stored state dict matched to a network: prefixes, tied weights, and tensors that need not be stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from palimpsest.errors import CheckpointError
from palimpsest.models.expectation import BATCHES, Expectation, expect, plain_names
from palimpsest.models.explain_mismatch import explain_mismatch, listed
from palimpsest.models.reparametrized import merge_parts
from palimpsest.models.state_dicts import StateDict
from palimpsest.storage import Parameters

_RECORD = "parameters/"
"""Prefix of the names of a model in a run folder."""
_ACCESSORIES = ("loss", "criterion", "metric", "accuracy", "optim", "scheduler")


@dataclass(frozen=True)
class Matched:
    """A state dict under the network's own names.

    Args:
        parameters: Exactly the network's names and shapes.
        notes: What was done to the stored names and tensors, a clause for each change.
        stored: The tensors of the file under its own names if they are only the trained ones, else empty.
    """

    parameters: Parameters
    notes: tuple[str, ...] = ()
    stored: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class _Attempt:
    """A state dict with a prefix taken off, beside what the network needs.

    Args:
        place: Keys that lead to the state dict in its file.
        prefix: What was taken off.
        tensors: Under the network's names as far as possible.
        outside: Stored names that do not have the prefix.
        notes: What was done.
        needs: The network's.
        stored: The state dict as it is in the file.
    """

    place: str
    prefix: str
    tensors: dict[str, Tensor]
    outside: tuple[str, ...]
    notes: tuple[str, ...]
    needs: Expectation
    stored: dict[str, Tensor]

    @cached_property
    def trained_alone(self) -> bool:
        """Whether no frozen parameter is stored, as in an adapter's file."""
        return bool(self.needs.frozen) and not (self.needs.frozen & self.tensors.keys())

    @cached_property
    def missing(self) -> list[str]:
        return [
            name
            for name in self.needs.tensors
            if name not in self.tensors
            and name not in self.needs.optional
            and not (self.trained_alone and name in self.needs.remade)
            and not any(alias in self.tensors for alias in self.needs.tied.get(name, ()))
        ]

    @cached_property
    def strange(self) -> list[str]:
        return [name for name in self.tensors if name not in self.needs.tensors]

    @cached_property
    def reshaped(self) -> list[str]:
        expected = self.needs.tensors
        return [
            name
            for name in self.tensors
            if name in expected and not _same_shape(name, self.tensors[name], expected[name])
        ]

    @property
    def fits(self) -> bool:
        return bool(self.tensors) and not (self.missing or self.strange or self.reshaped)


def match_names(states: Sequence[StateDict], network: nn.Module, *, twin: nn.Module | None = None) -> Matched:
    """Find the one state dict that fits a network, and bring it under the network's names.

    A prefix that all names have is removed, and so are the components that wrappers such as DataParallel insert. A tied
    weight may be stored once. `num_batches_tracked`, and buffers that the network itself makes, may be missing. A file
    of an adapter alone (PEFT) or of another trained part is completed by the frozen parameters that the factory makes.

    Args:
        states: State dicts of one file, as `find_state_dicts` returns them.
        network: As its factory made it.
        twin: The network made once more, from other random numbers. A buffer or a frozen parameter that differs
            between the two is random, and must be stored. If omitted, every buffer but statistics of the training data
            may be missing, and no frozen parameter.

    Raises:
        CheckpointError: No state dict fits, with both lists of names and the likeliest cause; or several fit.

    Example:
        >>> stored = StateDict("", {f"module.{k}": v for k, v in nn.Linear(2, 1).state_dict().items()})
        >>> matched = match_names([stored], nn.Linear(2, 1))
        >>> list(matched.parameters), matched.notes
        (['weight', 'bias'], ("removed the prefix 'module.' from 2 names",))
    """
    if not states:
        raise CheckpointError("it holds no state dict: save `model.state_dict()`, names with tensors.")
    expectation = expect(network, twin)
    attempts = [attempt for state in states for attempt in _attempts(state, expectation)]
    fitting = _distinct([attempt for attempt in attempts if attempt.fits])
    if len(fitting) > 1:
        places = listed(sorted(_address(attempt) or "top level" for attempt in fitting), quoted=True)
        raise CheckpointError(
            f"it holds {len(fitting)} different state dicts that fit the network: {places}. Save the one that is meant "
            "in a file of its own."
        )
    if not fitting:
        best = max(attempts, key=lambda one: len(one.tensors) - len(one.strange) - len(one.reshaped))
        raise CheckpointError(
            explain_mismatch(
                type(network).__name__,
                expectation.tensors,
                best.tensors,
                place=_address(best),
                missing=best.missing,
                strange=best.strange,
                reshaped=best.reshaped,
                frozen=best.trained_alone and expectation.frozen.issuperset(best.missing),
            )
        )
    (found,) = fitting
    # Beside the model, a run folder's stage holds what else it made.
    foreign = [name for name in found.outside if found.prefix != _RECORD and not _is_accessory(name)]
    if foreign:
        raise CheckpointError(
            f"the network is a part of what it holds: {(_address(found) or 'top level')!r} fits, and {listed(foreign)} "
            "would be left out. Name the factory of the whole network."
        )
    parameters, notes = _filled(found, expectation)
    return Matched(parameters, notes, stored=found.stored if found.trained_alone else {})


def _attempts(state: StateDict, expectation: Expectation) -> list[_Attempt]:
    """The state dict without a prefix, and with each prefix that leads to names of the network."""
    if state.ordered:
        return [_in_order(state, expectation)]
    network_names = plain_names(expectation.tensors)
    # A prefix under which none of these is stored fits nothing.
    endings = sorted(network_names, key=len, reverse=True)[:3]
    names = {name: plain for plain, name in plain_names(state.tensors).items()}
    prefixes = {"", _RECORD} | {
        name.removesuffix(ending)
        for name in names.values()
        for ending in endings
        if name.endswith(f".{ending}")
    }
    return [
        _attempt(state, names, prefix, network_names, expectation) for prefix in sorted(prefixes, key=len)
    ]


def _attempt(
    state: StateDict,
    names: Mapping[str, str],
    prefix: str,
    network_names: Mapping[str, str],
    expectation: Expectation,
) -> _Attempt:
    """Take a prefix off; `names` and `network_names` map to and from the plain names."""
    inside: dict[str, Tensor] = {}
    removed, outside, shortened = set[str](), list[str](), 0
    for stored, name in names.items():
        rest = name.removeprefix(prefix)
        if not name.startswith(prefix) or (rest not in network_names and state.tensors[stored].ndim == 0):
            outside.append(stored)
            continue
        inside[network_names.get(rest, rest)] = state.tensors[stored]
        removed.add(stored.removesuffix(rest) if stored.endswith(rest) else "")
        shortened += not stored.endswith(rest)
    inside, notes = merge_parts(inside, expectation.network)
    if removed - {"", _RECORD}:
        count = f"{len(names) - len(outside):,} name{'s' * (len(names) - len(outside) > 1)}"
        notes = [f"removed the prefix {listed(sorted(removed - {''}), quoted=True)} from {count}", *notes]
    notes += [f"removed the components of wrappers inside of {shortened:,} names"] * bool(shortened)
    unstored = {name for name, _ in expectation.network.named_buffers()} - expectation.tensors.keys()
    kept = {
        name: value
        for name, value in inside.items()
        if name in expectation.tensors or not (name in unstored or name.endswith(BATCHES))
    }
    return _Attempt(state.place, prefix, kept, tuple(outside), tuple(notes), expectation, state.tensors)


def _in_order(state: StateDict, expectation: Expectation) -> _Attempt:
    """A list of arrays, in the order of the network's state dict or of its parameters."""
    values, expected = list(state.tensors.values()), list(expectation.tensors)
    orders = [
        expected,
        [name for name in expected if not name.endswith(BATCHES)],
        [name for name, _ in expectation.network.named_parameters()],
    ]
    names = next((order for order in orders if len(order) == len(values)), expected)
    tensors = dict(zip(names, values, strict=False))
    strange = {f"array {index}": value for index, value in enumerate(values) if index >= len(names)}
    note = f"took {len(values):,} arrays without names in the order of the network's state dict"
    return _Attempt(state.place, "", tensors | strange, (), (note,), expectation, state.tensors)


def _filled(found: _Attempt, expectation: Expectation) -> tuple[Parameters, tuple[str, ...]]:
    """The tensors under all of the network's names, and notes."""
    expected, tied, notes = expectation.tensors, expectation.tied, list(found.notes)
    filled: dict[str, Tensor] = {}
    aliased, made = 0, list[str]()
    for name, tensor in expected.items():
        value = found.tensors.get(name)
        if value is None:
            value = next(
                (found.tensors[alias] for alias in tied.get(name, ()) if alias in found.tensors), None
            )
            aliased += value is not None
        if value is None:
            value = tensor.clone()
            made.append(name)
        filled[name] = value.reshape(tensor.shape).to(tensor.dtype) if name.endswith(BATCHES) else value
    if aliased:
        notes.append(f"filled {aliased:,} tied weight{'s' * (aliased > 1)} from the stored one")
    constants = [name for name in made if not name.endswith(BATCHES) and name not in expectation.frozen]
    if constants:
        notes.append(f"kept {listed(constants)} as the network makes it")
    base = [name for name in made if name in expectation.frozen]
    if base:
        notes.append(
            f"took {len(base):,} frozen parameters, such as {listed(base[:1])}, from the network's factory, because "
            "only the trained ones are stored"
        )
    if found.outside:
        notes.append(f"left out {listed(found.outside)}, which the network does not have")
    return filled, tuple(notes)


def _same_shape(name: str, stored: Tensor, expected: Tensor) -> bool:
    return stored.shape == expected.shape or (
        name.endswith(BATCHES) and stored.numel() == expected.numel() == 1
    )


def _is_accessory(name: str) -> bool:
    """Whether a tensor belongs to a loss, a metric or an average rather than to a network."""
    return any(word in name.lower() for word in _ACCESSORIES) or name in ("n_averaged", "step", "epoch")


def _distinct(attempts: Sequence[_Attempt]) -> list[_Attempt]:
    """Attempts with different numbers; of equal ones the one with the fewest names outside."""
    kept: list[_Attempt] = []
    for attempt in sorted(attempts, key=lambda one: len(one.outside)):
        if not any(_equal(attempt.tensors, other.tensors) for other in kept):
            kept.append(attempt)
    return kept


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def _address(attempt: _Attempt) -> str:
    return ".".join(filter(None, (attempt.place, attempt.prefix.rstrip("."))))
