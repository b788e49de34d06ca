"""The changes that are tried, and the list of those that need not be noticed."""

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
    """Each mutant's whole source, by its name."""
    found = {}
    for name in [one.name for one in mutants(ast.parse(source))]:
        tree = ast.parse(source)
        next(one for one in mutants(tree) if one.name == name).apply()
        found[name] = ast.unparse(tree)
    return found


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


def test_each_changes_one_place_and_compiles() -> None:
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for name, source in changed(SOURCE).items():
        compile(source, name, "exec")
        different = [line for line, before in zip(source.splitlines(), plain, strict=True) if line != before]
        assert len(different) == 1, name


def test_the_same_change_twice_in_a_function_has_two_names() -> None:
    assert list(changed("def f(a):\n    return a + 1, a + 1\n")).count("f: a + 1 -> a - 1 (number 2)") == 1


def test_methods_are_named_after_their_class_and_inner_functions_after_the_outer_one() -> None:
    source = "class A:\n    limit = 3\n    def f(self):\n        def g():\n            return -1\n        return g()\n"
    functions = {one.name: one.function for one in mutants(ast.parse(source))}
    assert functions["module: 3 -> 4"] is None
    assert functions["A.f: -1 -> 1"] == "A.f"


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_files_and_tests(name: str) -> None:
    target = TARGETS[name]
    assert target.files
    assert target.tests
    for path in (*target.files, *target.tests):
        assert (ROOT / path).exists(), path


def test_every_explanation_is_of_a_mutant_that_is_there_and_has_a_reason() -> None:
    for file, reasons in Explanations.read().reasons.items():
        names = {one.name for one in mutants(ast.parse((ROOT / file).read_text()))}
        for mutant, reason in reasons.items():
            assert mutant in names, f"{file} has no mutant {mutant!r} any more"
            assert len(reason) > 15, mutant


def test_the_report_counts_and_names_what_survived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    results.write_text('{"a.py": {"x": "killed", "y": "survived", "z": "survived", "t": "timeout"}}')
    explanations = Explanations({"a.py": {"y": "It is the same function."}})
    assert print_report("target", Target(("a.py",), ()), results, explanations) == 1
    out = capsys.readouterr().out
    assert "target: 4 mutants, 2 killed (50.0%), 1 explained, 1 not" in out
    assert "a.py: z [survived]" in out
    assert "a.py: y" not in out
