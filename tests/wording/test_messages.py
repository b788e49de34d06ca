from pathlib import Path

from wording.messages import read_messages

SOURCE = '''
def check(count: int) -> str:
    """Not a message."""
    if count < 1:
        raise ValueError(f"count is {count}: give at least " "one sample.")
    warn("The count is small.", stacklevel=2)
    label("not a message of the program")
    return "The count is accepted."
'''


def test_messages_are_collected_with_their_values_in_braces(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert {text.words for text in read_messages(path)} == {
        "count is {count}: give at least one sample.",
        "The count is small.",
        "The count is accepted.",
    }
