"""vm_trial: a real kernel's word, through the protocol."""

from __future__ import annotations

import pytest

from tests.mcp.session import Home


@pytest.mark.vm
def test_what_a_kernel_says(home: Home) -> None:
    with home.session("--allow-vm") as session:
        assert session.tools()["vm_trial"].annotations is not None
        result = session.call("vm_trial", policy="fair")
        if result.is_error and result.structured_content["diagnostics"][0]["code"] == "E0810":
            pytest.skip("no virtual machine")
        assert not result.is_error, result.content[0].text
        assert result.structured_content["text"].startswith("fine on ")
        assert result.structured_content["kernel"][0].isdigit()
