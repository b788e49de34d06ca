"""The scores and properties of each image, as columns of plain values."""

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
