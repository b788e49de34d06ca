import pytest
import torch
from torch import Tensor, nn

from palimpsest.attacks import ArchitectView, AuditorView, LinearLayer, RowInversion, TokenInversion
from palimpsest.datasets import RowSet, TokenSet
from palimpsest.errors import DivergenceError, KnowledgeError
from palimpsest.gradients import gradient_differences
from palimpsest.oracles import ModelOracle

SMALL = {"epochs": 30, "hidden": 64, "queries": 4}


def rows(count: int, seed: int) -> RowSet:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, 2, generator=generator) @ torch.tensor([[1.0, 0, 2, -1], [0, 1, 1, 3]])
    return RowSet("rows", values, (values[:, 0] > 0).long(), 2, tuple("abcd"))


def tokens(count: int, seed: int) -> TokenSet:
    values = torch.randint(0, 8, (count, 4), generator=torch.Generator().manual_seed(seed))
    return TokenSet("tokens", values, (values[:, 0] > 3).long(), 2)


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 6)
        self.head = nn.Linear(24, 2)

    def forward(self, sequences: Tensor) -> Tensor:
        return self.head(self.embedding(sequences).flatten(1))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def view(make, forgotten, auxiliary, **settings) -> AuditorView:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = make(), make()
    proofs = gradient_differences(*models, forgotten.inputs, forgotten.labels)
    oracle = ModelOracle(*models)
    return ArchitectView(proofs, oracle, auxiliary, "cpu", 2**30, architecture=make(), **settings)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_rows_come_back_closer_than_the_mean_row() -> None:
    forgotten, auxiliary = rows(30, 1), rows(200, 2)
    found = RowInversion(**SMALL)(view(perceptron, forgotten, auxiliary), generator=generator())
    error = (found.images - forgotten.rows).square().mean()
    assert error < 0.3 * (auxiliary.rows.mean(0) - forgotten.rows).square().mean()
    assert found.history["training_loss"][-1] < found.history["training_loss"][0]


def test_tokens_come_back_in_their_places() -> None:
    forgotten, auxiliary = tokens(30, 1), tokens(300, 2)
    found = TokenInversion(**SMALL)(view(Reader, forgotten, auxiliary), generator=generator())
    assert found.images.dtype == torch.int64
    assert (found.images == forgotten.tokens).double().mean() > 0.8


def test_the_same_generator_gives_the_same_answer() -> None:
    seen = view(perceptron, rows(5, 1), rows(40, 2))
    first, second = (RowInversion(epochs=2)(seen, generator=generator()).images for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize(("further", "asked"), [(None, 160), (0, 40), (45, 80), (1000, 160)])
def test_it_asks_no_more_than_it_may(further: int | None, asked: int) -> None:
    seen = view(perceptron, rows(5, 1), rows(40, 2), further=further)
    facts = RowInversion(epochs=1, queries=4)(seen, generator=generator()).facts
    assert facts["queries"] == asked


def test_answers_that_vary_are_asked_for_again() -> None:
    class Counting(ModelOracle):
        asked = 0

        def differences(self, images: Tensor, labels: Tensor):
            self.asked += len(images)
            return super().differences(images, labels)

    models = perceptron(), perceptron()
    auxiliary = rows(20, 2)
    proofs = gradient_differences(*models, auxiliary.rows[:3], auxiliary.labels[:3])
    for varying, times in ((False, 1), (True, 5)):
        oracle = Counting(*models)
        seen = AuditorView(proofs, oracle, auxiliary, "cpu", 2**30, stochastic_oracle=varying)
        RowInversion(epochs=10, queries=1, refreshes=5)(seen, generator=generator())
        assert oracle.asked == 20 * times


def test_a_loss_that_is_not_finite_stops_it() -> None:
    with pytest.raises(DivergenceError, match=r"lower attack\.learning_rate"):
        RowInversion(learning_rate=1e30, epochs=5)(
            view(perceptron, rows(5, 1), rows(40, 2)), generator=generator()
        )


def test_a_linear_layer_gives_rows_away_exactly() -> None:
    forgotten = rows(30, 1)
    found = LinearLayer()(view(perceptron, forgotten, rows(50, 2)), generator=generator())
    torch.testing.assert_close(found.images, forgotten.rows, rtol=1e-3, atol=1e-3)
    assert found.facts["rows_read"] == 1


def test_where_nothing_can_be_read_stands_the_mean_row() -> None:
    seen = view(perceptron, rows(3, 1), rows(50, 2))
    blank = ArchitectView(
        torch.zeros_like(seen.proofs), seen.oracle, seen.auxiliary, "cpu", 2**30, architecture=perceptron()
    )
    found = LinearLayer()(blank, generator=generator())
    torch.testing.assert_close(found.images, seen.auxiliary.inputs.mean(0).expand(3, -1))
    assert found.facts["rows_read"] == 0


def convolution() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (4, 1)), nn.Conv1d(4, 2, 1), nn.Flatten())


@pytest.mark.parametrize("make", [lambda: nn.Linear(4, 2, bias=False), convolution])
def test_a_model_without_such_a_layer_is_refused(make) -> None:
    with pytest.raises(KnowledgeError, match="choose igf-rows"):
        LinearLayer()(view(make, rows(3, 1), rows(9, 2)), generator=generator())


def test_a_shortened_proof_is_refused() -> None:
    seen = view(perceptron, rows(3, 1), rows(9, 2))
    short = ArchitectView(
        seen.proofs[:, :6], seen.oracle, seen.auxiliary, "cpu", 2**30, architecture=perceptron()
    )
    with pytest.raises(KnowledgeError, match="fewer than the model"):
        LinearLayer()(short, generator=generator())
