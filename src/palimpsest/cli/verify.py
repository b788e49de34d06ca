"""`palimpsest verify`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from palimpsest.cli.options import Debug, Json
from palimpsest.cli.output import print_json
from palimpsest.display import printable
from palimpsest.errors import ProofError
from palimpsest.progress import finite
from palimpsest.storage import write_json

_LONGEST = 2000


def verify(
    proofs: Path,
    *,
    tau: Annotated[float | None, Parameter(help="The largest norm to accept.")] = None,
    calibrate: Annotated[
        Path | None, Parameter(help="Proofs of samples that nobody forgot: tau is taken from their norms.")
    ] = None,
    quantile: Annotated[float, Parameter(help="The share of those that must pass.")] = 0.99,
    out: Annotated[Path | None, Parameter(help="Write the verdicts there, as JSON.")] = None,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Check a proof file as the papers' auditor does: ||difference|| <= tau, and say what that is worth.

    The command ends with code 3 where a proof is refused.

    Parameters
    ----------
    proofs
        The proof file, safetensors; it is read as if a stranger had written it.
    """
    from palimpsest.proofs import calibrate_tau, load_proofs, proof_norms
    from palimpsest.proofs import verify as check

    if (tau is None) == (calibrate is None):
        raise ProofError(
            "The verifier needs a threshold: give --tau, or --calibrate with other proofs, not both."
        )
    submitted = load_proofs(proofs)
    if calibrate is not None:
        tau = calibrate_tau(proof_norms(load_proofs(calibrate).vectors), quantile=quantile)
    assert tau is not None, "one of both was given"
    verdicts = check(submitted, tau=tau)
    accepted = int(verdicts.accepted.sum())
    refused = (~verdicts.accepted).nonzero().flatten().tolist()
    verdict = {
        "tau": tau,
        "accepted": verdicts.accepted.tolist(),
        "norms": verdicts.norms.tolist(),
        "reasons": list(verdicts.reasons),
    }
    if machine:
        print_json(**verdict)
    console = Console(soft_wrap=True, quiet=machine)
    said = "; ".join(f"{name}: {value}" for name, value in sorted(submitted.metadata.items()))
    console.print(
        f"{accepted:,} of {len(verdicts.accepted):,} proofs accepted (norm at most tau = {tau:.6g}).\n"
        f"The sender says: {printable(said[:_LONGEST]) or 'nothing (unattested)'}.\n"
        "Acceptance says that a norm is small and nothing else: a proof of zeros would be accepted too.",
        highlight=False,
        markup=False,
    )
    if refused:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("proof", justify="right")
        table.add_column("reason")
        for index in refused[:20]:
            table.add_row(str(index), verdicts.reasons[index])
        console.print(table)
        if len(refused) > len(refused[:20]):
            console.print(f"... and {len(refused) - 20:,} more.", highlight=False)
    if out is not None:
        write_json(out, finite(verdict))
    if refused:
        raise SystemExit(3)
