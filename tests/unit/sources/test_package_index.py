from __future__ import annotations

import os
from pathlib import Path

from webui_fork.core import settings
from webui_fork.sources import package_index


def test_the_index_is_the_one_pip_is_set_up_with(tmp_path: Path) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text(
        "[global]\nindex-url = https://user:pw@mirror.invalid/simple\nfind-links = /wheels\n"
        "extra-index-url =\n  https://one.invalid/simple\n  file:///two\n"
    )
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(conf)}
    index = package_index.configured(settings.load(env))
    assert index.url == "https://user:pw@mirror.invalid/simple"
    assert index.extra == ("https://one.invalid/simple", "file:///two")
    assert index.uv_variables() == {
        "UV_DEFAULT_INDEX": "https://user:pw@mirror.invalid/simple",
        "UV_INDEX": "https://one.invalid/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels",
    }
    assert (
        package_index.configured(settings.load({**env, "UV_DEFAULT_INDEX": "https://uv.invalid"})).url
        == "https://uv.invalid"
    )
