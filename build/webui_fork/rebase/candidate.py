"""The commits that a rebase leaves: made in a candidate, a git worktree beside the checkout, and landed at once."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core.errors import ConflictError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.image import inputs, refresh_locks
from webui_fork.rebase import state as rebase_state
from webui_fork.rebase.cherry_pick import Carried, Outcome
from webui_fork.series import patch as series_patch
from webui_fork.series import worktree
from webui_fork.series.patch import Patch

AUTHOR = ("webui_fork", "webui_fork@fork.invalid")


def candidate(settings: Settings) -> Settings:
    """Return the settings of the candidate: the same, with its own checkout."""
    return replace(settings, root=settings.out / "rebase" / "candidate")


def prepare(settings: Settings, commit: str) -> None:
    """Have the candidate at a commit; what is committed in it on top of that stays.

    Raises:
        ConflictError: a person works in it. ToolError: git failed.
    """
    place = candidate(settings).root
    if (place / ".git").exists() and _is_gated(settings, commit):
        dirty = git.in_checkout(settings, "status", "--porcelain", folder=place).stdout.rstrip()
        if dirty:
            raise ConflictError(
                f"{place} has changes that are not committed.",
                why=dirty,
                remedy="Commit them there, or remove them, then `nox -s rebase -- --continue`.",
            )
        if not git.in_checkout(settings, "merge-base", "--is-ancestor", commit, "HEAD", check=False, folder=place).code:
            return
    remove(settings)
    git.in_checkout(settings, "worktree", "add", "--quiet", "--force", "--detach", str(place), commit)


def _is_gated(settings: Settings, commit: str) -> bool:
    state = rebase_state.read(settings)
    return state is not None and state.candidate == commit


def remove(settings: Settings) -> None:
    """Remove the candidate; its commits stay in git until it collects its garbage."""
    place = candidate(settings).root
    # first: git forgets a worktree that is gone, and not one that is half gone
    shutil.rmtree(place, ignore_errors=True)
    git.in_checkout(settings, "worktree", "remove", "--force", "--force", str(place), check=False)


def relock(candidate: Settings, ui: Terminal, version: str) -> None:
    """Pin the release in the candidate, and resolve its package locks anew.

    Raises:
        LockError, SourceError, ToolError: see :mod:`webui_fork.image.refresh_locks`.
    """
    old = upstream_lock.read(candidate.lock_file)
    if old.version != version:
        refresh_locks.refresh(candidate, ui, version, strict=False)  # the gate's lint says it where a person reads it


def commit(
    candidate: Settings,
    old: Lock,
    new: Lock,
    patches: Sequence[Patch],
    carried: Sequence[Carried],
    skipped: Sequence[str],
) -> str:
    """Commit the bump, the carried patches, and each dropped patch, in this order; return the last commit.

    Args:
        candidate: the candidate's settings; it has the new locks already.
    """
    pinned = upstream_lock.read(candidate.lock_file)
    if new.git:
        upstream_lock.write(candidate.lock_file, replace(pinned, git=new.git))
    name_in_documents(candidate, old, pinned, f"- Open WebUI {new.version} (was {old.version}).")
    commit_all(candidate, f"Bump Open WebUI to {new.version}", f"From {old.version}. Locks resolved anew, not merged.")
    gone = [row for row in carried if row.patch is None]
    rows = {row.name: row for row in carried}
    # patches that go stay in this commit as they were, so that each goes by itself
    stay = [rows[patch.name].patch or patch for patch in patches]
    worktree.write(candidate, stay)
    _record(candidate)
    outcomes = [f"{row.name}: {row.why or f'{row.outcome} ({row.method.word})'}" for row in carried if row.patch]
    commit_all(candidate, f"Carry the series to {new.version}", "\n".join(outcomes))
    for row in gone:
        stay = [patch for patch in stay if patch.name != row.name]
        (candidate.patches / row.name).unlink()
        worktree.write_order(candidate, [patch.name for patch in stay])
        patch = next(patch for patch in patches if patch.name == row.name)
        proof = candidate.root / patch.field("Proof")
        if series_patch.PROOF.fullmatch(patch.field("Proof")) and proof.is_relative_to(candidate.root / "tests/proofs"):
            proof.unlink(missing_ok=True)
        _record(candidate)
        why = "A person dropped it." if row.name in skipped else f"The release has it: {row.why}"
        commit_all(candidate, f"Drop {row.name.removesuffix('.patch')}: {_reason(row, skipped)}", why)
    return git.in_checkout(candidate, "rev-parse", "HEAD").stdout.strip()


def _reason(row: Carried, skipped: Sequence[str]) -> str:
    return "dropped by a person" if row.name in skipped or row.outcome is not Outcome.UPSTREAMED else "upstream has it"


def _record(candidate: Settings) -> None:
    # the revision stays: these commits are one bump
    upstream_lock.write(
        candidate.lock_file, replace(upstream_lock.read(candidate.lock_file), inputs=inputs.lock_inputs(candidate))
    )


def name_in_documents(candidate: Settings, old: Lock, new: Lock, line: str) -> None:
    """Name the new release and tag where the READMEs and docs/ name the old; what was measured of that one stays.

    Args:
        candidate: of the checkout.
        old: the lock before.
        new: the lock now.
        line: what the changelog says of it; nothing where users see no difference.
    """
    words = [(f"Open WebUI {old.version}", f"Open WebUI {new.version}"), (old.tag, new.tag)]
    for path in sorted([*candidate.root.glob("README*.md"), *(candidate.root / "docs").glob("*.md")]):
        text = updated = path.read_text(encoding="utf-8")
        for one, other in words:
            updated = re.sub(rf"{re.escape(one)}(?![\w.]*\d)", other, updated)
        if updated != text:
            write_atomic(path, updated)
    path = candidate.root / "CHANGELOG.md"
    if line and path.is_file():
        write_atomic(path, noted(path.read_text(encoding="utf-8"), line))


def noted(text: str, line: str) -> str:
    """Return a changelog (https://keepachangelog.com) with a line among the unreleased changes."""
    head, mark, rest = text.partition("## [Unreleased]\n")
    if not mark:
        return text
    section, end, after = rest.partition("\n## ")
    line = textwrap.fill(line, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    title = "### Changed\n\n"
    if title in section:
        section = section.replace(title, f"{title}{line}\n", 1)
    else:
        section = "\n".join([section.rstrip(), "", f"{title}{line}\n"]) if section.strip() else f"\n{title}{line}\n"
    return head + mark + section + end + after


def commit_all(candidate: Settings, subject: str, body: str) -> None:
    """Commit everything, as the user; without an identity (in CI) as this tool."""
    answers = [git.in_checkout(candidate, "config", key, check=False) for key in ("user.name", "user.email")]
    has_identity = all(done.stdout.strip() for done in answers)
    name, mail = AUTHOR
    who = () if has_identity else ("-c", f"user.name={name}", "-c", f"user.email={mail}")
    git.in_checkout(candidate, "add", "--all")
    if git.in_checkout(candidate, "diff", "--cached", "--quiet", check=False).code:
        git.in_checkout(candidate, *who, "commit", "--quiet", "--no-verify", "-m", subject, "-m", body)


def landed(settings: Settings, head: str) -> bool:
    """Tell whether the checkout has a commit already."""
    return not git.in_checkout(settings, "merge-base", "--is-ancestor", head, "HEAD", check=False).code


def land(settings: Settings) -> None:
    """Move the checkout's branch to the candidate's commit.

    Raises:
        ConflictError: the checkout has changed meanwhile.
    """
    place = candidate(settings).root
    head = git.in_checkout(settings, "rev-parse", "HEAD", folder=place).stdout.strip()
    done = git.in_checkout(settings, "merge", "--quiet", "--ff-only", head, check=False)
    if done.code:
        raise ConflictError(
            f"The checkout could not be moved to {head[:12]}.",
            why=done.tail(),
            remedy="Put the checkout right, then `nox -s rebase -- --continue`.",
        )
