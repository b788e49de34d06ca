"""What a page says of each image, as columns of plain values."""

from typing import Any

from palimpsest.report.inputs import ReportInput


def per_image_columns(page: ReportInput) -> dict[str, list[Any]]:
    """Columns of equal length, one value for each reconstruction, in their order.

    Args:
        page: What was reconstructed.

    Returns:
        `image` (its number); where there were proofs `accepted` and `norm`; and where it was scored `label`, `client`
        and each score.
    """
    verified = {"accepted": page.accepted, "norm": page.norms}
    columns = {name: values for name, values in verified.items() if values is not None}
    if page.labels is not None:
        columns = {"label": page.labels, **columns, **page.per_image}
        if page.owners is not None:
            columns = {"client": page.owners, **columns}
    lists = {name: values.tolist() for name, values in columns.items()}
    return {"image": list(range(len(page.reconstructions))), **lists}
