"""The examination: piece by piece, so that one that does not fit hides as few others as can be."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from palimpsest.audit import pick_device, refuse_kind
from palimpsest.case.attack import refuse_attack
from palimpsest.case.config import CaseConfig
from palimpsest.case.doctor.checkpoints import check_layers, check_names, check_pair
from palimpsest.case.doctor.finding import Finding, fault, fits, mind
from palimpsest.case.doctor.inputs import check_accuracy, check_range
from palimpsest.case.doctor.oracle import ask, check_answers, check_plan
from palimpsest.case.doctor.proofs import (
    COMPARED,
    check_attestation,
    check_dimension,
    check_truth,
    check_vectors,
)
from palimpsest.case.images import Brought, in_classes, load_brought
from palimpsest.case.models import Models
from palimpsest.case.oracle import Answering, open_oracle
from palimpsest.case.pieces import Pieces, gather, models_of, truth_of
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import PalimpsestError
from palimpsest.gradients import gradient_differences, parameter_count
from palimpsest.metrics import evaluate
from palimpsest.models import build_own, read_state_dict
from palimpsest.proofs import Proofs, load_proofs
from palimpsest.randomness import make_generator

T = TypeVar("T")


def examine(config: CaseConfig, *, folder: Path, data_dir: Path | None = None) -> Iterator[Finding]:
    """Say, before hours are spent, whether the pieces of a case fit; at most twenty samples are asked about.

    Args:
        config: The case.
        folder: Where its run would stand; nothing is written there.
        data_dir: A mirror of the published sets.

    Yields:
        A finding for each thing that was looked at.
    """
    with tempfile.TemporaryDirectory() as scratch:
        yield from _Examination(
            config, folder, data_dir, pick_device(config.device), Path(scratch)
        ).findings()


@dataclass(frozen=True)
class _Examination:
    config: CaseConfig
    folder: Path
    data_dir: Path | None
    device: str
    scratch: Path

    def findings(self) -> Iterator[Finding]:
        """All of them; what depends on a piece that does not fit is passed over."""
        config = self.config
        yield from _tried("attack", lambda: refuse_attack(config))
        proofs = yield from _tried("proofs", lambda: load_proofs(config.proofs))
        if proofs is not None:
            yield from check_vectors(proofs)
        brought = yield from _tried("images", self._images)
        if brought is None:
            return
        models = yield from self._models(brought.samples)
        images = brought.samples
        if models is not None:
            classes = models.classes
            images = yield from _tried("classes", lambda: in_classes(brought.samples, classes))
        if images is None:
            return
        yield from check_range(images)
        yield from _tried(
            "attack", lambda: refuse_kind(config.attack.name, config.attack.components["name"], images)
        )
        if models is not None:
            yield from check_accuracy(models.original, images, self.device)
        if proofs is None:
            return
        if models is not None:
            yield from check_attestation(proofs, models)
            if not config.defenses:
                yield from check_dimension(proofs, models.original, self._frozen(images))
        answering = yield from _tried("oracle", lambda: self._oracle(models, images, proofs))
        if answering is not None:
            yield from _guarded("oracle", check_answers(answering, models, images))
        yield from self._truth(proofs, models, images, brought.names, answering)
        pieces = yield from _tried("case", self._gather)
        if pieces is not None:
            view = pieces.view(device=self.device, memory_budget=config.memory_budget)
            yield from _guarded("attack", check_plan(config, view, self.folder))

    def _models(self, images: SampleSet) -> Generator[Finding, None, Models | None]:
        config = self.config
        named = config.model, config.original, config.unlearned
        if named == (None, None, None):
            yield mind(
                "model", "No model is held: whether the proofs are what they claim can't be checked here."
            )
            return None
        if config.model is None or config.original is None or config.unlearned is None:
            return (yield from _tried("model", lambda: models_of(config, images, device=self.device)))
        name, paths = config.model, (config.original, config.unlearned)
        network = yield from _tried(
            "model",
            lambda: build_own(name, config.model_arguments, shape=images.shape, classes=images.classes),
        )
        states = []
        for which, path in zip(("original", "unlearned"), paths, strict=True):
            state = yield from _tried(which, lambda path=path: read_state_dict(path))
            if state is not None and network is not None:
                yield from check_names(which, state, network)
            states.append(state)
        if states[0] is not None and states[1] is not None:
            yield from check_pair(states[0], states[1])
        if network is None or None in states:
            return None
        models = yield from _tried("model", lambda: models_of(config, images, device=self.device))
        if models is not None:
            yield from check_layers(models.original, images.inputs[0].numel())
        return models

    def _truth(
        self,
        proofs: Proofs,
        models: Models | None,
        images: SampleSet,
        names: tuple[str, ...],
        answering: Answering | None,
    ) -> Iterator[Finding]:
        config = self.config
        truth = yield from _tried(
            "truth",
            lambda: truth_of(config, images, len(proofs.vectors), names=names, data_dir=self.data_dir),
        )
        if truth is None and config.truth is None:
            yield mind(
                "truth",
                "The forgotten images are not given: nothing is scored, and the proofs can't be checked.",
            )
        if truth is None:
            return
        few, vectors = truth.subset(torch.arange(min(COMPARED, len(truth)))), proofs.vectors[:COMPARED]
        generator = make_generator(config.seed, "doctor")
        if isinstance(few, ImageSet) and isinstance(images, ImageSet):
            scores = evaluate(few.images, few, images, bootstrap=10, generator=generator)
            yield fits(
                "scores",
                f"True images given as reconstructions score an MSE of {float(scores.mse.max()):.1g}.",
            )
            if scores.lpips_reason:
                yield mind("scores", f"LPIPS will be absent: {scores.lpips_reason}")
        if config.defenses:
            yield mind(
                "truth",
                "Defended proofs are not the true images' gradient differences: they are not compared.",
            )
        elif models is not None and parameter_count(models.original) == vectors.shape[1]:
            ours = gradient_differences(models.original, models.unlearned, few.inputs, few.labels).cpu()
            yield from check_truth(vectors, ours, few, models)
        elif (
            answering is not None
            and answering.budget is None
            and answering.oracle.dimension == vectors.shape[1]
        ):
            answers = yield from _tried("truth", lambda: ask(answering, few))
            if answers is not None:
                yield from check_truth(vectors, answers, few, None)
        else:
            yield mind(
                "truth",
                "The oracle is not asked about the true images: whether they score zero is not known.",
            )

    def _images(self) -> Brought:
        config = self.config
        return load_brought(
            config.auxiliary,
            split=config.auxiliary_split,
            image_size=config.image_size,
            names=config.class_names or (),
            data_dir=self.data_dir,
        )

    def _frozen(self, images: SampleSet) -> int:
        """Numbers in the parameters that the factory made with `requires_grad=False`."""
        config = self.config
        assert config.model is not None, "models were loaded"
        network = build_own(config.model, config.model_arguments, shape=images.shape, classes=images.classes)
        return sum(one.numel() for one in network.parameters() if not one.requires_grad)

    def _oracle(self, models: Models | None, images: SampleSet, proofs: Proofs) -> Answering:
        return open_oracle(
            self.config.oracle,
            models=models,
            auxiliary=images,
            dimension=proofs.vectors.shape[1] if models is None else parameter_count(models.original),
            folder=self.scratch,
            memory_budget=self.config.memory_budget // 4,
        )

    def _gather(self) -> Pieces:
        without_truth = self.config.model_copy(update={"truth": None})
        return gather(without_truth, folder=self.scratch, data_dir=self.data_dir, device=self.device)


def _tried(piece: str, make: Callable[[], T]) -> Generator[Finding, None, T | None]:
    """A value, or the finding that it can't be had."""
    try:
        return make()
    except PalimpsestError as error:
        yield fault(piece, str(error))
        return None


def _guarded(piece: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Findings, the last of them that there can be no more."""
    try:
        yield from findings
    except PalimpsestError as error:
        yield fault(piece, str(error))
