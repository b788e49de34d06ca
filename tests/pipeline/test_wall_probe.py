"""The probe of the wall's tests finds a forgotten image in every form and place, and nothing where there is none."""

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
    """Smooth images `[count, 1, 8, 8]` in [0, 1], as similar to each other as pictures of one kind are."""
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
def test_every_form_is_found(form: str) -> None:
    kept = FORMS[form](IMAGES)
    assert found(kept)
    assert not found(FORMS[form](OTHERS[20:23].clone()))


class Holder:
    """Whatever holds something."""

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
    generator = (one for one in value)
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
def test_every_place_is_found(place: str) -> None:
    kept = IMAGES.clone()
    assert found(PLACES[place](kept))
    assert not found(PLACES[place](OTHERS.clone()))


def test_a_module_variable_is_found_that_a_function_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HELD, "images", OTHERS)
    assert not found(names_a_module_variable)
    monkeypatch.setitem(HELD, "images", IMAGES)
    assert found(names_a_module_variable)


def test_files_are_found_that_a_path_leads_to_or_that_are_open(tmp_path: Path) -> None:
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


def test_multiples_of_a_row_are_found_only_where_no_proof_holds_them() -> None:
    rows = torch.randn(4, 12, generator=torch.Generator().manual_seed(3))
    strict, values_alone = Forgotten(rows), Forgotten(rows, affine=False)
    gradient = torch.outer(torch.tensor([0.3, -2.0]), rows[1])
    assert strict.in_tensor(gradient)
    assert not values_alone.in_tensor(gradient)
    for kept in (rows, rows.double()[2], 255 * rows, rows.half()):
        assert values_alone.in_tensor(kept)


def test_nothing_is_found_in_noise_constants_and_what_is_not_finite() -> None:
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


def test_a_module_and_a_frame_are_not_entered_and_the_way_is_named() -> None:
    ways = {id(value): way for value, way in reachable(Holder([IMAGES]), ignored=(Forgotten,))}
    assert ways[id(IMAGES)] == "Holder > list > Tensor"
    assert not any(isinstance(value, type(pytest)) for value, _ in reachable(Holder(pytest)))
    assert not list(reachable(Forgotten(IMAGES), ignored=(Forgotten,)))
