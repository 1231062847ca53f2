from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from helpers import Talk, make_patch, release_repo
from webui_fork.backport import fork
from webui_fork.backport.fork import Adopted, Left
from webui_fork.cli import adopt
from webui_fork.core.settings import Settings
from webui_fork.rebase.cherry_pick import Outcome
from webui_fork.series import patch as series_patch


def _adopted(folder: Path) -> Adopted:
    repo, commit = release_repo(folder)
    data, _ = make_patch(repo, commit, {"backend/open_webui/env.py": b"TIMEOUT = 5\n"})
    patch = series_patch.parse("do-a-thing.patch", data)
    reach = (("do-a-thing.patch", (("1.2.4", Outcome.OFFSET), ("1.3.0", Outcome.CONFLICT))),)
    return Adopted("1.2.3", (patch,), (Left("README.md", "not in the image"), Left("a.md", "not in the image")), reach)


def test_it_writes_patches_proofs_and_a_report(
    private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adopted = _adopted(tmp_path)
    monkeypatch.setattr(fork, "adopt", lambda *_: adopted)
    folder = private_settings.out / "adopt"
    folder.mkdir(parents=True)
    (folder / "of-before.md").write_text("")
    for as_json in (False, True):
        adopt.run(private_settings, Talk(), argparse.Namespace(fork="x", release=None, json=as_json))
    shown, _, value = capsys.readouterr().out.rpartition("\n{")
    assert "2 places: not in the image" in shown
    assert json.loads("{" + value)["reach"] == {"do-a-thing.patch": {"1.2.4": "offset", "1.3.0": "conflict"}}
    assert (folder / "patches/series").read_text() == "do-a-thing.patch\n"
    assert (folder / "patches/do-a-thing.patch").read_bytes() == adopted.patches[0].data
    assert "pytest.fail" in (folder / "tests/proofs/test_x.py").read_text()
    report = (folder / "report.md").read_text()
    assert "| do-a-thing.patch | backend/open_webui/env.py | 3 | 1 of 2 | 1.3.0 |" in report
    assert "- `README.md`: not in the image" in report
    assert (folder / "reach.svg").exists()
    assert not (folder / "of-before.md").exists()
