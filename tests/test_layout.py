"""The layout of the package and its tests: one test file for each module, and short files and functions."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.slow import SLOW

ROOT = Path(__file__).parents[1]
PACKAGE, TESTS = ROOT / "src" / "palimpsest", ROOT / "tests"
LONGEST_FILE, LONGEST_FUNCTION, MOST_ROOT_MODULES = 300, 60, 8

CROSS_CUTTING = {
    "attacks/test_frozen_parameters.py": "parameters that no attack may read, across the attacks",
    "cli/test_json.py": "the flags --json, --log, --track and --quiet, across the commands",
    "cli/test_layers.py": "the imports that commands may have",
    "cli/test_signatures.py": "the parameters that commands share with functions",
    "comparison/test_in_browser.py": "the page in a real browser",
    "config/test_stored_texts.py": "the stored text of every preset and component, across the package",
    "federation/test_flower_deployment.py": "a whole federation on several processes",
    "pipeline/stages/test_numbering.py": "labels of every kind of samples, from files to proofs",
    "pipeline/test_large_models.py": "large networks from the command line",
    "pipeline/test_wall.py": "objects that no attack may reach, across the pipeline",
    "pipeline/test_wall_probe.py": "the probe behind that test, which must find leaks",
    "report/test_in_browser.py": "the page in a real browser",
    "test_layout.py": "this file",
    "test_public_api.py": "everything that the package exports",
}
"""Test files that do not test a single module, and their subjects."""
OTHER_FOLDERS = {
    "benchmarks",
    "docs",
    "examples",
    "fuzz",
    "installation",
    "mutation",
    "sbom",
    "support",
    "typed",
    "wording",
}
"""Test folders that do not correspond to the package's modules."""


def modules() -> dict[str, Path]:
    """Return the package's modules by their relative paths."""
    return {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


def module_tests() -> list[Path]:
    """Return the relative paths of the test files that must belong to a module."""
    files = (path.relative_to(TESTS) for path in sorted(TESTS.rglob("test_*.py")))
    return [path for path in files if path.parts[0] not in OTHER_FOLDERS]


def long_functions(source: str) -> Iterator[str]:
    """Yield the names of functions that are too long and have no comment `# Long: why` above them."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = min(part.lineno for part in (node, *node.decorator_list))
        above = lines[first - 2].strip() if first > 1 else ""
        assert node.end_lineno is not None
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION and not above.startswith("# Long:"):
            yield node.name


def test_each_module_has_its_test_file() -> None:
    tested = {str(path.with_name(path.name.removeprefix("test_"))) for path in module_tests()}
    named = {name for name in modules() if not name.endswith(("__init__.py", "__main__.py"))}
    assert named - tested == set()


def test_each_test_file_belongs_to_a_module() -> None:
    known = set(modules())
    stray = {
        str(path)
        for path in module_tests()
        if str(path.with_name(path.name.removeprefix("test_"))) not in known
    }
    assert stray - set(CROSS_CUTTING) == set()


def test_files_are_short() -> None:
    sizes = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FILE} == {}


def test_slow_tests_exist() -> None:
    assert [name for name in SLOW if not (TESTS / name).exists()] == []
    assert len(set(SLOW)) == len(SLOW)


def test_functions_are_short_or_explained() -> None:
    found = {
        f"{name}: {function}"
        for name, path in modules().items()
        for function in long_functions(path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_package_root_has_few_modules() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_ROOT_MODULES


def test_finds_long_functions_without_a_comment() -> None:
    body = "    x = 1\n" * LONGEST_FUNCTION
    assert list(long_functions(f"def f():\n{body}")) == ["f"]
    assert list(long_functions(f"@one\n@two\nasync def f():\n{body}")) == ["f"]
    assert list(long_functions(f"# Long: one table.\n@one\ndef f():\n{body}")) == []
    assert list(long_functions(f"def f():\n{body[:-10]}")) == []
