import io
import time

from rich.console import Console

from palimpsest.progress import live_progress, progress_line, track


def test_a_terminal_sees_rate_and_time_left() -> None:
    screen = io.StringIO()
    with (
        live_progress(Console(file=screen, force_terminal=True, width=120)),
        progress_line("count", 4) as line,
    ):
        line.advance(2, note="loss 0.5")
        time.sleep(0.3)  # the display is drawn ten times a second
    text = screen.getvalue()
    for word in ("count", "2/4", "/s", "left", "loss 0.5"):
        assert word in text


def test_what_is_no_terminal_stays_quiet() -> None:
    screen = io.StringIO()
    with live_progress(Console(file=screen, force_terminal=False)):
        assert list(track(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert screen.getvalue() == ""


def test_without_a_display_a_line_costs_nothing_and_says_nothing() -> None:
    with progress_line("count", 2) as line:
        line.advance()
