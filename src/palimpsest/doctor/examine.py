"""Examination of an attack's artifacts, one by one, so that an error in one hides as few others as possible."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from palimpsest.artifacts.auditor import AuditorArtifacts, load_auditor_artifacts, truth_of
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.images import LoadedSamples, load_for, numbered
from palimpsest.artifacts.models import Models
from palimpsest.artifacts.oracle import OracleSource, open_oracle
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.doctor.finding import Finding, Level, guarded, ok, tried, warning
from palimpsest.doctor.inputs import check_accuracy, check_range
from palimpsest.doctor.models import examine_models
from palimpsest.doctor.oracle import check_answers, check_plan
from palimpsest.doctor.proofs import (
    COMPARED,
    check_attestation,
    check_classes,
    check_dimension,
    check_truth,
    check_vectors,
)
from palimpsest.doctor.server import examine_server
from palimpsest.gradients import gradient_differences, parameter_count
from palimpsest.metrics import evaluate
from palimpsest.oracles import query_all
from palimpsest.pipeline.stages.preflight import check_attack_on_artifacts, check_samples, settle_weights
from palimpsest.proofs import Proofs, load_proofs
from palimpsest.randomness import make_generator
from palimpsest.system.device import pick_device


def examine(config: ArtifactsConfig, *, folder: Path, data_dir: Path | None = None) -> Iterator[Finding]:
    """Check whether the artifacts of an attack are consistent, before the attack takes hours.

    An oracle is queried about at most twenty samples.

    Args:
        config: The artifacts and the attack.
        folder: The folder that the attack's run would use; nothing is written there.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.

    Yields:
        A finding for each check.
    """
    with tempfile.TemporaryDirectory() as scratch:
        settled = yield from tried("attack", lambda: settle_weights(config))
        config, changes = settled or (config, ())
        yield from _Examination(
            config, folder, data_dir, pick_device(config.device), Path(scratch)
        ).findings()
        for change in changes:
            yield warning("weights", change)


@dataclass(frozen=True)
class _Examination:
    config: ArtifactsConfig
    folder: Path
    data_dir: Path | None
    device: str
    scratch: Path

    def findings(self) -> Iterator[Finding]:
        """Yield all findings; checks that depend on an artifact with an error are skipped."""
        if self.config.gradients is not None:
            yield from tried("attack", self._check_attack)
            yield from examine_server(self.config, data_dir=self.data_dir, device=self.device)
            return
        complete = True
        for finding in self._check_artifacts():
            # An error in the truth doesn't stop the attack, which never uses the truth.
            complete = complete and (finding.level is not Level.ERROR or finding.subject == "truth")
            yield finding
        artifacts = (yield from tried("artifacts", self._load_without_truth)) if complete else None
        if artifacts is not None:
            view = artifacts.view(device=self.device, memory_budget=self.config.memory_budget)
            yield from guarded("attack", check_plan(self.config, view, self.folder))

    def _check_artifacts(self) -> Iterator[Finding]:
        config = self.config
        yield from tried("attack", self._check_attack)
        proofs = yield from tried("proofs", lambda: load_proofs(config.attacked_file))
        if proofs is not None:
            yield from check_vectors(proofs)
        loaded = yield from tried("images", self._load_images)
        if loaded is None:
            return
        models = yield from examine_models(config, loaded.samples, device=self.device)
        if models is not None:
            found, classes = loaded, models.classes
            loaded = yield from tried("classes", lambda: numbered(found, config.auxiliary, classes))
        if loaded is None:
            return
        images = loaded.samples
        yield from check_range(images)
        yield from tried("attack", lambda: check_samples(config.attack.name, config.attack.build(), images))
        if models is not None:
            yield from check_accuracy(models.original, images, self.device)
        if proofs is None:
            return
        yield from check_classes(proofs, loaded)
        if models is not None:
            yield from check_attestation(proofs, models)
            if not config.defenses:
                yield from check_dimension(proofs, models.original)
        if models is None and config.model is not None and config.oracle.source is None:
            return
        oracle_source = yield from tried("oracle", lambda: self._open_oracle(models, images, proofs))
        if oracle_source is not None:
            yield from guarded("oracle", check_answers(oracle_source, models, images))
        yield from self._check_truth(proofs, models, loaded, oracle_source)

    def _check_truth(
        self,
        proofs: Proofs,
        models: Models | None,
        loaded: LoadedSamples,
        oracle_source: OracleSource | None,
    ) -> Iterator[Finding]:
        config, images = self.config, loaded.samples
        truth = yield from tried("truth", lambda: truth_of(config, loaded, proofs, data_dir=self.data_dir))
        if truth is None and config.truth is None:
            yield warning(
                "truth",
                "The forgotten images are not given (--truth). Nothing is scored, and the proofs can't be checked "
                "against them.",
            )
        if truth is None:
            return
        first, vectors = truth.subset(torch.arange(min(COMPARED, len(truth)))), proofs.vectors[:COMPARED]
        generator = make_generator(config.seed, "doctor")
        if isinstance(first, ImageSet) and isinstance(images, ImageSet):
            scores = evaluate(first.images, first, images, bootstrap=10, generator=generator)
            yield ok(
                "scores",
                f"The true images, scored as reconstructions, have an MSE of at most {float(scores.mse.max()):.1g}.",
            )
            if scores.lpips_reason:
                yield warning("scores", f"LPIPS will be absent: {scores.lpips_reason}")
        if config.defenses:
            yield warning(
                "truth",
                "The proofs are defended, so they are not compared with the true images' gradient differences.",
            )
        elif models is not None and parameter_count(models.original) == vectors.shape[1]:
            expected = gradient_differences(
                models.original, models.unlearned, first.inputs, first.labels
            ).cpu()
            yield from check_truth(vectors, expected, first, models)
        elif (
            oracle_source is not None
            and oracle_source.budget is None
            and oracle_source.oracle.dimension == vectors.shape[1]
        ):
            answers = yield from tried("truth", lambda: query_all(oracle_source.oracle, first))
            if answers is not None:
                yield from check_truth(vectors, answers, first, None)
        elif models is None:
            yield warning(
                "truth",
                "The proofs can't be compared with the true images' gradient differences. Without the models only the "
                "oracle could compute those, and it has a budget, covers only the auxiliary images, or has errors.",
            )

    def _load_images(self) -> LoadedSamples:
        config = self.config
        return load_for(config, config.auxiliary, split=config.auxiliary_split, data_dir=self.data_dir)

    def _open_oracle(self, models: Models | None, images: SampleSet, proofs: Proofs) -> OracleSource:
        return open_oracle(
            self.config.oracle,
            models=models,
            auxiliary=images,
            dimension=proofs.vectors.shape[1] if models is None else parameter_count(models.original),
            folder=self.scratch,
            memory_budget=self.config.memory_budget // 4,
        )

    def _check_attack(self) -> None:
        check_attack_on_artifacts(self.config, self.config.attack.build())

    def _load_without_truth(self) -> AuditorArtifacts:
        without_truth = self.config.model_copy(update={"truth": None})
        return load_auditor_artifacts(
            without_truth, folder=self.scratch, data_dir=self.data_dir, device=self.device
        )
