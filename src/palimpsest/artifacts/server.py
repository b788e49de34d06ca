"""The pieces of a server's case: what it saw, the models, public images, and the truth, which no attack gets."""

from dataclasses import dataclass
from pathlib import Path

from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.images import LoadedSamples, draw, in_classes, load_for
from palimpsest.artifacts.models import Models
from palimpsest.artifacts.observation import ObservationFile, read_observation
from palimpsest.attacks import Knowledge, ServerAttack, ServerView
from palimpsest.datasets import ImageSet
from palimpsest.errors import ConfigurationError, DatasetError, KnowledgeError


@dataclass(frozen=True)
class ServerArtifacts:
    """All that an attack from the server needs, and the truth.

    Args:
        observed: The batches' gradients before and after unlearning, and labels where they were brought.
        models: The model before and after it.
        public: Images that anybody could have.
        forgotten: The forgotten images, batch by batch, or none.
        retained: The images that stay, batch by batch, or none.
        class_names: Names of the classes, where folders tell them.
    """

    observed: ObservationFile
    models: Models
    public: ImageSet
    forgotten: ImageSet | None
    retained: ImageSet | None
    class_names: tuple[str, ...]

    def view(self, attack: ServerAttack, *, device: str, memory_budget: int) -> ServerView:
        """What the server holds, with labels only for an attack that declares that it knows them.

        Args:
            attack: Which one.
            device: Where it computes.
            memory_budget: Bytes that it may hold.
        """
        return ServerView(
            observation=self.observed.observation,
            architecture=self.models.architecture,
            public=self.public,
            labels=self.observed.labels if Knowledge.LABELS in attack.knowledge else None,
            device=device,
            memory_budget=memory_budget,
        )


def load_server_artifacts(config: ArtifactsConfig, *, data_dir: Path | None, device: str) -> ServerArtifacts:
    """Read everything that a server's case names, and refuse what does not fit together.

    Args:
        config: The case.
        data_dir: A mirror of the published sets.
        device: Where the models compute.

    Raises:
        PalimpsestError: A piece is missing, damaged, or does not fit another; the message says which.
    """
    brought = load_public(config, data_dir=data_dir)
    images = images_of(brought)
    models = models_of(config, images, device=device)
    if models is None:
        raise ConfigurationError(
            "No models are given, and a server holds them: name original, unlearned and model."
        )
    public = draw(in_classes(images, models.classes), config.auxiliary_size, seed=config.seed)
    observed = read_observation(config.brought, config.observation, models)
    batches = len(observed.observation.gradients_before)

    def truth(name: str | None, split: str | None, samples: int) -> ImageSet | None:
        if name is None:
            return None
        images = images_of(load_for(config, name, split=split, names=brought.names, data_dir=data_dir))
        if len(images) != batches * samples or images.shape != public.shape:
            raise DatasetError(
                f"{name} holds {len(images):,} images of {list(images.shape)}, and {config.brought} is of {batches:,} "
                f"batches of {samples} and the auxiliary images are of {list(public.shape)}: give {samples} for each "
                "batch, in their order and of one shape."
            )
        return in_classes(images, models.classes)

    return ServerArtifacts(
        observed,
        models,
        public,
        truth(config.truth, config.truth_split, config.observation.forgotten),
        truth(config.retained_truth, None, config.observation.retained),
        brought.names,
    )


def load_public(config: ArtifactsConfig, *, data_dir: Path | None) -> LoadedSamples:
    """The case's auxiliary images: to a server they are public ones."""
    return load_for(config, config.auxiliary, split=config.auxiliary_split, data_dir=data_dir)


def images_of(brought: LoadedSamples) -> ImageSet:
    """What was brought, if it is images.

    Raises:
        KnowledgeError: It is something else, which no attack from the server reconstructs.
    """
    if not isinstance(brought.samples, ImageSet):
        raise KnowledgeError(
            f"The attacks from the server reconstruct images, and {brought.samples.name} holds {brought.samples.kind}: "
            "give images, or attack proofs."
        )
    return brought.samples
