import gc

import torch

from palimpsest.gradients.buffer_pool import MatricesInTurn


def in_turn(rows: int = 9000) -> MatricesInTurn:
    return MatricesInTurn(rows, 1001, dtype=torch.float32, device=torch.device("cpu"))


def test_two_matrices_take_turns_where_one_is_held() -> None:
    matrices, places = in_turn(), []
    for _ in range(6):
        matrix = matrices.take(9000)
        places.append(matrix.data_ptr())
    assert len(set(places)) == 2


def test_what_is_held_is_never_written_to() -> None:
    matrices, kept = in_turn(), []
    for number in range(6):
        matrix = matrices.take(9000 - number).fill_(number)
        assert matrix.shape == (9000 - number, 1001)
        kept.append(matrix[number:].T if number % 2 else matrix)
    del matrix
    gc.collect()
    assert all((matrix == number).all() for number, matrix in enumerate(kept))


def test_small_matrices_in_turn() -> None:
    matrices = in_turn(3)
    first, second = matrices.take(3).fill_(1), matrices.take(2).fill_(2)
    assert first.sum() == 3003
    assert second.sum() == 4004
