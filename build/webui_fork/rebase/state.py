"""What a rebase under way must remember: where it goes, and what a person decided. Everything else is made again.

The file lies in the checkout's git folder, so that cleaning the checkout does not lose it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from webui_fork.config import upstream_lock
from webui_fork.config.upstream_lock import Lock
from webui_fork.core import git
from webui_fork.core.errors import ConflictError, UsageError
from webui_fork.core.files import write_atomic
from webui_fork.core.settings import Settings

_FILE = "webui-fork-rebase.json"


@dataclass(frozen=True, slots=True)
class State:
    """A rebase under way.

    ``head``: the checkout's commit when it began. ``target``: the new release, as a lock without inputs.
    ``gate``: whether proofs and checks run. ``skipped``: patches that a person dropped. ``resolved``: the patches
    that a person carried. ``conflict``: the patch that waits for a person, on the commit ``parent`` of the local
    repository. ``candidate``: the finished commit that waits for its gate. ``stock``: verdict and evidence of the
    patches whose proof is not red on the pristine release; None: not asked yet. ``proved``: digests of carried
    patches whose proof was seen to be green with them.
    """

    head: str
    target: str
    gate: bool
    skipped: tuple[str, ...] = ()
    resolved: tuple[tuple[str, str], ...] = ()
    conflict: str = ""
    parent: str = ""
    candidate: str = ""
    stock: tuple[tuple[str, tuple[str, str]], ...] | None = None
    proved: tuple[str, ...] = ()

    @property
    def lock(self) -> Lock:
        """The new release."""
        return upstream_lock.parse(self.target)


def file(settings: Settings) -> Path:
    """Return where the state is kept.

    Raises:
        UsageError: the checkout is not one of git.
    """
    done = git.in_checkout(settings, "rev-parse", "--path-format=absolute", "--git-dir", check=False)
    if done.code:
        raise UsageError(
            f"{settings.root} is not a git checkout.",
            why=done.tail(),
            remedy="A rebase ends in commits: clone the repository, or `git init` and commit it.",
        )
    return Path(done.stdout.strip()) / _FILE


def read(settings: Settings) -> State | None:
    """Return the rebase under way, if there is one.

    Raises:
        ConflictError: its file can't be read.
    """
    path = file(settings)
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text())
        values["resolved"] = tuple((name, data) for name, data in values["resolved"])
        if values["stock"] is not None:
            values["stock"] = tuple((name, (verdict, words)) for name, (verdict, words) in values["stock"])
        for key in ("skipped", "proved"):
            values[key] = tuple(values[key])
        return State(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise ConflictError(
            f"The state of the rebase under way can't be read ({path}).",
            why=str(error),
            remedy="`nox -s rebase -- --abort` removes it; the checkout is as it was.",
        ) from None


def write(settings: Settings, state: State) -> None:
    """Keep a state; a crash leaves the old one or the new one."""
    write_atomic(file(settings), json.dumps(asdict(state), indent=1) + "\n")


def clear(settings: Settings) -> None:
    """Forget the rebase."""
    file(settings).unlink(missing_ok=True)
