from __future__ import annotations

from webui_fork.core import errors
from webui_fork.core.settings import CHECKOUT


def test_exit_codes_are_distinct_and_documented() -> None:
    def tree(kind: type[errors.ForkError]) -> list[type[errors.ForkError]]:
        return [kind, *(sub for child in kind.__subclasses__() for sub in tree(child))]

    kinds = [kind for kind in tree(errors.ForkError) if kind.__module__ == "webui_fork.core.errors"]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes)
    documented = (CHECKOUT / "docs/exit-codes.md").read_text()
    for kind in kinds[1:]:
        assert f"| {kind.exit_code} |" in documented, kind
