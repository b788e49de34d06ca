"""Random damage to valid files; the same seed gives the same bytes."""

from collections.abc import Callable, Sequence
from random import Random

_NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**63 - 1,
    2**64 - 1,
)
_TEXT_NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"Infinity",
    b"-0.0",
    b"4294967296",
    b"9" * 30,
    b"1e-320",
    b"null",
)
_LONGEST = 2**16


def mutate(seed: bytes, others: Sequence[bytes], tokens: Sequence[bytes], random: Random) -> bytes:
    """Damage a valid file in a few places, or occasionally replace it with noise.

    Args:
        seed: The valid file.
        others: Valid files of the same kind, from which parts are spliced in.
        tokens: Keywords of the format, which are inserted at random places.
        random: Source of all choices.

    Returns:
        The damaged file.
    """
    if random.random() < 0.02:
        return random.randbytes(random.randrange(512))
    content = bytearray(seed)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        random.choice(_MUTATIONS)(content, others, tokens, random)
    return bytes(content)


def _place(content: bytearray, random: Random) -> int:
    # Prefer both ends of the file, because its header and footer decide how the rest is read.
    edge = random.choice((None, 64, 512, -64, -512))
    if edge is None or len(content) <= abs(edge):
        return random.randrange(len(content) + 1)
    return random.randrange(edge) if edge > 0 else len(content) - random.randrange(-edge)


def _flip(content: bytearray, _: object, __: object, random: Random) -> None:
    if content:
        content[min(_place(content, random), len(content) - 1)] ^= 1 << random.randrange(8)


def _set(content: bytearray, _: object, __: object, random: Random) -> None:
    if content:
        content[min(_place(content, random), len(content) - 1)] = random.choice(
            (0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x5B)
        )


def _number(content: bytearray, _: object, __: object, random: Random) -> None:
    """Write an extreme number in either byte order."""
    width = random.choice((1, 2, 4, 8))
    number = random.choice(_NUMBERS) % 256**width
    place = _place(content, random)
    content[place : place + width] = number.to_bytes(width, random.choice(("little", "big")))


def _text_number(content: bytearray, _: object, __: object, random: Random) -> None:
    """Replace a number in the text with an extreme one."""
    digits = [index for index, byte in enumerate(content[:4096]) if 48 <= byte <= 57]
    if not digits:
        return
    start = end = random.choice(digits)
    while end < len(content) and 48 <= content[end] <= 57:
        end += 1
    content[start:end] = random.choice(_TEXT_NUMBERS)


def _token(content: bytearray, _: object, tokens: Sequence[bytes], random: Random) -> None:
    if tokens:
        place = _place(content, random)
        token = random.choice(tokens)
        content[place : place + random.choice((0, len(token)))] = token


def _truncate(content: bytearray, _: object, __: object, random: Random) -> None:
    del content[random.randrange(len(content) + 1) :]


def _delete(content: bytearray, _: object, __: object, random: Random) -> None:
    place = _place(content, random)
    del content[place : place + random.choice((1, 2, 4, 16, 100))]


def _repeat(content: bytearray, _: object, __: object, random: Random) -> None:
    """Repeat a part many times, which gives repeated keys, deep nesting and long lists."""
    place = _place(content, random)
    part = bytes(content[place : place + random.choice((1, 2, 8, 40))])
    content[place:place] = part * random.choice((1, 2, 16, 500, 4000))
    del content[_LONGEST:]


def _splice(content: bytearray, others: Sequence[bytes], _: object, random: Random) -> None:
    other = random.choice(others)
    start = random.randrange(len(other) + 1)
    place = _place(content, random)
    content[place : place + random.choice((0, 8, 64, 512))] = other[
        start : start + random.choice((8, 64, 512))
    ]


_MUTATIONS: tuple[Callable[..., None], ...] = (
    _flip,
    _set,
    _number,
    _number,
    _text_number,
    _token,
    _truncate,
    _delete,
    _repeat,
    _splice,
)
