"""Text from elsewhere, safe to show on a terminal."""


def printable(text: str) -> str:
    """Text in which nothing commands the terminal: a file's name, or what a sender says, may hold anything."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
