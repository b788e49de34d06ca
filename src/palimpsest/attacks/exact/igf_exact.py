"""IGF-exact: solves the equations of a proof for an auditor who holds both models, and certifies what it solved."""

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from palimpsest.attacks.auditor_view import AuditorView, Knowledge, ModelsView, Reconstruction, TrainedAttack
from palimpsest.attacks.certificates import Certificates
from palimpsest.attacks.exact.calibration import calibrate
from palimpsest.attacks.exact.fit import Plan, fit_state
from palimpsest.attacks.exact.gauss_newton import SCHEDULE
from palimpsest.attacks.exact.read_chain import read_chain
from palimpsest.attacks.exact.solver import Solver
from palimpsest.attacks.exact.state import ExactState
from palimpsest.attacks.learned.precision import Precision
from palimpsest.errors import KnowledgeError
from palimpsest.progress import progress_line
from palimpsest.registry import ATTACKS
from palimpsest.storage import Record


@ATTACKS.register("igf-exact")
class IGFExact(TrainedAttack):
    """Solve a proof's equations layer by layer, and refine a learned start where they are not enough."""

    source: ClassVar[str] = "Palimpsest's own attack, under IGF's threat model with known models"
    knowledge: ClassVar[frozenset[Knowledge]] = ModelsView.knowledge
    state: ClassVar[type[Record]] = ExactState
    # It takes seconds to solve a proof.
    control_group_size: ClassVar[int] = 32

    networks: PositiveInt = 2
    """Layers, counted from the last one, from whose inputs a network is trained."""
    queries: PositiveInt = 4
    """Training images for each auxiliary image: the image, its horizontal flip, then randomly shifted and relit
    variations."""
    horizontal_flip: bool = True
    """Whether to flip images horizontally; turn this off for digits and text."""
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 128
    """Channels of a network's first map."""
    blocks: NonNegativeInt = 2
    """Residual blocks on the first map; each upsampling halves their number."""
    epochs: PositiveInt = 4
    """Training epochs of each network."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Images in a training step."""
    learning_rate: PositiveFloat = 2e-3
    """Peak of the one-cycle learning rate."""
    precision: Precision = "auto"
    """Number format of the network's matrix products and convolutions; auto is bfloat16 if the hardware supports it."""
    calibration: PositiveInt = 24
    """Auxiliary images, kept aside from training, on whose proofs the certificates' thresholds are calibrated."""
    rounds: Annotated[int, Field(ge=0, le=len(SCHEDULE))] = len(SCHEDULE)
    """Rounds of Gauss-Newton for images that the layers' equations do not determine; 0 skips them."""
    batch: PositiveInt = 8
    """Proofs that are solved at a time."""

    def learn(self, view: AuditorView[Any], *, generator: Generator) -> ExactState:
        """Train the starts on auxiliary images, and calibrate the certificates on their proofs.

        Args:
            view: The models, the oracle, and auxiliary images.
            generator: Source of the attack's randomness.

        Returns:
            The trained state of the attack.

        Raises:
            KnowledgeError: The view lacks the models, the model has no last linear layer, or the oracle's answers have
                another length than the model's gradients, as after a defense that changes it.
            DivergenceError: The training loss is not finite.
        """
        if not isinstance(view, ModelsView):
            raise KnowledgeError("igf-exact needs both models, which this view lacks. Pass a ModelsView.")
        chain, trunk = read_chain(view.original, view.unlearned, view.auxiliary.shape)
        if view.oracle.dimension != chain.dimension:
            raise KnowledgeError(
                f"Proofs have {view.oracle.dimension:,} coordinates, but the models have {chain.dimension:,} trained "
                "parameters. igf-exact needs whole gradients. Choose igf-plus."
            )
        plan = Plan(
            networks=self.networks,
            queries=self.queries,
            horizontal_flip=self.horizontal_flip,
            width=self.width,
            blocks=self.blocks,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            precision=self.precision,
            kept_aside=self.calibration,
            device=view.device,
        )
        state, kept_aside = fit_state(trunk, view.auxiliary, plan, generator=generator)
        return calibrate(
            state,
            trunk,
            view.oracle,
            view.auxiliary,
            kept_aside[: self.calibration],
            rounds=self.rounds,
            batch=self.batch,
            device=view.device,
        )

    def invert(self, learned: ExactState, proofs: Tensor, *, device: str) -> Reconstruction:
        """Solve proofs, and certify the solutions.

        Args:
            learned: Trained state of the attack.
            proofs: Gradient differences, `[n, d]`.
            device: "cpu" or "cuda".

        Returns:
            One image for each proof, in the order of the proofs, with certificates.
        """
        solver = Solver(learned, self.rounds, device)
        solved = []
        with progress_line("solve the proofs", len(proofs)) as line:
            for part in proofs.cpu().split(self.batch):
                solved.append(solver.solve(part))
                line.advance(len(part))
        certificates = Certificates(
            learned.chain.layers,
            torch.cat([part.descent.residuals for part in solved]),
            torch.tensor(learned.thresholds, dtype=torch.float64),
            torch.cat([part.proof_residuals for part in solved]),
            learned.proof_threshold,
            learned.chain.limit,
        )
        facts = learned.facts | {
            "certified_exact": float(certificates.exact.double().mean()),
            "certified_layers": float(certificates.depth.double().mean()),
        }
        return Reconstruction(
            images=torch.cat([part.images for part in solved]),
            history=learned.history,
            facts=facts,
            certificates=(certificates,),
        )
