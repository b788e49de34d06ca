import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.errors import FederationError
from palimpsest.federation import draw_schedule


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0.01, 1), st.integers(1, 20), st.integers(0, 2**31))
def test_every_round_has_its_share_of_distinct_clients(clients, fraction, rounds, seed):
    schedule = draw_schedule(clients, fraction, rounds, seed=seed)
    assert len(schedule.rounds) == rounds
    for members in schedule.rounds:
        assert len(members) == max(1, round(fraction * clients))
        assert list(members) == sorted(set(members))
        assert set(members) <= set(range(clients))


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 10))
def test_a_longer_schedule_starts_with_the_shorter_one(seed, rounds):
    short = draw_schedule(12, 0.25, rounds, seed=seed)
    assert draw_schedule(12, 0.25, rounds + 5, seed=seed).rounds[:rounds] == short.rounds


@settings(deadline=None)
@given(st.integers(0, 2**31), st.sets(st.integers(0, 39), max_size=10))
def test_required_clients_take_part(seed, ensure):
    plain = draw_schedule(40, 0.1, 6, seed=seed)
    schedule = draw_schedule(40, 0.1, 6, seed=seed, ensure=tuple(ensure))
    taking_part = {client for members in schedule.rounds for client in members}
    assert ensure <= taking_part
    drawn = {client for members in plain.rounds for client in members}
    assert {swap.client for swap in schedule.swaps} == ensure - drawn
    # Undoing the reported swaps gives the original draw.
    undone = [set(members) for members in schedule.rounds]
    for swap in reversed(schedule.swaps):
        undone[swap.round] = undone[swap.round] - {swap.client} | {swap.replaced}
    assert undone == [set(members) for members in plain.rounds]


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_needs_no_more_places_than_required_clients(seed):
    schedule = draw_schedule(6, 0.5, 2, seed=seed, ensure=tuple(range(6)))
    assert sorted(client for members in schedule.rounds for client in members) == list(range(6))


def test_draws_4_of_40_clients_as_in_the_paper():
    assert {len(members) for members in draw_schedule(40, 0.1, 20, seed=1234).rounds} == {4}


def test_rejects_too_few_places():
    with pytest.raises(
        FederationError, match=r"5 clients must take part, but 2 rounds have 2 places .* unlearning\.clients"
    ):
        draw_schedule(10, 0.1, 2, seed=0, ensure=(1, 2, 3, 4, 5))
