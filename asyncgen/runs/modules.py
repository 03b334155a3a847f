"""Code of a user's own: a module by its import path, or a Python file.

Knows how it is found and loaded, and how to say in one line what is wrong with it. Does not know what it is for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from asyncgen.core.errors import InputError

_OTHER_NAME = "asyncgen_task_{}"
"""Of a file's module where its stem is somebody else's."""


def load_module(home: str, folder: Path, *, what: str) -> ModuleType:
    """`package.module`, or `file.py` relative to `folder`, then to the working directory. `what` is for texts: of
    what it is the module. Raises InputError.
    """
    return _load_file(home, folder, what) if home.endswith(".py") else _load_installed(home, what)


def _load_file(home: str, folder: Path, what: str) -> ModuleType:
    path = next((place for place in (folder / home, Path(home)) if place.is_file()), None)
    if path is None:
        raise InputError(f"the {what} file {home!r} does not exist, neither in {folder} nor in the working directory")
    path = path.resolve()
    for known in (path.stem, _OTHER_NAME.format(path.stem)):
        if (loaded := sys.modules.get(known)) is not None and getattr(loaded, "__file__", None) == str(path):
            return loaded
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: such a file may import its neighbours, and hides nobody's module
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"the {what} file {str(path)!r} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and type hints look their module up here
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"the {what} file {path}: {_line(error, path)}") from error
    return module


def _module_name(path: Path) -> str:
    """The stem, by which a worker process finds the module too; another name where the stem is somebody else's."""
    found = None if path.stem in sys.modules else importlib.util.find_spec(path.stem)
    mine = found is not None and found.origin == str(path)
    return path.stem if mine else _OTHER_NAME.format(path.stem)


def _load_installed(home: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(home)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{what} {home!r}: there is no module {error.name!r}; for a file write file.py:NAME"
        ) from error
    except Exception as error:
        raise InputError(f"{what} {home!r}: it cannot be imported: {_line(error, Path())}") from error


def _line(error: Exception, path: Path) -> str:
    """The error on one line, with the file's line where it is known."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"line {line}: {text}" if line else text
