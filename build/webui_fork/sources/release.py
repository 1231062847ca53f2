"""The pinned release as a commit in a local git repository: the same release, the same commit.

The repository is bare, lives in the cache, and is never pushed anywhere.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core import files, git, text
from webui_fork.core.errors import ImageError, SourceError
from webui_fork.core.files import exclusive
from webui_fork.core.git import Repo, TreeFile, repository
from webui_fork.core.settings import Settings
from webui_fork.core.terminal import Terminal
from webui_fork.sources import archive, download

AUTHOR = "Open WebUI release"
EMAIL = "release@upstream.invalid"


@dataclass(frozen=True, slots=True)
class Source:
    """The release at hand: its commit in the local repository, and the wheel's path."""

    commit: str
    wheel: Path


def pinned_files(settings: Settings, pins: list[PinnedFile], ui: Terminal) -> list[Path]:
    """Return the cached files of a release, asking the index only for those that are missing.

    Args:
        settings: the cache, and where the index is.
        pins: the files, as `upstream.lock` has them.
        ui: shows what is downloaded.

    Raises:
        SourceError: the index does not have one, or can't be reached. DigestError: it has another.
    """
    missing = [f for f in pins if not download.cached(settings.cache, f.digest).exists()]
    if missing:
        from webui_fork.sources import package_index

        where = package_index.configured(settings)
        http = package_index.session(where)
        _, urls = package_index.listing(where, http)
        for pinned in missing:
            if pinned.name not in urls:
                raise SourceError(
                    f"The index no longer has {pinned.name}.",
                    remedy="Upstream took the release back, or this mirror lags: try another index or release.",
                )
            file = download.Wanted(urls[pinned.name], pinned.name, pinned.digest, pinned.size)
            download.download(http, file, settings.cache, ui)
    return [download.cached(settings.cache, f.digest) for f in pins]


def link_target(file: TreeFile) -> str | None:
    """Check that a file of the release is one that may be written somewhere: a git tree can have any.

    Returns:
        Where it leads, if it is a symbolic link.

    Raises:
        ArchiveError: it leads out of the tree. ImageError: it is a submodule.
    """
    archive.safe_path(file.path, "the release")
    if file.mode == 0o120000:
        target = file.read().decode(errors="surrogateescape")
        archive.safe_link(file.path, target, "the release")
        return target
    if file.mode not in (0o100644, 0o100755):
        raise ImageError(f"{file.path} of the release is a submodule, which a source distribution can't have.")
    return None


def _quoted(path: str) -> bytes:
    return b'"' + path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _stream(members: Iterable[archive.Member], ref: str, message: str, epoch: int) -> Iterable[bytes]:
    """Yield a git fast-import stream; raw bytes, so that no attribute or filter touches them."""
    body = message.encode()
    who = f"{AUTHOR} <{EMAIL}> {epoch} +0000"
    yield f"commit {ref}\nauthor {who}\ncommitter {who}\ndata {len(body)}\n".encode() + body + b"\ndeleteall\n"
    for member in members:
        mode = "120000" if member.link else "100755" if member.executable else "100644"
        yield f"M {mode} inline ".encode() + _quoted(member.path) + f"\ndata {len(member.data)}\n".encode()
        yield member.data
        yield b"\n"
    yield b"done\n"


def _import(repo: Repo, members: Iterable[archive.Member], ref: str, message: str, epoch: int) -> str:
    """Commit a tree; the ref moves only when the whole stream has been read."""
    child: Any = repo.git.fast_import("--quiet", "--done", "--force", as_process=True, istream=subprocess.PIPE)
    stdin: IO[bytes] = child.proc.stdin
    try:
        for piece in _stream(members, ref, message, epoch):
            stdin.write(piece)
        stdin.close()
        code = child.proc.wait()
        if code:
            raise SourceError(
                "git could not import the release.",
                why=child.proc.stderr.read().decode(errors="replace").strip()[-2000:],
            )
    except BrokenPipeError as error:
        why = child.proc.stderr.read().decode(errors="replace").strip()[-2000:]
        raise SourceError("git could not import the release.", why=why) from error
    finally:
        if child.proc.poll() is None:
            child.proc.kill()
            child.proc.wait()
        with suppress(OSError):
            stdin.close()
    return str(repo.git.rev_parse("--verify", f"{ref}^{{commit}}"))


def fetch(settings: Settings, repo: Repo, remote: str, refspec: str, ui: Terminal, *, depth: int = 1) -> None:
    """Fetch from somebody's git remote into the local repository.

    Args:
        settings: whose git configuration has the credentials and the proxies.
        repo: the local repository. remote: its URL, checked. refspec: what to fetch. ui: says so.
        depth: how many commits of its history.

    Raises:
        SourceError: it can't be had.
    """
    what, where = refspec.removeprefix("+").partition(":")[0], text.without_secrets(remote)
    argv = ("fetch", "--quiet", "--no-tags", f"--depth={depth}", remote, refspec)
    with ui.step("source", f"Fetching {what[:40]} from {where}"):
        done = git.run(repo.folder, *argv, env={**settings.environ, "GIT_TERMINAL_PROMPT": "0"}, check=False)
    if done.code:
        raise SourceError(
            f"Could not fetch {what} from {where}.",
            why=text.redact_text(done.tail(), remote),
            remedy="Is the remote right? Its server must serve single commits (uploadpack.allowAnySHA1InWant), or have "
            "a branch or tag that holds this one.",
        )


def _from_git(repo: Repo, settings: Settings, lock: Lock, ref: str, message: str, ui: Terminal) -> str:
    """Fetch the pinned commit and commit its tree with the release's own author and date."""
    assert lock.git is not None
    pin = lock.git
    where = text.without_secrets(pin.remote)
    if repo.resolve(pin.commit) is None:
        fetch(settings, repo, pin.remote, pin.commit, ui)
    if repo.resolve(pin.commit) != pin.commit:
        raise SourceError(f"{where} has no commit {pin.commit}.", remedy="Check [release.git] in upstream.lock.")
    who = {"NAME": AUTHOR, "EMAIL": EMAIL, "DATE": f"{lock.epoch} +0000"}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    commit = str(repo.git.commit_tree(f"{pin.commit}^{{tree}}", "-m", message, env=env))
    repo.git.update_ref(ref, commit)
    return commit


def release_commit(settings: Settings, lock: Lock, ui: Terminal) -> str:
    """Have the locked release as a commit: downloaded, checked, imported. A warm cache needs no network.

    Raises:
        SourceError, DigestError, ArchiveError: see their names. CacheError: the cache can't be written.
    """
    repo = repository(settings)
    key = lock.git.commit if lock.git else lock.sdist.sha256
    ref = f"refs/releases/{lock.version}/{key}"
    commit = repo.resolve(ref)
    if commit is None:
        origin = f"git commit {lock.git.commit}" if lock.git else f"{lock.sdist.name} {lock.sdist.digest}"
        message = f"Open WebUI {lock.version}\n\nFrom {origin}\n"
        with exclusive(settings.cache / ".source.lock", "the source repository", ui.say):
            if lock.git:
                commit = _from_git(repo, settings, lock, ref, message, ui)
            else:
                (sdist,) = pinned_files(settings, [lock.sdist], ui)
                files.check(sdist, lock.sdist.digest)
                with ui.step("source", f"Importing {lock.sdist.name} into git"):
                    commit = _import(repo, archive.sdist_members(sdist, lock.sdist.name), ref, message, lock.epoch)
    return commit


def obtain(settings: Settings, lock: Lock, ui: Terminal) -> Source:
    """Have the locked release at hand: its commit, and its wheel.

    Raises:
        SourceError, DigestError, ArchiveError: see their names. CacheError: the cache can't be written.
    """
    commit = release_commit(settings, lock, ui)
    (wheel,) = pinned_files(settings, [lock.wheel], ui)
    return Source(commit, wheel)
