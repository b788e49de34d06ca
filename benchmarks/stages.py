"""Seconds and peak memory of each stage of an audit."""

import json
import tempfile
from pathlib import Path

from benchmarks.timing import print_table

from palimpsest import audit, read_config


def main() -> None:
    """Audit the embedded default in a temporary folder and print what each stage took."""
    with tempfile.TemporaryDirectory() as folder:
        audit(read_config("digits"), out=Path(folder) / "run")
        stages = json.loads((Path(folder) / "run" / "manifest.json").read_text())["stages"]
    rows = [[name, stage["seconds"], stage["peak_memory_mib"]] for name, stage in stages.items()]
    rows.append(["all", sum(stage["seconds"] for stage in stages.values()), max(row[2] for row in rows)])
    print_table("The audit `digits`", ["stage", "seconds", "peak MiB"], rows)


if __name__ == "__main__":
    main()
