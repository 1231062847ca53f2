from __future__ import annotations

import pytest

from webui_fork.series import branding

MARKED = "a = 1\n\n# LICENSE covers this Open WebUI name.\nNAME = 'Open WebUI'\nuse(NAME)\n\nb = 2\n"


def test_a_marked_region_ends_at_the_blank_line() -> None:
    assert branding.regions(MARKED) == ("# LICENSE covers this Open WebUI name.\nNAME = 'Open WebUI'\nuse(NAME)",)


@pytest.mark.parametrize(
    ("after", "bad"),
    [
        (MARKED.replace("b = 2", "b = 3"), False),
        ("new = 0\n" + MARKED, False),
        (MARKED.replace("use(NAME)", "use(OTHER)"), True),
        (MARKED.replace("# LICENSE covers this Open WebUI name.\n", ""), True),
        (MARKED + "WEBUI_NAME = 'x'\n", True),
        ("", True),
    ],
)
def test_a_changed_marked_line_is_seen(after: str, bad: bool) -> None:
    assert bool(branding.text_problem("x.py", MARKED, after)) is bad
