from __future__ import annotations

import pytest

from helpers import Talk
from webui_fork.core.errors import ToolError
from webui_fork.core.settings import Settings
from webui_fork.sources import programs


def test_a_missing_program_names_its_packages(
    private_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    for name in programs.TOOLS:
        with pytest.raises(ToolError) as caught:
            programs.find(private_settings, name, talk)
        assert f"{name} is missing" in caught.value.what
        assert all(manager in caught.value.remedy for manager in ("apt", "dnf", "brew"))
