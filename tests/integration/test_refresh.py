"""Locks that are behind, with the real mirror and index; an OSV server on loopback says what is vulnerable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import osv
import runner
from helpers import Server, reply
from users import User, only_default
from webui_fork.config import debian_lock, requirements_lock, upstream_lock
from webui_fork.core.digest import Digest
from webui_fork.core.errors import AuditError, LockError
from webui_fork.core.settings import Settings
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.sources import uv

FOLDER = "images/open-webui"
LINE = "0.11"
BEHIND = "curl"  # is built into a library, too: both are of one source package
RANGED, PINNED = "anyio", "openai"  # the release asks for one version of the second

pytestmark = pytest.mark.minutes(2)


def another(real: Settings, folder: Path, requirement: str, *options: str) -> str:
    """Return the version of a distribution that a requirement gives."""
    (folder / "in.txt").write_text(f"{requirement}\n")
    arguments: list[str | Path] = [folder / "in.txt", "--no-deps", *options]
    text = uv.resolve(real, arguments, folder / f"{len(list(folder.iterdir()))}.lock", doing="look for a version")
    return next(version for _, version in requirements_lock.packages(text))


@dataclass(frozen=True)
class Versions:
    """What the release is locked with, and what the index has beside it."""

    older: str
    pinned: str
    newer: str


@pytest.fixture(scope="module")
def versions(real: Settings, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    pins = requirements_lock.versions((real.root / FOLDER / "requirements.lock").read_text())
    work, pinned = tmp_path_factory.mktemp("versions"), pins[PINNED]
    older = another(real, work, f"{RANGED}<{pins[RANGED]}")
    return Versions(older, pinned, another(real, work, f"{PINNED}>{pinned}", "--resolution", "lowest"))


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, real: Settings, built: pipeline.Built, versions: Versions) -> User:
    """A user whose locks are what they may have been a month ago."""
    user = User(tmp_path_factory.mktemp("refresh"), real, warm=True).with_one_image(real, whole=True)
    own = replace(real, root=user.root)
    line = own.on_line(LINE)
    only_default(line.root / FOLDER)
    for place in (own, line):
        file = place.root / FOLDER / "debian.lock"
        lock, path = debian_lock.read(file), f"pool/main/c/{BEHIND}/gone.deb"
        debs = [
            replace(deb, version="7.0-1", digest=Digest.of_hex("0" * 64), path=path) if deb.source == BEHIND else deb
            for deb in lock.debs
        ]
        file.write_text(debian_lock.dump(replace(lock, debs=tuple(debs))))
    file = user.root / FOLDER / "requirements.lock"
    pin = rf"^{RANGED}==\S+ (\\\n    --hash=sha256:)[0-9a-f]+$"
    text, count = re.subn(pin, rf"{RANGED}=={versions.older} \g<1>{'0' * 64}", file.read_text(), flags=re.MULTILINE)
    assert count == 1
    file.write_text(text)
    for place in (own, line):
        pinned = upstream_lock.read(place.lock_file)
        upstream_lock.write(place.lock_file, replace(pinned, inputs=image_inputs.lock_inputs(place)))
    user.commit()
    return user


@pytest.fixture
def database(versions: Versions) -> Iterator[Server]:
    python = {(RANGED, versions.older): ["GHSA-r"], (PINNED, versions.pinned): ["GHSA-p"]}
    with Server() as server:
        osv.serve(server, {(BEHIND, "7.0-1"): ["DSA-1-1", "DSA-2-1"], **python})
        yield server


def refresh(user: User, server: Server) -> tuple[int, str, str]:
    return user.run("refresh", "--osv-url", server.url)


def state(user: User) -> str:
    words = (("rev-parse", "HEAD"), ("status", "--porcelain"), ("worktree", "list"))
    return "".join(user.git_output(*each) for each in words)


def test_a_database_that_stops_answering_leaves_all_as_it_was(user: User, database: Server) -> None:
    """It answers until the locks are written, in a worktree."""
    was, answer = state(user), database.answer

    def once(handler: BaseHTTPRequestHandler) -> None:
        first = [path for _, path, _ in database.requests].count("/v1/querybatch") <= 2  # a thousand a question
        answer(handler) if first else reply(handler, 500)

    database.answer = once
    code, _, err = refresh(user, database)
    assert code == AuditError.exit_code, err
    assert "Locking the tools" in err
    assert state(user) == was


@runner.AS_ROOT
def test_the_locks_move_on_and_the_commit_says_why(
    user: User, database: Server, built: pipeline.Built, real: Settings, tmp_path: Path
) -> None:
    """GitHub's weekly workflow carries it out, from its first step to its last, and it is merged."""
    tag = upstream_lock.read(user.root / "upstream.lock").tag
    of_line = upstream_lock.read(user.root / "lines" / LINE / "upstream.lock")
    run = runner.run(user, real, "refresh.yml", tmp_path, "--var", f"OSV_URL={database.url}")
    assert run.code == 0, run.output[-8000:]
    assert [job for job, step in run.passed if step.startswith(("Ask", "Open"))] == ["lock", "propose"]
    assert [call.split(" --title")[0] for call in run.asked_of_gh] == [
        "auth setup-git",
        "pr list --head refresh/next --state open --json number,isCrossRepository --jq "
        'map(select(.isCrossRepository | not)) | .[0].number // ""',
        "pr create --head refresh/next --base main",
        "workflow run ci.yml --ref refresh/next",
    ]
    user.git("pull", "--quiet", "--ff-only", "origin", "refresh/next")
    out = run.output
    report = json.loads((run.artifacts / "refresh/result/report.json").read_text())
    fixes = [row for row in report["changes"] if row["advisories"]]
    rows = {row["name"]: row for row in fixes if not row["lock"].startswith("lines/")}
    assert {name: row["advisories"] for name, row in rows.items()} == {
        RANGED: ["GHSA-r"],
        "curl": ["DSA-1-1", "DSA-2-1"],
        "libcurl4": ["DSA-1-1", "DSA-2-1"],
    }
    assert rows["curl"]["before"] == "7.0-1"
    assert {(row["name"], *row["advisories"]) for row in report["not_moved"]} == {(PINNED, "GHSA-p")}
    assert f"Not moved: {PINNED}" in out
    wheels = [row["name"] for row in report["changes"] if row["lock"] == f"{FOLDER}/requirements.lock"]
    assert wheels == [RANGED]  # what has no fix stays
    assert report["before"]["digest"] == ""  # nobody has a curl of that name and version
    assert report["after"]["digest"] in out
    fresh = debian_lock.read(user.root / FOLDER / "debian.lock")
    assert next(deb for deb in fresh.debs if deb.name == "curl") in built.debs
    last = upstream_lock.read(user.root / "upstream.lock")
    assert last.revision == int(tag.rpartition("p")[2]) + 1
    assert user.git_output("status", "--porcelain") == ""
    subject, _, body = user.git_output("log", "-1", "--format=%B").partition("\n")
    assert subject == f"locks: fix vulnerabilities of {RANGED}, curl, libcurl4"
    assert f"{FOLDER}/debian.lock: curl 7.0-1 -> {rows['curl']['after']} DSA-1-1 DSA-2-1" in body
    assert f"digest: could not be built any more -> {report['after']['digest']}" in body
    assert "DSA-1-1" in (user.root / "CHANGELOG.md").read_text()
    # the line's packages move in the same commit, and its image takes its own next revision
    (before, after), place = report["lines"][0], f"lines/{LINE}/{FOLDER}/debian.lock"
    assert {(row["name"], row["before"]) for row in fixes if row["lock"] == place} == {
        ("curl", "7.0-1"),
        ("libcurl4", "7.0-1"),
    }
    assert (before["tag"], before["digest"]) == (of_line.tag, "")
    assert after["tag"] == f"{replace(of_line, revision=of_line.revision + 1).tag}-slim"
    assert after["digest"] in out
    assert after["tag"] in body
    assert tag not in (user.root / "README.md").read_text()
    assert last.tag in (user.root / "README.md").read_text()


@runner.AS_ROOT  # of what the test before left
def test_the_next_week_there_is_nothing_to_do(user: User, database: Server) -> None:
    was = state(user)
    code, out, err = refresh(user, database)
    assert code == 0, err
    assert "Nothing changed" in out
    assert state(user) == was
    assert not (user.root / "out/refresh/report.json").exists()  # one of last week is none of today's


def test_a_checkout_with_changes_is_left_alone(user: User, database: Server) -> None:
    (user.root / "README.md").write_text("mine\n")
    code, _, err = refresh(user, database)
    user.git("checkout", "--quiet", "README.md")
    assert code == 2
    assert "changes that are not committed" in err


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, real: Settings) -> User:
    """A user with one flavour for one architecture: locking takes a fifth."""
    user = User(tmp_path_factory.mktemp("small"), real, warm=True).with_one_image(real)
    user.commit()
    return user


OVERRIDE = """[[override]]
package = "{package}"
version = "{version}"
advisory = "GHSA-p"
reason = "A test."
expires = {day}
"""


def override(user: User, package: str, version: str, day: str = "2999-01-01") -> Path:
    file = user.root / FOLDER / "overrides.toml"
    file.write_text(OVERRIDE.format(package=package, version=version, day=day))
    return file


def test_an_override_raises_a_wheel_above_the_release_s_pin(small: User, versions: Versions) -> None:
    lock = small.root / FOLDER / "requirements.lock"
    text = lock.read_text()
    file = override(small, PINNED, versions.newer)
    code, _, err = small.run("build", "--locked")
    assert code == LockError.exit_code
    assert "requirements.lock was not made from" in err
    code, out, err = small.run("lock")
    assert code == 0, err
    assert f"{PINNED}: {versions.pinned} -> {versions.newer}" in out
    pins = requirements_lock.versions(lock.read_text())
    others = requirements_lock.versions(text)
    assert pins.pop(PINNED) == versions.newer
    assert others.pop(PINNED) == versions.pinned
    assert pins == others
    assert small.run("patches", "lint")[0] == 0
    override(small, PINNED, versions.newer, "2026-01-01")
    code, _, err = small.run("patches", "lint")
    assert code == LockError.exit_code
    assert f"{PINNED}=={versions.newer} (GHSA-p) ended on 2026-01-01" in err
    file.unlink()
    small.git("checkout", "--quiet", ".")


def test_overrides_that_are_not_needed_are_refused(small: User, versions: Versions) -> None:
    was, unneeded = (
        (small.root / FOLDER / "requirements.lock").read_text(),
        "without it the release's requirements give",
    )
    rows = [
        (RANGED, versions.older, f"{RANGED}=={versions.older} (GHSA-p): {unneeded}"),
        (PINNED, versions.pinned, f"{PINNED}=={versions.pinned} (GHSA-p): {unneeded} {versions.pinned}"),
        ("nobody-wants-this", "1.0", "nobody-wants-this==1.0 (GHSA-p): the release's requirements do not bring"),
    ]
    file = small.root / FOLDER / "overrides.toml"
    file.write_text("\n".join(OVERRIDE.format(package=row[0], version=row[1], day="2999-01-01") for row in rows))
    code, _, err = small.run("lock")
    file.unlink()
    assert code == LockError.exit_code, err
    assert not [words for *_, words in rows if words not in err], err
    assert (small.root / FOLDER / "requirements.lock").read_text() == was
