"""Examples in the docstrings of the public names: each has one, and it runs."""

import doctest
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

import palimpsest

# A registry is an object, whose class has the example.
NAMES = [name for name in palimpsest.__all__ if not name.isupper()]


def documented(name: str) -> Any:
    value = getattr(palimpsest, name)
    return inspect.unwrap(value)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_an_example_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    value = documented(name)
    module = sys.modules[value.__module__]
    names = {**vars(module), "palimpsest": palimpsest, "pp": palimpsest}
    tests = doctest.DocTestFinder(recurse=False).find(value, name, module=module, globs=names)
    examples = [example for test in tests for example in test.examples]
    assert examples, f"{name} has no example"
    assert any(doctest.SKIP not in example.options for example in examples), f"{name} runs nothing"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    output: list[str] = []
    for test in tests:
        runner.run(test, out=output.append)
    assert runner.failures == 0, "".join(output)


@pytest.mark.parametrize(
    "module",
    [
        "palimpsest.config.renamed",
        "palimpsest.registry",
        "palimpsest.display",
        "palimpsest.models.match_names",
        "palimpsest.models.state_dicts",
        "palimpsest.models.reparametrized",
        "palimpsest.models.logits",
        "palimpsest.gradients.trainable",
    ],
)
def test_examples_of_other_modules_run(module: str) -> None:
    __import__(module)
    results = doctest.testmod(sys.modules[module], optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0
