"""SPEAR: exact recovery of a batch from its gradient, by the sparsity that ReLU leaves in the first linear layer."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from palimpsest.attacks.auditor_view import Knowledge
from palimpsest.attacks.disaggregation.batches import KNOWLEDGE, Batches, Samples, Target
from palimpsest.attacks.disaggregation.first_layer import find_first_layer
from palimpsest.attacks.disaggregation.kernels import Search
from palimpsest.attacks.disaggregation.search import KernelSearch
from palimpsest.attacks.server_view import BatchReconstruction, ServerAttack, ServerView
from palimpsest.progress import progress_line
from palimpsest.registry import ATTACKS
from palimpsest.storage import Parameters

# Inputs whose units agree less with the forward pass are not shown: half of the units agree by chance.
_PLAUSIBLE = 0.9


@ATTACKS.register("spear")
class Spear(ServerAttack):
    """Recover every sample of a batch exactly, if the model begins with a linear layer and ReLU.

    The gradient of the layer is a product of two matrices with one column and one row for each sample. The left one is
    zero wherever a sample does not activate a unit, which determines the factors among all possible ones. A sample
    that agrees with the forward pass in all units is certain, so the attack knows whether it has succeeded.
    """

    source: ClassVar[str] = "Dimitrov et al. 2024 (SPEAR), Algorithm 1; guided search: Palimpsest"

    target: Target = "stages"
    """Gradient to take apart. stages recovers the retained samples from the gradient after unlearning, then the
    forgotten ones from what remains of the other gradient, which is exact for any two models. difference takes the
    weighted difference of both gradients for that of the forgotten samples, which is exact for equal models. batch
    recovers all samples of the gradient before unlearning, of which those that are not in the other gradient are the
    forgotten ones."""
    search: Search = "guided"
    """Choice of the units of a submatrix: uniform as in the paper, or guided, which prefers units that few public
    images activate and needs far fewer submatrices."""
    submatrices: PositiveInt = 100_000
    """Largest number of submatrices to draw for each gradient."""
    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Smallest share of the units that a sample does not activate; candidates with fewer zeros are discarded."""

    @property
    def knowledge(self) -> frozenset[Knowledge]:
        """White-box knowledge, and public images: they guide the search and replace samples that are not found."""
        return KNOWLEDGE

    def __call__(self, view: ServerView, *, generator: Generator) -> BatchReconstruction:
        """Recover the forgotten samples of each batch.

        Args:
            view: The server's view.
            generator: Source of the attack's randomness.

        Returns:
            The images with their labels. The mean public image stands for a sample that was not found. Among the facts,
            `samples_consistent` is the share of samples, of all gradients that were taken apart, that agree with the
            forward pass in all units.

        Raises:
            ModelError: The model does not begin with a linear layer and ReLU on the flattened image, or the layer has
                fewer units than a batch has samples.
        """
        before, public = view.observation.before, view.public
        layer = find_first_layer(view.architecture, before, public.shape, attack="spear")
        layer.check_relu(before, public.images, public.labels, attack="spear")
        batches = Batches(view, layer, self.target)
        search = KernelSearch(self.submatrices, self.sparsity, generator)
        consistent: list[Tensor] = []
        drawn: list[int] = []

        with progress_line("take gradients apart", batches.gradients * self.submatrices) as line:

            def separate(gradient: Tensor, parameters: Parameters, count: int) -> Samples:
                activity = None
                if self.search == "guided":
                    activity = (layer.outputs(parameters, public.images) > 0).double().mean(dim=0)
                found = search.run(gradient, layer.weights(parameters), count, activity, line)
                drawn.append(found.drawn)
                recovered = found.recovered
                if recovered is None:
                    consistent.append(torch.zeros(count))
                    return Samples.none(gradient)
                # A gradient of lower rank leaves fewer samples than it has.
                missing = torch.zeros(count - len(recovered.inputs))
                consistent.append(torch.cat([recovered.consistent.float(), missing]))
                plausible = recovered.agreement >= _PLAUSIBLE
                return Samples(recovered.inputs[plausible], recovered.gradients[plausible])

            reconstruction = batches.reconstruct(separate)
        facts = {
            "samples_consistent": float(torch.cat(consistent).mean()),
            "gradients_consistent": float(torch.stack([part.min() for part in consistent]).mean()),
            "submatrices": float(sum(drawn)) / len(drawn),
        }
        reconstruction.facts.update(facts)
        return reconstruction
