from __future__ import annotations

import os

import pytest

from webui_fork.core import process
from webui_fork.core.errors import ToolError


def test_a_program_that_is_missing_fails_or_hangs_is_told_apart() -> None:
    env = {"PATH": os.environ["PATH"]}
    with pytest.raises(ToolError, match="did not start"):
        process.run(["/nowhere/tool"], env=env)
    with pytest.raises(ToolError, match="exit code 3") as caught:
        process.run(["sh", "-c", "echo why >&2; exit 3"], env=env)
    assert caught.value.why == "why"
    with pytest.raises(ToolError, match="did not end within"):
        process.run(["sleep", "9"], env=env, timeout=0.1)
