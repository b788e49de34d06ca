"""Open-world table: linkage to altered candidates, among candidates that were never forgotten."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from palimpsest.attacks.tolerant_linkage import fit_tolerant_linker, linkage_statistics, row_space
from palimpsest.config import AuditConfig
from palimpsest.datasets import ImageSet, load_data
from palimpsest.defenses import Defense, apply_defenses
from palimpsest.federation import Federation
from palimpsest.metrics import binomial_interval
from palimpsest.models import load_parameters
from palimpsest.oracles import ModelOracle, query_all
from palimpsest.pipeline.stages.federate import train_original, unlearn_twice
from palimpsest.proofs import identified
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES
from palimpsest.reproduce.alterations import ALTERATIONS
from palimpsest.runs import Run
from palimpsest.storage import write_json, write_text
from palimpsest.system.device import pick_device
from palimpsest.unlearning import make_request

COMPARED: dict[str, Sequence[tuple[str, dict[str, Any]]]] = {
    "none": (),
    "sign": (("sign", {}),),
    "norm-only": (("norm-only", {}),),
    "orthogonal": (("orthogonal", {}),),
    "gaussian, 0.1": (("gaussian", {"sigma": 0.1}),),
    "gaussian, 1": (("gaussian", {"sigma": 1.0}),),
}
"""Defenses of the table, by name: registered names and settings."""
RATES = (1e-3, 1e-4)
"""False positive rates over pairs of a proof and a candidate that it does not belong to."""
FITTED, TRIALS = 320, 160
"""Largest numbers of auxiliary images to fit the linker on, and to choose statistic and threshold on."""
BARE = ("imitation", "alignment", "orthogonality", "norm")


@dataclass(frozen=True)
class OpenWorldRow:
    """Linkage of one defense's proofs to candidates with one alteration.

    Args:
        defense: Name of the defense.
        alteration: Name of the alteration of the forgotten images among the candidates.
        statistic: Statistic that identified the most of the auditor's own samples under the same alteration.
        identified: Share of proofs that fit their own altered image better than all other candidates, with its exact
            95 % interval.
        bare: The same for the best statistic of the linkage attack that audits run.
        found: True positive rates at the false positive rates `RATES`, each with its exact 95 % interval.
        false_links: Share of never forgotten candidates that some proof is linked to, at the threshold that lets pass a
            ten-thousandth of the auditor's own wrong pairs.
        links: Share of forgotten images that their own proof is linked to at that threshold.
    """

    defense: str
    alteration: str
    statistic: str
    identified: tuple[float, float, float]
    bare: tuple[float, float, float]
    found: tuple[tuple[float, float, float], ...]
    false_links: tuple[float, float, float]
    links: tuple[float, float, float]


@dataclass(frozen=True)
class World:
    """Images of the table and the oracle.

    Args:
        oracle: Answers gradient differences.
        forgotten: The forgotten images.
        never: Images of the same kind that were never forgotten, at most as many.
        auxiliary: The auditor's own images.
        seed: Seed of defenses and alterations.
    """

    oracle: ModelOracle
    forgotten: ImageSet
    never: ImageSet
    auxiliary: ImageSet
    seed: int

    def answers(self, samples: ImageSet, alteration: str) -> Tensor:
        """Query the gradient differences of altered images."""
        generator = make_generator(self.seed, "alteration", alteration)
        images = ALTERATIONS[alteration](samples.images, generator)
        return query_all(self.oracle, ImageSet(samples.name, images, samples.labels, samples.classes))


def open_world_table(
    config: AuditConfig,
    *,
    out: Path,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> list[OpenWorldRow]:
    """Link proofs to altered copies of the forgotten images, and write `linkage-open-world.md` and `.json`.

    Half of the candidates are images that were never forgotten. Nothing but the federation is trained.

    Args:
        config: Data, model, federation and unlearning request; its attack and defenses are ignored.
        out: The folder of the table, with the run folder of the federation.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for the stages' output; if omitted, nothing is printed.

    Returns:
        A row for each defense and alteration.
    """
    world = _make_world(config, out, data_dir, console or Console(quiet=True))
    exact = [world.answers(samples, "exact") for samples in (world.forgotten, world.never, world.auxiliary)]
    basis = row_space(exact[2][: max(len(exact[2]) - TRIALS, len(exact[2]) // 2)])
    rows: list[OpenWorldRow] = []
    for alteration in ALTERATIONS:
        altered = [world.answers(samples, alteration) for samples in (world.forgotten, world.auxiliary)]
        for name, parts in COMPARED.items():
            defenses = [DEFENSES.get(part)(**settings) for part, settings in parts]
            rows.append(
                _link(name, alteration, defenses, basis=basis, exact=exact, altered=altered, seed=config.seed)
            )
        rows.sort(key=lambda row: list(COMPARED).index(row.defense))
        write_json(out / "linkage-open-world.json", [asdict(row) for row in rows])
        write_text(out / "linkage-open-world.md", markdown(rows, len(world.forgotten), len(world.never)))
    return rows


def markdown(rows: Sequence[OpenWorldRow], count: int, never: int) -> str:
    """Format the table as Markdown.

    Args:
        rows: Rows of the table.
        count: Number of forgotten images.
        never: Number of candidates that were never forgotten.
    """
    heads = ["defense", "candidates", "statistic", "identified", "bare statistics"]
    heads += [f"found at {rate:g}" for rate in RATES] + ["linked", "false links"]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    for row in rows:
        shares = [row.identified, row.bare, *row.found, row.links, row.false_links]
        cells = [row.defense, row.alteration, row.statistic, *map(_share, shares)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            f"Candidates: {count:,} altered copies of the forgotten images and {never:,} images that were never "
            "forgotten. Brackets: exact 95 % intervals over the images of one run.",
            "",
        ]
    )


def _share(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.1%} ({value[1]:.1%} to {value[2]:.1%})"


def _make_world(config: AuditConfig, out: Path, data_dir: Path | None, console: Console) -> World:
    config = config.model_copy(update={"defenses": ()})
    device = pick_device(config.device)
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    federation = Federation(data, config.model, config.federation, config.seed, device)
    request = make_request(config.unlearning, data, seed=config.seed)
    with Run.open(out / "federation", config, console=console, replace=True) as run:
        original = train_original(run, federation, request, config.unlearning)
        unlearned, _ = unlearn_twice(run, federation, request, original, config.unlearning)
    before, after = (
        load_parameters(federation.network(), training.parameters).to(device)
        for training in (original, unlearned)
    )
    forgotten = data.train.subset(request.rows)
    order = torch.randperm(len(data.held_out), generator=make_generator(config.seed, "never forgotten"))
    return World(
        oracle=ModelOracle(before, after, memory_budget=config.memory_budget),
        forgotten=forgotten,
        never=data.held_out.subset(order[: len(forgotten)]),
        auxiliary=data.auxiliary.subset(torch.arange(min(FITTED + TRIALS, len(data.auxiliary)))),
        seed=config.seed,
    )


def _link(
    name: str,
    alteration: str,
    defenses: Sequence[Defense],
    *,
    basis: Tensor,
    exact: Sequence[Tensor],
    altered: Sequence[Tensor],
    seed: int,
) -> OpenWorldRow:
    """Choose a statistic and a threshold on the auditor's samples, and link the proofs."""
    forgotten, never, auxiliary = exact
    fitted = max(len(auxiliary) - TRIALS, len(auxiliary) // 2)

    def defend(vectors: Tensor, purpose: str) -> Tensor:
        return apply_defenses(vectors, defenses, generator=make_generator(seed, "open world", name, purpose))

    trial_proofs, copies = defend(auxiliary, "trials"), altered[1][fitted:]
    linker = fit_tolerant_linker(basis, trial_proofs[:fitted], altered[1][:fitted])
    trials = linkage_statistics(linker, trial_proofs[fitted:], copies, defend(copies, "imitated trials"))
    success = {statistic: identified(scores) for statistic, scores in trials.items()}
    candidates = torch.cat([altered[0], never])
    found = linkage_statistics(
        linker, defend(forgotten, "proofs"), candidates, defend(candidates, "imitations")
    )
    best = max(success, key=lambda statistic: success[statistic])
    bare = max(BARE, key=lambda statistic: success[statistic])
    scores, count = found[best], len(forgotten)
    matching = scores.diagonal()
    wrong = scores[~torch.eye(count, len(candidates), dtype=torch.bool)]
    others = trials[best][~torch.eye(len(copies), dtype=torch.bool)]
    threshold = _threshold(others, RATES[-1])
    return OpenWorldRow(
        defense=name,
        alteration=alteration,
        statistic=best,
        identified=_rate(_first(scores), count),
        bare=_rate(_first(found[bare]), count),
        found=tuple(_rate(matching > _threshold(wrong, rate), count) for rate in RATES),
        false_links=_rate((scores[:, count:] > threshold).any(0), len(never)),
        links=_rate(matching > threshold, count),
    )


def _first(scores: Tensor) -> Tensor:
    """Return whether each proof fits the candidate of its row better than every other."""
    rest = scores.masked_fill(torch.eye(*scores.shape, dtype=torch.bool), -torch.inf)
    return scores.diagonal() > rest.amax(1)


def _threshold(wrong: Tensor, rate: float) -> Tensor:
    """Return the smallest score that at most this share of the wrong pairs exceed."""
    return wrong.topk(int(rate * len(wrong)) + 1).values[-1]


def _rate(successes: Tensor, count: int) -> tuple[float, float, float]:
    right = int(successes.sum())
    return right / count, *binomial_interval(right, count)
