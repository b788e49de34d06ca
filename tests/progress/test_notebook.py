import pytest

from palimpsest.progress import Notebook, Stage, notebook, progress_line, with_callbacks


def test_shows_stages_and_live_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_EVERY", 0)
    outputs: list[str] = []
    with with_callbacks(cell := Notebook(outputs.append)):
        with progress_line("a<b", 4) as line:
            line.advance(values={"loss": 0.5})
        cell.on_stage_end(Stage("original", 1.0, 2**30))
    updated = next(text for text in outputs if "1/4" in text)
    assert '<progress max="4" value="1">' in updated
    assert "a&lt;b 1/4" in updated
    assert "left, loss 0.5" in updated
    assert outputs[-1] == "<pre>original" + " " * 21 + "1.0 s, peak 1.0 GiB</pre>"
    cell.on_warning("<b>")
    assert outputs[-1].endswith("\nWarning: &lt;b&gt;</pre>")


def test_updates_one_output_in_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("IPython", reason="IPython is not installed")
    # IPython warns if another virtual environment is active.
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.instance()
    try:
        with capture_output() as captured, with_callbacks(cell := Notebook()):
            cell.on_stage_end(Stage("original", 1.0))
        assert len(captured.outputs) >= 2
        assert "original" in captured.outputs[-1].data["text/html"]
    finally:
        InteractiveShell.clear_instance()
