"""pyarrow, which reads parquet files and tables; it is imported at the first of them."""

from typing import TYPE_CHECKING, Any

from palimpsest.system.optional_module import OptionalModule

_PURPOSE = "Reading parquet files and tables"

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
else:
    pa = OptionalModule("pyarrow", "datasets", _PURPOSE)
    pq = OptionalModule("pyarrow.parquet", "datasets", _PURPOSE)

# pyarrow generates the functions of these modules on import, so its type stubs lack most of them.
arrow_csv: Any = OptionalModule("pyarrow.csv", "datasets", _PURPOSE)
pc: Any = OptionalModule("pyarrow.compute", "datasets", _PURPOSE)

__all__ = ["arrow_csv", "pa", "pc", "pq"]
