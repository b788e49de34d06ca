"""The intersection table: how many obfuscated proofs of one sample give it away."""

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
    """What so many proofs of each sample gave away.

    Args:
        defense: How the proofs were obfuscated.
        proofs: Proofs of each sample.
        identified: The share of samples whose reconstruction is nearest to their own image.
        interval: The exact 95 % interval of that share.
        chance: What guessing among all forgotten images gets.
        mse: Mean squared error of the reconstructions.
        alignment: Mean absolute cosine, in the reduced coordinates, of the estimate with the true direction: the
            proofs alone leave its sign open, the prior decides it.
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
    """Ask for proofs of the same samples again and again, and write `intersection.md` and `intersection.json`.

    Args:
        config: An audit by `igf` with an SVD; its inverter is used, its defenses are not.
        out: The folder of the table, with the audit's run folder in it.
        samples: How many of the forgotten samples.
        data_dir: A folder that mirrors the data sets.
        console: Where stages print their lines.

    Raises:
        ConfigurationError: The attack reduces otherwise.
    """
    plain = config.model_copy(update={"defenses": ()})
    folder = audit(plain, out=out / "audit", data_dir=data_dir, console=console, replace=True).folder
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    learned = Learned.load(folder / "inverter.safetensors")
    proofs = Proofs.load(folder / "proofs.safetensors").vectors[:samples]
    forgotten = data.train.subset(Unlearning.load(folder / "unlearned.safetensors").forgotten).images
    readout = _projected(learned)
    prior = fit_direction_prior(_own_directions(plain, folder, data, readout))
    truth = readout.reduce(_unit(proofs))

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
        for count, directions in _estimates(defense, proofs, readout, prior, config.seed):
            rows.append(row(name, count, directions))
            write_json(out / "intersection.json", [asdict(one) for one in rows])
            write_text(out / "intersection.md", markdown(rows))
    return rows


def right_ranks_among(images: Tensor, forgotten: Tensor) -> Tensor:
    """The ranks of the first images' originals among all forgotten ones; the others' are filled with their own."""
    filled = torch.cat([images, forgotten[len(images) :]])
    return right_ranks(filled, forgotten)[: len(images)]


def markdown(rows: Sequence[IntersectionRow]) -> str:
    """The table as Markdown."""
    head = (
        "| defense | proofs of each sample | identified | MSE | cosine with the truth, without sign |\n"
        "| --- | --- | --- | --- | --- |\n"
    )
    table = head + "".join(
        f"| {row.defense} | {row.proofs:,} | {row.identified:.1%} ({row.interval[0]:.1%} to {row.interval[1]:.1%}) | "
        f"{row.mse:.4f} | {row.alignment:.3f} |\n"
        for row in rows
    )
    wanted = 0.8 * rows[0].identified
    enough = next((row.proofs for row in rows[1:] if row.identified >= wanted), None)
    told = f"first reached with {enough:,} proofs" if enough else "not reached"
    table += f"\nIntervals: 95 %. A guess identifies {rows[0].chance:.1%}.\n"
    return f"{table}\n80 % of the rate without a defense, {wanted:.1%}, was {told} of each sample.\n"


def _projected(learned: Learned) -> Projected:
    match learned.features.extractors:
        case (Projected(normalize=True) as extractor,):
            return extractor
    raise ConfigurationError(
        "Intersection works in the coordinates of an SVD of directions: use --attack.name igf --attack.reduction svd "
        "--attack.normalize."
    )


def _own_directions(config: AuditConfig, folder: Path, data: FederatedData, readout: Projected) -> Tensor:
    """The coordinates of the auditor's own samples' directions."""
    federation = Federation(data, config.model, config.federation, config.seed, pick_device(config.device))
    before, after = federation.network(), federation.network()
    load_parameters(before, Training.load(folder / "original.safetensors").parameters)
    load_parameters(after, Unlearning.load(folder / "unlearned.safetensors").parameters)
    oracle = ModelOracle(before, after, memory_budget=config.memory_budget)
    own = data.auxiliary
    return torch.cat([readout.reduce(_unit(chunk)) for chunk in oracle.differences(own.images, own.labels)])


def _estimates(
    defense: Defense, proofs: Tensor, readout: Projected, prior: DirectionPrior, seed: int
) -> Iterator[tuple[int, Tensor]]:
    """For each number of proofs, the estimated directions `[samples, k]`."""
    count, dimension = proofs.shape
    k = readout.projection.components
    counts = sorted({1, 8, 64, k, 8 * k, 32 * k})
    scatter = torch.zeros(count, k, k, dtype=torch.float64)
    generators = [make_generator(seed, "reissued", index) for index in range(count)]
    seen: list[Tensor | None] = [None] * count
    issued = 0
    for wanted in counts:
        with progress_line(f"{wanted:,} proofs of each sample", count) as line:
            for index, (proof, generator) in enumerate(zip(proofs, generators, strict=True)):
                for start in range(issued, wanted, _ROWS):
                    rows = min(_ROWS, wanted - start)
                    fresh = defense(proof.expand(rows, -1), generator=generator)
                    reduced = readout.reduce(_unit(_not_seen(fresh, seen, index))).double()
                    scatter[index] += dimension * reduced.T @ reduced
                line.advance()
        issued = wanted
        yield wanted, torch.stack([intersect(one, prior) for one in scatter])


def _not_seen(fresh: Tensor, seen: list[Tensor | None], index: int) -> Tensor:
    """Proofs that are not the same as the sample's first: a copy tells nothing new."""
    first = seen[index]
    if first is None:
        seen[index] = first = fresh[0].clone()
        keep = (fresh != first).any(1)
        keep[0] = True
        return fresh[keep]
    return fresh[(fresh != first).any(1)]


def _invert(config: AuditConfig, learned: Learned, directions: Tensor, lengths: Tensor) -> Tensor:
    attack = config.attack.build()
    assert isinstance(attack, LearnedInversion), "its inverter was stored"
    raw = torch.cat([directions.float(), lengths.log()[:, None]], 1)
    return attack.apply_networks(
        learned, learned.features.standardize(raw), device=pick_device(config.device)
    )


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
