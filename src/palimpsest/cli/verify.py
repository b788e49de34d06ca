"""`palimpsest verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from palimpsest.api.verification import verdicts_json
from palimpsest.api.verification import verify as verify_proofs
from palimpsest.cli.options import Debug, Json
from palimpsest.cli.output import print_json
from palimpsest.display import escape_control_characters

if TYPE_CHECKING:
    from palimpsest import Proofs, Verdicts

_LONGEST_METADATA, _LISTED = 2000, 20


def verify(
    proofs: Path,
    *,
    tau: Annotated[float | None, Parameter(help="Largest norm to accept.")] = None,
    calibrate: Annotated[
        Path | None,
        Parameter(help="Proofs of samples that were not forgotten. Tau is a quantile of their norms."),
    ] = None,
    quantile: Annotated[float, Parameter(help="Quantile of these norms.")] = 0.99,
    out: Annotated[Path | None, Parameter(help="Write the verdicts to this file, as JSON.")] = None,
    overwrite: Annotated[bool, Parameter(negative="", help="Replace an existing file.")] = False,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Verify a proof file as the auditor in the papers does: accept a proof if ||difference|| <= tau.

    The command ends with code 3 if a proof is refused.

    Parameters
    ----------
    proofs
        Proof file in safetensors format. Files from untrusted sources are safe to read.
    """
    from palimpsest.proofs import load_proofs

    submitted = load_proofs(proofs)
    verdicts = verify_proofs(
        submitted, tau=tau, calibrate=calibrate, quantile=quantile, out=out, overwrite=overwrite
    )
    if machine:
        print_json(**verdicts_json(verdicts))
    else:
        _print(submitted, verdicts)
    if not verdicts.accepted.all():
        raise SystemExit(3)


def _print(submitted: "Proofs", verdicts: "Verdicts") -> None:
    """Print the verdicts, the sender's metadata and the first refused proofs."""
    console = Console(soft_wrap=True)
    metadata = "; ".join(f"{name}: {value}" for name, value in sorted(submitted.metadata.items()))
    console.print(
        f"{int(verdicts.accepted.sum()):,} of {len(verdicts.accepted):,} proofs accepted "
        f"(norm at most tau = {verdicts.tau:.6g}).\n"
        f"The sender says: {escape_control_characters(metadata[:_LONGEST_METADATA]) or 'nothing (unattested)'}.\n"
        "Acceptance means only that a norm is small. A proof of zeros would be accepted too.",
        highlight=False,
        markup=False,
    )
    refused = (~verdicts.accepted).nonzero().flatten().tolist()
    if not refused:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("proof", justify="right")
    table.add_column("reason")
    for index in refused[:_LISTED]:
        table.add_row(str(index), verdicts.reasons[index])
    console.print(table)
    if len(refused) > _LISTED:
        console.print(f"... and {len(refused) - _LISTED:,} more.", highlight=False)
