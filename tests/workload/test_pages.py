"""The pages of E12xx: their examples do what they say."""

from __future__ import annotations

import re

import pytest

from schedc.data import data_path
from schedc.source import Source
from schedc.workload.read import read_workload

PAGES = [
    path for path in sorted(data_path("docs/errors").glob("E12*.md")) if path.stem < "E1220"
]
BLOCK = re.compile(r"^```toml (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITHOUT_FILE = {"E1208", "E1209", "E1211", "E1213"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_bad_example_has_this_error_and_no_other(path) -> None:  # type: ignore[no-untyped-def]
    blocks = BLOCK.findall(path.read_text(encoding="utf-8"))
    assert bool(blocks) == (path.stem not in WITHOUT_FILE)
    for code, text in blocks:
        _, found = read_workload(Source.from_text("example.toml", text))
        assert code == path.stem
        assert [one.code for one in found] == [code]
        assert all(one.span is not None or code == "E1203" for one in found)
