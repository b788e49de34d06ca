"""The scores and properties of each sample, as columns of plain values and as CSV."""

import csv
import io
from typing import Any

from palimpsest.report.inputs import ReportInput


def per_image_columns(page: ReportInput) -> dict[str, list[Any]]:
    """Return columns of equal length, with one value for each reconstruction, in order.

    Args:
        page: The contents of the page.

    Returns:
        `image` (its number); `accepted` and `norm` if there were proofs; `label`, `client` and each score if the
        forgotten images are known.
    """
    verified = {"accepted": page.accepted, "norm": page.norms}
    columns = {name: values for name, values in verified.items() if values is not None}
    if page.labels is not None:
        columns = {"label": page.labels, **columns, **page.per_image}
        if page.owners is not None:
            columns = {"client": page.owners, **columns}
    lists = {name: values.tolist() for name, values in columns.items()}
    return {"image": list(range(len(page.reconstructions))), **lists}


def per_image_csv(page: ReportInput) -> str:
    """Return the columns of `per_image_columns` as CSV, with one line for each reconstruction.

    Args:
        page: The contents of the page.
    """
    columns = per_image_columns(page)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()
