"""The artifacts of an attack by the server, loaded and checked against each other."""

from dataclasses import dataclass
from pathlib import Path

from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.images import LoadedSamples, draw, load_for, numbered
from palimpsest.artifacts.models import Models
from palimpsest.artifacts.observation import ObservationFile, read_observation
from palimpsest.attacks import GaussianMechanism, Knowledge, ServerAttack, ServerView
from palimpsest.datasets import ImageSet
from palimpsest.defenses import Defense, published_noise
from palimpsest.errors import ConfigurationError, DatasetError, KnowledgeError


@dataclass(frozen=True)
class ServerArtifacts:
    """Everything that an attack by the server needs, and the truth, which the attack never receives.

    Args:
        observed: The batches' gradients before and after unlearning, and labels if the file has them.
        models: The model before and after unlearning.
        public: Public images.
        forgotten: The forgotten images, batch by batch, or None.
        retained: The retained images, batch by batch, or None.
        class_names: Names of the classes in order; empty if unknown.
        defenses: The clipping and noise that the gradients went through, in order.
    """

    observed: ObservationFile
    models: Models
    public: ImageSet
    forgotten: ImageSet | None
    retained: ImageSet | None
    class_names: tuple[str, ...]
    defenses: tuple[Defense, ...] = ()

    def view(self, attack: ServerAttack, *, device: str, memory_budget: int) -> ServerView:
        """Return the server's view, with labels and the noise only for an attack that declares that it knows them.

        Args:
            attack: The attack that receives the view.
            device: The device that the attack runs on.
            memory_budget: Bytes that the attack may hold.
        """
        noise = published_noise(self.defenses)
        return ServerView(
            observation=self.observed.observation,
            architecture=self.models.architecture,
            public=self.public,
            labels=self.observed.labels if Knowledge.LABELS in attack.knowledge else None,
            device=device,
            memory_budget=memory_budget,
            mechanism=GaussianMechanism(*noise) if noise and Knowledge.NOISE in attack.knowledge else None,
        )


def load_server_artifacts(config: ArtifactsConfig, *, data_dir: Path | None, device: str) -> ServerArtifacts:
    """Load the artifacts of an attack on gradients, and check that they are consistent.

    Args:
        config: The artifacts and the attack.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.
        device: The device of the models.

    Raises:
        PalimpsestError: An artifact is missing, damaged, or inconsistent with another; the message says which.
    """
    loaded = load_public(config, data_dir=data_dir)
    models = models_of(config, images_of(loaded), device=device)
    if models is None:
        raise ConfigurationError(
            "The models are missing. An attack by the server needs original, unlearned and model."
        )
    images = images_of(numbered(loaded, config.auxiliary, models.classes))
    public = draw(images, config.auxiliary_size, seed=config.seed)
    observed = read_observation(config.attacked_file, config.observation, models)
    batches = len(observed.observation.gradients_before)

    def truth(name: str | None, split: str | None, samples: int) -> ImageSet | None:
        if name is None:
            return None
        true = load_for(config, name, split=split, numbering=loaded.numbering, data_dir=data_dir)
        images = images_of(true)
        if len(images) != batches * samples or images.shape != public.shape:
            raise DatasetError(
                f"{name} holds {len(images):,} images of shape {list(images.shape)}, but {config.attacked_file} holds "
                f"{batches:,} batches and the auxiliary images have shape {list(public.shape)}. Give {samples} images "
                "for each batch, in the order of the batches and in the shape of the auxiliary images."
            )
        return images_of(numbered(true, name, models.classes))

    return ServerArtifacts(
        observed,
        models,
        public,
        truth(config.truth, config.truth_split, config.observation.forgotten),
        truth(config.retained_truth, None, config.observation.retained),
        loaded.names,
        tuple(defense.build() for defense in config.defenses),
    )


def load_public(config: ArtifactsConfig, *, data_dir: Path | None) -> LoadedSamples:
    """Load the auxiliary images, which are public images in an attack by the server.

    Args:
        config: The artifacts.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.
    """
    return load_for(config, config.auxiliary, split=config.auxiliary_split, data_dir=data_dir)


def images_of(loaded: LoadedSamples) -> ImageSet:
    """Return loaded samples that are images.

    Args:
        loaded: Samples of any kind.

    Raises:
        KnowledgeError: The samples are not images; attacks by the server reconstruct nothing else.
    """
    if not isinstance(loaded.samples, ImageSet):
        raise KnowledgeError(
            f"Attacks by the server reconstruct images, but {loaded.samples.name} holds {loaded.samples.kind}. "
            "Give images, or attack proofs instead."
        )
    return loaded.samples
