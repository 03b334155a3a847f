"""The rules of the house that a linter does not check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import asyncgen

ROOT = Path(asyncgen.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = {
    "aiohttp": ("endpoint", "embedded", "tools/retrieval", "runs/reward_service.py"),
    "datasets": ("source", "export", "embedded"),
    "pyarrow": ("source", "export", "store/catalog.py", "store/cataloguer.py", "store/columns.py"),
    "PIL": ("tools", "source", "runs", "embedded"),
}


def test_no_module_is_longer_than_400_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lengths.items() if count > 400} == {}


def test_no_function_is_longer_than_60_lines():
    long = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > 60:
                    long.append(f"{path.relative_to(ROOT)}:{node.name} {length}")
    assert long == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_begins_by_saying_what_it_knows(path):
    assert len(ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "") > 20


def test_the_public_api_is_small_sorted_and_complete():
    assert list(asyncgen._HOME) == asyncgen.__all__ == sorted(asyncgen.__all__)
    assert len(asyncgen.__all__) <= 25
    for name in asyncgen.__all__:
        assert getattr(asyncgen, name) is not None


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Tusk'"):
        _ = asyncgen.Tusk


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_packages_stay_in_their_rooms(library):
    found = {str(path.relative_to(ROOT)) for path in MODULES if library in _imports(path)}
    assert found, library
    assert {name for name in found if not name.startswith(HEAVY[library])} == set()


def test_built_in_tasks_are_written_with_the_public_api_alone():
    for path in (ROOT / "tasks").glob("*.py"):
        ours = {name for name in _modules(path) if name.split(".")[0] == "asyncgen"}
        assert ours <= {"asyncgen"}, path
        assert len(path.read_text("utf-8").splitlines()) <= 150


def test_importing_asyncgen_loads_none_of_its_modules():
    code = "import asyncgen, sys; print([name for name in sys.modules if name.startswith('asyncgen.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def _modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def _imports(path: Path) -> set[str]:
    return {name.split(".")[0] for name in _modules(path)}
