"""Who trains when: drawn up front from the seed, so that retraining can follow the same draws."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from palimpsest.errors import FederationError
from palimpsest.randomness import make_generator


@dataclass(frozen=True)
class Swap:
    """A client that was never drawn, put into a round in place of one that was."""

    round: int
    client: int
    replaced: int


@dataclass(frozen=True)
class Schedule:
    """The clients of each round, sorted, and the swaps that brought required clients in."""

    rounds: tuple[tuple[int, ...], ...]
    swaps: tuple[Swap, ...] = ()


def draw_schedule(
    clients: int, fraction: float, rounds: int, *, seed: int, ensure: tuple[int, ...] = ()
) -> Schedule:
    """Draw each round's clients without replacement.

    Args:
        clients: How many there are.
        fraction: The share that trains in a round, in (0, 1]; at least one client does.
        rounds: How many rounds.
        seed: Of the run; round t draws from its own stream, whatever the other rounds do.
        ensure: Clients that train in at least one round. One that is never drawn takes the place of a client
            that is not in this list or trains in another round too, in a round chosen from the seed.

    Raises:
        FederationError: There are fewer places than clients in `ensure`.
    """
    size = max(1, round(fraction * clients))
    drawn = [_draw(clients, size, seed, index) for index in range(rounds)]
    swaps = tuple(_bring_in(set(ensure), drawn, seed))
    return Schedule(tuple(tuple(sorted(members)) for members in drawn), swaps)


def _bring_in(ensure: set[int], drawn: list[list[int]], seed: int) -> Iterator[Swap]:
    """Change `drawn` so that it holds every client of `ensure`."""
    times = Counter(member for members in drawn for member in members)
    places = [(index, place) for index, members in enumerate(drawn) for place in range(len(members))]
    generator = make_generator(seed, "federation", "ensure")
    # One pass is enough: a client that is needed where it is stays needed there.
    order = iter(torch.randperm(len(places), generator=generator).tolist())
    for client in sorted(ensure - set(times)):
        for position in order:
            index, place = places[position]
            member = drawn[index][place]
            if member not in ensure or times[member] > 1:
                times[member] -= 1
                drawn[index][place] = client
                yield Swap(round=index, client=client, replaced=member)
                break
        else:
            raise FederationError(
                f"{len(ensure)} clients must take part, but {len(drawn)} rounds have {len(places)} places "
                f"and none is left for client {client}: raise federation.rounds or federation.fraction, name "
                "fewer unlearning.clients, or set unlearning.ensure_participation to false."
            )


def _draw(clients: int, size: int, seed: int, index: int) -> list[int]:
    generator = make_generator(seed, "federation", "sampling", index)
    return torch.randperm(clients, generator=generator)[:size].sort().values.tolist()
