"""Where the data files are: grammar, back ends, policies of the library, pages of errors.

They live at the root of the repository and are packaged into `schedc/_data`. Input: a path
relative to the root, such as `grammar/policy.lark`. Output: a real path on disk. Invariant: the
same relative path works in a checkout, an editable install and a wheel.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


class MissingData(Exception):
    """A data file that schedc ships isn't there: the installation is broken."""


def data_root() -> Path:
    """The directory that holds `grammar/`, `backends/` and `stdlib_policies/`."""
    packaged = _PACKAGE / "_data"
    return packaged if packaged.is_dir() else _PACKAGE.parent


def data_path(relative: str) -> Path:
    """The path of a data file or directory; raises `MissingData` if it isn't there."""
    path = data_root() / relative
    if not path.exists():
        raise MissingData(f"{relative} is missing from {data_root()}: reinstall schedc")
    return path


def read_data(relative: str) -> str:
    """The text of a data file."""
    return data_path(relative).read_text(encoding="utf-8")
