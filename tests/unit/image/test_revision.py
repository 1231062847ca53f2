from __future__ import annotations

import subprocess
from dataclasses import replace

from webui_fork.config import upstream_lock
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.image import revision

LOCK = upstream_lock.read(CHECKOUT / "upstream.lock")
OLD = replace(LOCK, revision=3, inputs=(("series", "sha256:" + "0" * 64),))
NEW = (("series", "sha256:new"),)


def test_a_changed_input_takes_the_next_revision_once_a_commit() -> None:
    once = revision.following(OLD, OLD, NEW)
    assert (once.revision, once.tag) == (4, f"v{LOCK.version}-p4")
    again = revision.following(once, OLD, (("series", "sha256:newer"),))
    assert again.revision == 4
    assert revision.following(again, again, (("series", "sha256:newest"),)).revision == 5


def test_nothing_changed_keeps_it() -> None:
    assert revision.following(OLD, OLD, OLD.inputs) == OLD


def test_a_revision_that_was_asked_for_stays() -> None:
    assert revision.following(replace(OLD, revision=9), OLD, NEW).revision == 9


def test_another_release_starts_at_one() -> None:
    bumped = replace(OLD, version="0.99.0")
    assert revision.following(bumped, OLD, NEW).revision == 1


def test_without_history_the_lock_itself_counts() -> None:
    assert revision.following(OLD, None, NEW).revision == 4


def test_the_committed_lock_is_read_from_git(private_settings: Settings) -> None:
    assert revision.committed(private_settings) is None
    git = ["git", "-C", str(private_settings.root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    private_settings.lock_file.write_text(upstream_lock.dump(OLD))
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "x"], check=True)
    private_settings.lock_file.write_text(upstream_lock.dump(replace(OLD, revision=8)))
    assert revision.committed(private_settings) == OLD
