"""Mutants of a source file, and the list of explained ones."""

import ast
from pathlib import Path

import pytest
from mutation.mutants import mutants
from mutation.report import Explanations, print_report
from mutation.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
SOURCE = '''
"""A docstring with a number: 7."""
LIMIT = 5

def area(width: int = 2, *, scale: float = 1.5) -> int | None:
    assert width > 0
    if not width or width > LIMIT:
        raise ValueError(f"{width + 1} is too wide")
    print(width, end="")
    return round(width * scale, ndigits=1)
'''


def changed(source: str) -> dict[str, str]:
    """Return the whole source of each mutant, by its name."""
    sources = {}
    for name in [mutant.name for mutant in mutants(ast.parse(source))]:
        tree = ast.parse(source)
        next(mutant for mutant in mutants(tree) if mutant.name == name).apply()
        sources[name] = ast.unparse(tree)
    return sources


def test_operators_numbers_conditions_calls_and_results_are_changed() -> None:
    assert set(changed(SOURCE)) == {
        "module: 5 -> 6",
        "module: 2 -> 3",
        "module: 1.5 -> 3.0",
        "area: not width or width > LIMIT -> not width and width > LIMIT",
        "area: not width or width > LIMIT -> not (not width or width > LIMIT)",
        "area: not width -> width",
        "area: width > LIMIT -> width >= LIMIT",
        "area: print(width, end='') -> pass",
        "area: print(width, end='') -> print(width)",
        "area: return round(width * scale, ndigits=1) -> return None",
        "area: round(width * scale, ndigits=1) -> round(width * scale)",
        "area: width * scale -> width / scale",
        "area: 1 -> 2",
    }


def test_each_mutant_changes_one_line_and_compiles() -> None:
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for name, source in changed(SOURCE).items():
        compile(source, name, "exec")
        different = [line for line, before in zip(source.splitlines(), plain, strict=True) if line != before]
        assert len(different) == 1, name


def test_repeated_changes_in_a_function_are_numbered() -> None:
    assert list(changed("def f(a):\n    return a + 1, a + 1\n")).count("f: a + 1 -> a - 1 (number 2)") == 1


def test_names_contain_the_class_and_the_outermost_function() -> None:
    source = "class A:\n    limit = 3\n    def f(self):\n        def g():\n            return -1\n        return g()\n"
    functions = {mutant.name: mutant.function for mutant in mutants(ast.parse(source))}
    assert functions["module: 3 -> 4"] is None
    assert functions["A.f: -1 -> 1"] == "A.f"


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_files_and_tests(name: str) -> None:
    target = TARGETS[name]
    assert target.files
    assert target.tests
    for path in (*target.files, *target.tests):
        assert (ROOT / path).exists(), path


def test_every_explanation_has_an_existing_mutant_and_a_reason() -> None:
    for file, reasons in Explanations.read().reasons.items():
        names = {mutant.name for mutant in mutants(ast.parse((ROOT / file).read_text()))}
        for mutant, reason in reasons.items():
            assert mutant in names, f"{file} no longer has the mutant {mutant!r}"
            assert len(reason) > 15, mutant


def test_the_report_counts_and_lists_survivors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.json"
    results.write_text('{"a.py": {"x": "killed", "y": "survived", "z": "survived", "t": "timeout"}}')
    explanations = Explanations({"a.py": {"y": "It is the same function."}})
    assert print_report("target", Target(("a.py",), ()), results, explanations) == 1
    out = capsys.readouterr().out
    assert "target: 4 mutants, 2 killed (50.0%), 1 explained, 1 unexplained" in out
    assert "a.py: z [survived]" in out
    assert "a.py: y" not in out
