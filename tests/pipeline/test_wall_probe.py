"""The probe of test_wall.py finds a forgotten image in every form and place, and reports nothing else."""

import functools
import io
import tempfile
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from tests.support.forgotten import Forgotten
from tests.support.wall_probe import WallProbe, reachable
from torch import Tensor, nn


def drawn(count: int, seed: int) -> Tensor:
    """Smooth images `[count, 1, 8, 8]` in [0, 1], about as similar to each other as real ones."""
    coarse = torch.rand(count, 1, 3, 3, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(8, 8), mode="bilinear")


def saved(images: Tensor) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=images.numpy())
    return file.getvalue()


IMAGES, OTHERS = drawn(3, 1), drawn(40, 2)
FORMS: dict[str, Callable[[Tensor], Any]] = {
    "itself": lambda images: images,
    "one image": lambda images: images[1],
    "a slice of the batch": lambda images: images[1:, 0],
    "a view of other rows": lambda images: torch.cat([OTHERS, images])[:40],
    "the middle of a memory": lambda images: torch.cat([OTHERS, images, OTHERS])[50:],
    "a clone": lambda images: images.clone(),
    "a parameter": nn.Parameter,
    "float64": lambda images: images.double(),
    "float16": lambda images: images.half(),
    "bfloat16": lambda images: images.bfloat16(),
    "8 bits": lambda images: (images * 255).to(torch.uint8),
    "0 to 255": lambda images: images * 255,
    "normalized": lambda images: (images - 0.47) / 0.21,
    "inverted": lambda images: 1 - images,
    "flat": lambda images: images.flatten(),
    "in a batch": lambda images: torch.cat([OTHERS[:7], images[2:], OTHERS[7:]]),
    "in a row of other numbers": lambda images: torch.cat(
        [torch.arange(13), images[0].flatten(), torch.ones(99)]
    ),
    "a column for each": lambda images: images.flatten(1).T.contiguous(),
    "the last dimension for each": lambda images: images.permute(1, 2, 3, 0).contiguous(),
    "every second column": lambda images: torch.stack([images, torch.zeros_like(images)], dim=-1)[..., 0],
    "complex": lambda images: torch.complex(images, torch.zeros_like(images)).real,
    "sparse": lambda images: images.flatten(1).to_sparse(),
    "an array": lambda images: images.numpy(),
    "a part of an array": lambda images: np.concatenate([OTHERS.numpy(), images.numpy()])[:5],
    "a picture": lambda images: Image.fromarray((images[0, 0] * 255).to(torch.uint8).numpy()),
    "bytes": lambda images: images.numpy().tobytes(),
    "bytes at an odd place": lambda images: b"odd" + images.numpy().tobytes(),
    "bytes that can change": lambda images: bytearray(images.half().numpy().tobytes()),
    "a view of bytes": lambda images: memoryview(images.double().numpy().tobytes()),
    "a saved file": saved,
    "lists of numbers": lambda images: images.tolist(),
    "an array of numbers": lambda images: array("d", images.flatten().tolist()),
}


def found(value: object) -> list[str]:
    probe = WallProbe(Forgotten(IMAGES))
    probe.look("here", value)
    assert probe.searched or value is None
    return probe.leaks


@pytest.mark.parametrize("form", FORMS)
def test_finds_every_form(form: str) -> None:
    kept = FORMS[form](IMAGES)
    assert found(kept)
    assert not found(FORMS[form](OTHERS[20:23].clone()))


class Holder:
    """An object with an attribute and a method that returns it."""

    def __init__(self, value: object) -> None:
        self.value = value

    def method(self) -> object:
        return self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def in_closure(value: object) -> Callable[[], object]:
    return lambda: value


def in_generator(value: Tensor) -> Iterator[Tensor]:
    generator = (row for row in value)
    next(generator)
    return generator


def in_default(value: object) -> Callable[[], object]:
    def answer(kept: object = value) -> object:
        return kept

    return answer


def in_cache(value: object) -> object:
    @functools.cache
    def answer() -> object:
        return value

    answer()
    return answer


def in_class(value: object) -> object:
    class Kept:
        kept: ClassVar = {"deep": (value,)}

    return Kept()


def in_autograd(value: Tensor) -> Tensor:
    weight = torch.ones(1, requires_grad=True)
    return (weight * value).square().sum()


def in_hook(value: Tensor) -> nn.Module:
    module = nn.Linear(2, 2)
    module.register_forward_hook(lambda *_: value.sum())
    return module


def in_decorated(value: object) -> Callable[[], object]:
    @functools.wraps(in_closure)
    def answer() -> object:
        return value

    return functools.partial(answer)


HELD: dict[str, object] = {}


def names_a_module_variable() -> object:
    return [HELD["images"] for _ in range(1)]


PLACES: dict[str, Callable[[Tensor], Any]] = {
    "an attribute": Holder,
    "a slot": Slotted,
    "a bound method": lambda images: Holder(images).method,
    "a closure": in_closure,
    "a default": in_default,
    "a generator": in_generator,
    "a partial function": lambda images: functools.partial(print, images),
    "a wrapped function": in_decorated,
    "a cache": in_cache,
    "a class": in_class,
    "a dict in a deque": lambda images: deque([{"deep": {1: [images]}}]),
    "a key": lambda images: {images.numpy().tobytes(): 1},
    "autograd": in_autograd,
    "a hook": in_hook,
    "a weak reference": weakref.ref,
}


@pytest.mark.parametrize("place", PLACES)
def test_finds_every_place(place: str) -> None:
    kept = IMAGES.clone()
    assert found(PLACES[place](kept))
    assert not found(PLACES[place](OTHERS.clone()))


def test_finds_a_module_variable_that_a_function_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HELD, "images", OTHERS)
    assert not found(names_a_module_variable)
    monkeypatch.setitem(HELD, "images", IMAGES)
    assert found(names_a_module_variable)


def test_finds_files_by_their_path_or_if_they_are_open(tmp_path: Path) -> None:
    np.save(tmp_path / "others.npy", OTHERS.numpy())
    assert not found(Holder(tmp_path))
    np.save(tmp_path / "kept.npy", IMAGES.numpy())
    assert any("kept.npy" in leak for leak in found(Holder(tmp_path)))
    assert found(Holder(tmp_path / "kept.npy"))
    assert not found(None)
    with tempfile.TemporaryFile() as file:
        file.write(IMAGES.numpy().tobytes())
        file.flush()
        assert any("open file" in leak for leak in found(None))
    assert not found(None)


def test_finds_multiples_of_a_row_only_if_affine_copies_count() -> None:
    rows = torch.randn(4, 12, generator=torch.Generator().manual_seed(3))
    strict, values_alone = Forgotten(rows), Forgotten(rows, affine=False)
    gradient = torch.outer(torch.tensor([0.3, -2.0]), rows[1])
    assert strict.in_tensor(gradient)
    assert not values_alone.in_tensor(gradient)
    for kept in (rows, rows.double()[2], 255 * rows, rows.half()):
        assert values_alone.in_tensor(kept)


def test_finds_nothing_in_noise_constants_and_non_finite_values() -> None:
    forgotten = Forgotten(IMAGES)
    generator = torch.Generator().manual_seed(0)
    broken = torch.full((500,), torch.inf)
    broken[::7] = torch.nan
    for values in (torch.randn(50_000, generator=generator), torch.ones(5000), broken, torch.empty(0, 3)):
        assert not forgotten.in_tensor(values)
    assert not forgotten.in_tensor(torch.empty(100, device="meta"))
    assert not forgotten.in_bytes(
        torch.randint(256, (20_000,), generator=generator).to(torch.uint8).numpy().tobytes()
    )


def test_does_not_enter_modules_and_names_the_path_to_a_value() -> None:
    paths = {id(value): path for value, path in reachable(Holder([IMAGES]), ignored=(Forgotten,))}
    assert paths[id(IMAGES)] == "Holder > list > Tensor"
    assert not any(isinstance(value, type(pytest)) for value, _ in reachable(Holder(pytest)))
    assert not list(reachable(Forgotten(IMAGES), ignored=(Forgotten,)))
