"""Intersection table: leakage from repeated obfuscated proofs of the same samples."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from palimpsest.attacks import Learned, LearnedInversion, Projected
from palimpsest.attacks.intersection import DirectionPrior, fit_direction_prior, intersect
from palimpsest.config import AuditConfig
from palimpsest.datasets import FederatedData, load_data
from palimpsest.defenses import Defense
from palimpsest.errors import ConfigurationError
from palimpsest.federation import Federation, Training
from palimpsest.metrics import binomial_interval, mean_squared_errors, right_ranks
from palimpsest.models import load_parameters
from palimpsest.oracles import ModelOracle
from palimpsest.pipeline.audit import audit
from palimpsest.progress import progress_line
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES
from palimpsest.storage import write_json, write_text
from palimpsest.system.device import pick_device
from palimpsest.unlearning import Unlearning

DEFENSES_COMPARED = ("orthogonal", "orthogonal-sample-seeded")
SAMPLES = 50
_ROWS = 256


@dataclass(frozen=True)
class IntersectionRow:
    """Leakage from a number of proofs of each sample.

    Args:
        defense: Name of the defense that obfuscated the proofs, or `none`.
        proofs: Number of proofs of each sample.
        identified: Share of samples identified (top-1) among all forgotten images, in [0, 1].
        interval: Exact 95 % interval of that share.
        chance: Expected share of a random guess among all forgotten images.
        mse: Mean squared error of the reconstructions.
        alignment: Mean absolute cosine, in the reduced coordinates, of the estimated with the true direction, in
            [0, 1]. It is absolute because the proofs alone do not determine the sign; the prior does.
    """

    defense: str
    proofs: int
    identified: float
    interval: tuple[float, float]
    chance: float
    mse: float
    alignment: float


def intersection_table(
    config: AuditConfig,
    *,
    out: Path,
    samples: int = SAMPLES,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> list[IntersectionRow]:
    """Request proofs of the same samples repeatedly, and write `intersection.md` and `intersection.json`.

    Args:
        config: An audit by `igf` with an SVD of normalized proofs. Its inverter is used, its defenses are ignored.
        out: The folder of the table, which also holds the audit's run folder.
        samples: Number of forgotten samples to reconstruct.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for the stages' output; if omitted, nothing is printed.

    Returns:
        A row for the undefended proofs, then a row for each defense and number of proofs.

    Raises:
        ConfigurationError: The attack does not reduce normalized proofs with an SVD.
    """
    undefended = config.model_copy(update={"defenses": ()})
    folder = audit(undefended, out=out / "audit", data_dir=data_dir, console=console, replace=True).folder
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    learned = Learned.load(folder / "inverter.safetensors")
    proofs = Proofs.load(folder / "proofs.safetensors").vectors[:samples]
    forgotten = data.train.subset(Unlearning.load(folder / "unlearned.safetensors").forgotten).images
    extractor = _svd_extractor(learned)
    prior = fit_direction_prior(_auxiliary_directions(undefended, folder, data, extractor))
    truth = extractor.reduce(_unit(proofs))

    def row(name: str, count: int, directions: Tensor) -> IntersectionRow:
        images = _invert(config, learned, directions, proofs.norm(dim=1))
        right = int((right_ranks_among(images, forgotten) == 1).sum())
        return IntersectionRow(
            defense=name,
            proofs=count,
            identified=right / len(images),
            interval=binomial_interval(right, len(images)),
            chance=1 / len(forgotten),
            mse=float(mean_squared_errors(images, forgotten[:samples]).mean()),
            alignment=float(torch.cosine_similarity(directions.float(), truth).abs().mean()),
        )

    rows = [row("none", 1, truth)]
    for name in DEFENSES_COMPARED:
        defense = DEFENSES.get(name)()
        for count, directions in _estimates(defense, proofs, extractor, prior, config.seed):
            rows.append(row(name, count, directions))
            write_json(out / "intersection.json", [asdict(finished) for finished in rows])
            write_text(out / "intersection.md", markdown(rows))
    return rows


def right_ranks_among(images: Tensor, forgotten: Tensor) -> Tensor:
    """Rank the originals of the first images among all forgotten images.

    Args:
        images: Reconstructions of the first m forgotten images, `[m, c, h, w]`.
        forgotten: All forgotten images, `[n, c, h, w]`.

    Returns:
        `[m]` int64 from 1 (the correct original is the nearest) to n.
    """
    # `right_ranks` needs a reconstruction of every image; the ranks of the others are dropped.
    filled = torch.cat([images, forgotten[len(images) :]])
    return right_ranks(filled, forgotten)[: len(images)]


def markdown(rows: Sequence[IntersectionRow]) -> str:
    """Format the table as Markdown.

    Args:
        rows: Rows of the table; the first is that of the undefended proofs.
    """
    head = (
        "| defense | proofs of each sample | identified (top-1) | MSE | absolute cosine with the truth |\n"
        "| --- | --- | --- | --- | --- |\n"
    )
    table = head + "".join(
        f"| {row.defense} | {row.proofs:,} | {row.identified:.1%} ({row.interval[0]:.1%} to {row.interval[1]:.1%}) | "
        f"{row.mse:.4f} | {row.alignment:.3f} |\n"
        for row in rows
    )
    target = 0.8 * rows[0].identified
    enough = next((row.proofs for row in rows[1:] if row.identified >= target), None)
    outcome = f"first reached with {enough:,} proofs of each sample" if enough else "not reached"
    table += f"\nBrackets: exact 95 % intervals over the samples of one run. Chance: {rows[0].chance:.1%}.\n"
    return f"{table}\n80 % of the rate without a defense ({target:.1%}) was {outcome}.\n"


def _svd_extractor(learned: Learned) -> Projected:
    match learned.features.extractors:
        case (Projected(normalize=True) as extractor,):
            return extractor
    raise ConfigurationError(
        "The intersection table needs an attack that reduces normalized proofs with an SVD. Use --attack.name igf "
        "--attack.reduction svd --attack.normalize."
    )


def _auxiliary_directions(
    config: AuditConfig, folder: Path, data: FederatedData, extractor: Projected
) -> Tensor:
    """Compute the reduced directions of the auditor's auxiliary samples."""
    federation = Federation(data, config.model, config.federation, config.seed, pick_device(config.device))
    before, after = federation.network(), federation.network()
    load_parameters(before, Training.load(folder / "original.safetensors").parameters)
    load_parameters(after, Unlearning.load(folder / "unlearned.safetensors").parameters)
    oracle = ModelOracle(before, after, memory_budget=config.memory_budget)
    auxiliary = data.auxiliary
    chunks = oracle.differences(auxiliary.images, auxiliary.labels)
    return torch.cat([extractor.reduce(_unit(chunk)) for chunk in chunks])


def _estimates(
    defense: Defense, proofs: Tensor, extractor: Projected, prior: DirectionPrior, seed: int
) -> Iterator[tuple[int, Tensor]]:
    """Yield each number of proofs with the estimated directions `[samples, k]`."""
    count, dimension = proofs.shape
    k = extractor.projection.components
    counts = sorted({1, 8, 64, k, 8 * k, 32 * k})
    scatter = torch.zeros(count, k, k, dtype=torch.float64)
    generators = [make_generator(seed, "reissued", index) for index in range(count)]
    first_proofs: list[Tensor | None] = [None] * count
    issued = 0
    for total in counts:
        with progress_line(f"{total:,} proofs of each sample", count) as line:
            for index, (proof, generator) in enumerate(zip(proofs, generators, strict=True)):
                for start in range(issued, total, _ROWS):
                    rows = min(_ROWS, total - start)
                    fresh = defense(proof.expand(rows, -1), generator=generator)
                    reduced = extractor.reduce(_unit(_without_copies(fresh, first_proofs, index))).double()
                    scatter[index] += dimension * reduced.T @ reduced
                line.advance()
        issued = total
        yield total, torch.stack([intersect(matrix, prior) for matrix in scatter])


def _without_copies(fresh: Tensor, first_proofs: list[Tensor | None], index: int) -> Tensor:
    """Drop copies of the sample's first proof, which carry no new information."""
    first = first_proofs[index]
    if first is None:
        first_proofs[index] = first = fresh[0].clone()
        keep = (fresh != first).any(1)
        keep[0] = True
        return fresh[keep]
    return fresh[(fresh != first).any(1)]


def _invert(config: AuditConfig, learned: Learned, directions: Tensor, lengths: Tensor) -> Tensor:
    attack = config.attack.build()
    assert isinstance(attack, LearnedInversion), "the audit stored its inverter"
    raw = torch.cat([directions.float(), lengths.log()[:, None]], 1)
    return attack.apply_networks(
        learned, learned.features.standardize(raw), device=pick_device(config.device)
    )


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
