from __future__ import annotations

import pytest

from webui_fork.rebase import candidate


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (
            "# C\n\n## [Unreleased]\n\n### Added\n\n- a\n",
            "# C\n\n## [Unreleased]\n\n### Added\n\n- a\n\n### Changed\n\n- new\n",
        ),
        (
            "# C\n\n## [Unreleased]\n\n### Changed\n\n- a\n\n## [1.0]\n\n### Changed\n\n- b\n",
            "# C\n\n## [Unreleased]\n\n### Changed\n\n- new\n- a\n\n## [1.0]\n\n### Changed\n\n- b\n",
        ),
        (
            "## [Unreleased]\n\n## [1.0]\n\n### Changed\n\n- b\n",
            "## [Unreleased]\n\n### Changed\n\n- new\n\n## [1.0]\n\n### Changed\n\n- b\n",
        ),
        ("# none\n", "# none\n"),
    ],
)
def test_a_line_in_the_changelog(text: str, made: str) -> None:
    assert candidate.noted(text, "- new") == made


def test_a_long_line_is_wrapped() -> None:
    words = " ".join(["- Packages", *["word"] * 30, "https://" + "x" * 120])
    text = candidate.noted("## [Unreleased]\n", words)
    lines = text.splitlines()[4:]
    assert " ".join(line.strip() for line in lines) == words
    assert [len(line) <= 100 for line in lines] == [True, True, False]
    assert all(line.startswith("  ") for line in lines[1:])
