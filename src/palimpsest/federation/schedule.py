"""Who trains when: drawn up front from the seed, so that retraining can follow the same draws."""

from collections import Counter
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
    swaps = []
    for client in sorted(set(ensure) - {client for members in drawn for client in members}):
        times = Counter(member for members in drawn for member in members)
        places = [
            (index, place)
            for index, members in enumerate(drawn)
            for place, member in enumerate(members)
            if member not in ensure or times[member] > 1
        ]
        if not places:
            raise FederationError(
                f"{len(set(ensure))} clients must take part, but {rounds} rounds of {size} have no place "
                f"left for client {client}: raise federation.rounds or federation.fraction, name fewer "
                "unlearning.clients, or set unlearning.ensure_participation to false."
            )
        generator = make_generator(seed, "federation", "ensure", client)
        index, place = places[int(torch.randint(len(places), (), generator=generator))]
        swaps.append(Swap(round=index, client=client, replaced=drawn[index][place]))
        drawn[index][place] = client
    return Schedule(tuple(tuple(sorted(members)) for members in drawn), tuple(swaps))


def _draw(clients: int, size: int, seed: int, index: int) -> list[int]:
    generator = make_generator(seed, "federation", "sampling", index)
    return torch.randperm(clients, generator=generator)[:size].sort().values.tolist()
