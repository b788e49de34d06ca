"""What a page says of each image, as columns of plain values."""

from typing import Any

from torch import Tensor

from palimpsest.report.inputs import ReportInput
from palimpsest.report.page import Page


def per_image_columns(page: Page) -> dict[str, list[Any]]:
    """Columns of equal length, one value for each proof, in the proofs' order.

    Args:
        page: What was made of the proofs.

    Returns:
        `image` (its number), `accepted` and `norm`; and where it was scored `label`, `client` and each score.
    """
    columns: dict[str, Tensor] = {"accepted": page.accepted, "norm": page.norms}
    if isinstance(page, ReportInput):
        columns = {"label": page.labels, **columns, **page.per_image}
        if page.owners is not None:
            columns = {"client": page.owners, **columns}
    lists = {name: values.tolist() for name, values in columns.items()}
    return {"image": list(range(len(page.norms))), **lists}
