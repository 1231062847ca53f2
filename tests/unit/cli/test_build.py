from __future__ import annotations

from webui_fork.cli import build


def test_the_summary_says_what_was_made_and_what_to_type_next() -> None:
    values = {
        "tag": "open-webui:v1-p1",
        "digest": "sha256:d",
        "ref": "open-webui@sha256:d",
        "layers": [("base", 40_000_000, "sha256:b")],
        "patches": ["one.patch: One"],
        "times": {"base": 18.04, "series": 0.01},
        "key": "/k.pub",
        "next_command": "nox -s build -- --load",
    }
    text = build.summary(**values, fresh=True, drift=0)  # type: ignore[arg-type]
    for part in ("Built and signed", "sha256:d", "40.0 MB", "one.patch: One", "base 18.0 s", "/k.pub", "Next: nox"):
        assert part in text
    assert "DRIFT" not in text
    assert "Nothing changed" in build.summary(**values, fresh=False, drift=0)  # type: ignore[arg-type]
    assert "3 Debian packages" in build.summary(**values, fresh=True, drift=3)  # type: ignore[arg-type]
