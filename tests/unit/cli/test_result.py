from __future__ import annotations

import argparse
import json

import pytest

from webui_fork.cli import result


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_result_is_words_or_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    result.add_arguments(parser)
    result.show(parser.parse_args(words), {"digest": "é", "refs": ("a", "b")}, "a table")
    printed = capsys.readouterr().out
    if words:
        assert json.loads(printed) == {"digest": "é", "refs": ["a", "b"]}
        assert printed.isascii()
    else:
        assert printed == "a table\n"
