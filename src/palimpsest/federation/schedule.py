"""Client sampling, drawn in advance from the seed so that retraining can repeat it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from palimpsest.errors import FederationError
from palimpsest.randomness import make_generator


@dataclass(frozen=True)
class Swap:
    """Replacement of a drawn client by a required client that was never drawn.

    Args:
        round: Index of the round, from 0.
        client: Client that was put in.
        replaced: Client that was taken out.
    """

    round: int
    client: int
    replaced: int


@dataclass(frozen=True)
class Schedule:
    """Clients of each round.

    Args:
        rounds: Sorted client indices of each round.
        swaps: Replacements that were made so that every required client takes part.
    """

    rounds: tuple[tuple[int, ...], ...]
    swaps: tuple[Swap, ...] = ()


def draw_schedule(
    clients: int, fraction: float, rounds: int, *, seed: int, ensure: tuple[int, ...] = ()
) -> Schedule:
    """Draw each round's clients without replacement.

    Args:
        clients: Number of clients.
        fraction: Share of the clients that trains in a round, in (0, 1]; at least one client does.
        rounds: Number of rounds.
        seed: Seed of the run. Each round has a separate stream, so that its draw does not depend on the other rounds.
        ensure: Clients that must train in at least one round. One that is never drawn replaces, in a round chosen from
            the seed, a client that is not in this list or also trains in another round.

    Returns:
        The clients of each round, and the replacements.

    Raises:
        FederationError: The rounds have fewer places than `ensure` has clients.
    """
    size = max(1, round(fraction * clients))
    drawn = [_draw(clients, size, seed, index) for index in range(rounds)]
    swaps = tuple(_swap_in(set(ensure), drawn, seed))
    return Schedule(tuple(tuple(sorted(members)) for members in drawn), swaps)


def _swap_in(ensure: set[int], drawn: list[list[int]], seed: int) -> Iterator[Swap]:
    """Change `drawn` so that it contains every client of `ensure`, and yield the replacements."""
    times = Counter(member for members in drawn for member in members)
    places = [(index, place) for index, members in enumerate(drawn) for place in range(len(members))]
    generator = make_generator(seed, "federation", "ensure")
    # One pass is enough: a client that can't be replaced now can't be replaced later either.
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
                f"and none is left for client {client}. Raise federation.rounds or federation.fraction, name "
                "fewer unlearning.clients, or set unlearning.ensure_participation to false."
            )


def _draw(clients: int, size: int, seed: int, index: int) -> list[int]:
    generator = make_generator(seed, "federation", "sampling", index)
    return torch.randperm(clients, generator=generator)[:size].sort().values.tolist()
