import pytest

from palimpsest.progress import Notebook, Stage, notebook, progress_line, with_callbacks


def test_a_cell_shows_the_stages_and_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_EVERY", 0)
    shown: list[str] = []
    with with_callbacks(cell := Notebook(shown.append)):
        with progress_line("a<b", 4) as line:
            line.advance(values={"loss": 0.5})
        cell.on_stage_end(Stage("original", 1.0, 2**30))
    moved = next(text for text in shown if "1/4" in text)
    assert '<progress max="4" value="1">' in moved
    assert "a&lt;b 1/4" in moved
    assert "left, loss 0.5" in moved
    assert shown[-1] == "<pre>original" + " " * 21 + "1.0 s, peak 1.0 GiB</pre>"


def test_in_ipython_one_output_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("IPython", reason="IPython is not installed")
    # Where another environment is active, IPython warns.
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
