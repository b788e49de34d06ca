"""The notebook, which must run without errors and be stored without output."""

from pathlib import Path

import nbformat
import pytest

STORY = Path(__file__).parents[2] / "examples" / "story.ipynb"


def test_is_stored_without_output() -> None:
    cells = [cell for cell in nbformat.read(STORY, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")  # jupyter_client's own
def test_runs_from_start_to_end(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    notebook = nbformat.read(STORY, as_version=4)
    NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    # The audit's verdict, its scores, the scores of single images, and the comparison.
    assert len(pages) == 4
    assert "identified" in pages[0]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "100% of the proofs are linked" in printed
