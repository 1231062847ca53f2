from __future__ import annotations

from webui_fork.config import image_toml
from webui_fork.core.settings import CHECKOUT

FOLDER = CHECKOUT / "images/open-webui"


def test_only_upstream_s_static_folder_is_writable() -> None:
    copy = image_toml.read(FOLDER).copies[0]
    assert copy.writable("backend/open_webui/static/favicon.png")
    assert not copy.writable("backend/open_webui/main.py")
    assert not copy.writable("backend/open_webui/static_files.py")
