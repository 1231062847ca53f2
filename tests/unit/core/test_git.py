from __future__ import annotations

import pytest

from webui_fork.core import git
from webui_fork.core.errors import ToolError
from webui_fork.core.settings import Settings


def test_a_clone_that_git_can_not_read_is_not_taken_for_clean(private_settings: Settings) -> None:
    assert git.checkout(private_settings) == ("", False)
    (private_settings.root / ".git").mkdir()
    with pytest.raises(ToolError, match="can't tell"):
        git.checkout(private_settings)
