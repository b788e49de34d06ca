import io
import time

from rich.console import Console

from palimpsest.progress import Terminal, progress_line, with_callbacks


def test_shows_rate_and_time_left() -> None:
    screen, words = io.StringIO(), ("count", "2/4", "/s", "left", "loss 0.5")
    terminal = Terminal(Console(file=screen, force_terminal=True, width=120))
    with with_callbacks(terminal), progress_line("count", 4) as line:
        line.advance(2, {"loss": 0.5})
        # The display is drawn ten times a second, by a thread that may have to wait for a processor.
        for _ in range(1200):
            if all(word in screen.getvalue() for word in words):
                break
            time.sleep(0.1)
    text = screen.getvalue()
    for word in words:
        assert word in text


def test_shows_nothing_without_a_terminal() -> None:
    screen = io.StringIO()
    with (
        with_callbacks(Terminal(Console(file=screen, force_terminal=False))),
        progress_line("letters", 3) as line,
    ):
        line.advance()
    assert screen.getvalue() == ""
