import torch
from tests.support.attack_views import World, noise_images, small_perceptron
from torch import Tensor

from palimpsest.attacks.disaggregation.batches import Batches, Samples, Separate, Target, with_constant
from palimpsest.attacks.disaggregation.first_layer import find_first_layer
from palimpsest.storage import Parameters

CLIENTS = World(retained=3, forgotten=2, batches=2, moved=0.05, build=small_perceptron, images=noise_images)
LAYER = find_first_layer(
    CLIENTS.view.architecture, CLIENTS.view.observation.before, CLIENTS.view.public.shape, attack="test"
)


def perfect(asked: list[int], *, lacking: int = 0) -> Separate:
    """Return a separation that knows all samples, and recognizes those in a gradient."""
    everything = torch.cat([CLIENTS.retained.images, CLIENTS.forgotten.images])

    def separate(gradient: Tensor, _: Parameters, count: int) -> Samples:
        asked.append(count)
        inputs = everything.flatten(1).double()
        _, _, rows = torch.linalg.svd(gradient, full_matrices=False)
        rows = rows[:count]
        constant = with_constant(inputs)
        outside = (constant - constant @ rows.T @ rows).norm(dim=1)
        chosen = inputs[outside.argsort()[: count - lacking]]
        gradients = torch.linalg.lstsq(with_constant(chosen).T, gradient.T).solution
        return Samples(chosen, gradients)

    return separate


def test_stages_subtract_the_retained_samples_at_the_other_model() -> None:
    asked: list[int] = []
    batches = Batches(CLIENTS.view, LAYER, "stages")
    result = batches.reconstruct(perfect(asked))
    assert asked == [3, 2, 3, 2]
    assert batches.gradients == 4
    assert float(result.objectives.max()) < 1e-4
    assert sorted(result.labels.tolist()) == sorted(CLIENTS.forgotten.labels.tolist())


def test_the_difference_keeps_what_the_change_of_the_model_caused() -> None:
    asked: list[int] = []
    result = Batches(CLIENTS.view, LAYER, "difference").reconstruct(perfect(asked))
    assert asked == [2, 2]
    assert float(result.objectives.min()) > 1e-3
    assert not len(result.retained)


def test_the_batch_is_divided_by_the_rows_of_the_other_gradient() -> None:
    asked: list[int] = []
    result = Batches(CLIENTS.view, LAYER, "batch").reconstruct(perfect(asked))
    assert asked == [5, 5]
    for found, truth in ((result.images, CLIENTS.forgotten), (result.retained, CLIENTS.retained)):
        distances = torch.cdist(found.flatten(1), truth.images.flatten(1))
        assert float(distances.min(dim=1).values.max()) < 1e-3
        assert sorted(distances.argmin(dim=1).tolist()) == list(range(len(truth)))


def test_public_knowledge_stands_for_missing_samples() -> None:
    targets: list[Target] = ["batch", "stages"]
    for target in targets:
        result = Batches(CLIENTS.view, LAYER, target).reconstruct(perfect([], lacking=1))
        assert result.images.shape == (4, 1, 6, 6)
        assert result.retained.shape == (6, 1, 6, 6)
        mean = CLIENTS.view.public.images.mean(dim=0)
        filled = (torch.cat([result.images, result.retained]) == mean).flatten(1).all(dim=1)
        assert int(filled.sum()) == (2 if target == "batch" else 4)
        assert result.facts["samples_found"] == (1.0 if target == "batch" else 0.5)
