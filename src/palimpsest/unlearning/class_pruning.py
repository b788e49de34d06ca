"""Pruning of the channels that discriminate a class (class-discriminative pruning)."""

import math
from collections.abc import Callable
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, LocalTraining, Outcome, Schedule, Shard, Training
from palimpsest.models import laid_out_for, load_parameters
from palimpsest.registry import METHODS
from palimpsest.storage import Parameters
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.recovery import then_recover
from palimpsest.unlearning.scenarios import Request

_BATCH = 256


class PrunedTraining(LocalTraining):
    """Local training that sets pruned channels to zero again at its end.

    Args:
        pruned: Names of convolutions, each with its pruned channels.
    """

    pruned: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Train, then prune; see `Work` for the arguments."""
        outcome = super().__call__(model, shard, seed=seed)
        prune(model, dict(self.pruned))
        return outcome


@METHODS.register("class-pruning")
class ClassPruning(Method):
    """Prune each convolution's channels that discriminate the forgotten class, then fine-tune; class level only.

    A channel's score is the TF-IDF of its mean activations by class (`tf_idf`). The paper's server receives these means
    from the clients; here, they are computed in this process. The paper ranks the channels for one class; for several
    classes, a channel counts by its highest score.
    """

    source: ClassVar[str] = "Wang et al. 2022, Federated Unlearning via Class-Discriminative Pruning"

    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each convolution's channels that is pruned, rounded up; at least one channel stays."""
    fine_tune_rounds: NonNegativeInt = 2
    """Rounds of training on the retained samples, with the pruned channels kept at zero."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Prune and fine-tune; see `Method` for the arguments."""
        if federation.dp is not None:
            raise UnlearningError(
                "Class-discriminative pruning reads exact activations, which DP-SGD does not protect. Choose another "
                "unlearning.method, or leave federation.dp_noise_multiplier out."
            )
        classes = forgotten_classes(federation, request)
        model = load_parameters(federation.network(), original.parameters).to(federation.device)
        train = federation.data.train
        means = class_activations(model, train.images, train.labels, train.classes)
        if not means:
            raise UnlearningError(
                "Class-discriminative pruning needs convolutions, but the model has none. Choose another "
                "unlearning.method or a convolutional model.name."
            )
        pruned = {name: _strongest(values, classes, self.share) for name, values in means.items()}
        prune(model, pruned)
        parameters: Parameters = {name: value.detach().cpu() for name, value in model.state_dict().items()}
        facts = {"pruned_channels": float(sum(len(channels) for channels in pruned.values()))}
        settings = {**federation.local_training().model_dump(), "pruned": tuple(pruned.items())}
        return then_recover(
            Unlearned(parameters, [], facts),
            request,
            federation,
            place,
            rounds=self.fine_tune_rounds,
            work=PrunedTraining.model_validate(settings),
        )


def forgotten_classes(federation: Federation, request: Request) -> list[int]:
    """Return the classes that are forgotten, sorted.

    Args:
        federation: Data.
        request: Samples to forget and to retain.

    Raises:
        UnlearningError: A forgotten class has retained samples.
    """
    labels = federation.data.train.labels
    forgotten, retained = labels[request.rows].unique(), labels[request.retained_rows].unique()
    both = forgotten[torch.isin(forgotten, retained)]
    if len(both):
        raise UnlearningError(
            f"Class-discriminative pruning forgets whole classes, but class {both[0].item()} also has retained "
            "samples. Set unlearning.scenario to class, or choose another unlearning.method."
        )
    return forgotten.tolist()


@torch.no_grad()
def class_activations(model: nn.Module, images: Tensor, labels: Tensor, classes: int) -> dict[str, Tensor]:
    """Return the mean activation of each convolution's channels, by class.

    Args:
        model: A classifier.
        images: `[n, channels, height, width]`.
        labels: Their classes, `[n]`.
        classes: Number of classes.

    Returns:
        By name of the convolution, `[its channels, classes]`: mean over the images of a class and over the positions of
        the positive part of its output; 0 for a class without images.
    """
    kept: dict[str, list[Tensor]] = {}

    def keeper(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            kept.setdefault(name, []).append(output.relu().mean((2, 3)).double().cpu())

        return keep

    device = next(model.parameters()).device
    convolutions = [(name, one) for name, one in model.named_modules() if isinstance(one, nn.Conv2d)]
    handles = [one.register_forward_hook(keeper(name)) for name, one in convolutions]
    model.eval()
    for batch in images.split(_BATCH):
        model(laid_out_for(model, batch.to(device)))
    for handle in handles:
        handle.remove()
    members = F.one_hot(labels.cpu(), classes).double()
    counts = members.sum(0).clamp(min=1)
    return {name: torch.cat(parts).T @ members / counts for name, parts in kept.items()}


def tf_idf(activations: Tensor, label: int) -> Tensor:
    """Score how much each channel discriminates a class.

    Args:
        activations: Mean activations, `[channels, classes]`, at least 0.
        label: The class.

    Returns:
        `[channels]`: the channel's share of the class's activation, times the logarithm of the number of classes over
        one plus the number of classes on which the channel is at least as active as on average.

    Source:
        Wang et al. 2022, section 3.3.
    """
    frequency = activations[:, label] / activations[:, label].sum().clamp(min=1e-12)
    active = (activations >= activations.mean(1, keepdim=True)).sum(1)
    return frequency * (activations.shape[1] / (1.0 + active)).log()


def _strongest(activations: Tensor, classes: list[int], share: float) -> tuple[int, ...]:
    scores = torch.stack([tf_idf(activations, label) for label in classes]).amax(0)
    count = min(math.ceil(share * len(scores)), len(scores) - 1)
    return tuple(sorted(scores.topk(count).indices.tolist()))


@torch.no_grad()
def prune(model: nn.Module, pruned: dict[str, tuple[int, ...]]) -> None:
    """Set the filters and biases of channels to zero, also those of a batch norm that follows the convolution.

    Args:
        model: A classifier, changed in place.
        pruned: Channels by name of the convolution.
    """
    modules = [one for one in model.modules() if not list(one.children())]
    for name, channels in pruned.items():
        layer = model.get_submodule(name)
        following = modules[modules.index(layer) + 1 :][:1]
        for one in [layer, *(after for after in following if isinstance(after, nn.BatchNorm2d))]:
            for parameter in one.parameters():
                parameter[list(channels)] = 0
