from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from webui_fork.core.errors import ToolError
from webui_fork.core.settings import Settings
from webui_fork.sources import apt


def test_mirrors_are_those_of_the_host_s_apt(private_settings: Settings, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    fake = bin_folder / "apt-get"
    fake.write_text(
        "#!/bin/sh\ncat <<'E'\n'http://m.invalid/debian/dists/bookworm/InRelease' m.invalid_debian 0 \n"
        "'http://s.invalid/debian-security/dists/bookworm-security/InRelease' s 0 \n"
        "'https://node.invalid/x/dists/nodistro/InRelease' n 0 \nE\n"
    )
    fake.chmod(0o755)
    own = replace(private_settings, environ={**private_settings.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"})
    assert apt.mirrors(own) == apt.Mirrors("http://m.invalid/debian", "http://s.invalid/debian-security")
    fake.write_text("#!/bin/sh\n")
    with pytest.raises(ToolError, match="No Debian mirror is known") as caught:
        apt.mirrors(own)
    assert "WEBUI_FORK_DEBIAN_MIRROR" in caught.value.remedy


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("SHA256: " + "A" * 64, "is not a digest"),
        ("SHA256: " + "a" * 64 + "\nSize: many", "invalid literal"),
        ("Size: 1", "SHA256"),
        ("SHA256: " + "a" * 64 + "\nSize: 1", "Filename"),
    ],
)
def test_an_entry_of_an_archive_that_is_malformed_is_an_error(tmp_path: Path, field: str, words: str) -> None:
    for name, answer in (
        ("apt-get", "'http://m/pool/x/x_1.0_all.deb' x_1.0_all.deb 3 "),
        ("apt-cache", f"Package: x\nVersion: 1.0\n{field}\n"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'E'\n{answer}\nE\n")
        (tmp_path / name).chmod(0o755)
    own = apt.Apt({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, apt.Mirrors("http://m", None))
    with pytest.raises(ToolError, match="entry of x is malformed") as caught:
        own.install_list(["x"])
    assert words in caught.value.why
