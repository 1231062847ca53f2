"""The one tree of errors: what failed, why, what to do next, and the exit code.

A user's mistake or a broken world is a :class:`ForkError`; anything else that escapes is a bug
in this tool and keeps its traceback. Exit codes are part of the interface (docs/exit-codes.md)
and are never reused.
"""

from __future__ import annotations

import errno
from pathlib import Path


class ForkError(Exception):
    """An error for people.

    Args:
        what: what failed, in one line.
        why: the cause, as far as it is known.
        remedy: what to do next; a command where there is one.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.remedy) if part)


class UsageError(ForkError):
    """The command line or a setting is wrong."""

    exit_code = 2


class LockError(ForkError):
    """`upstream.lock` or a package lock is malformed or stale."""

    exit_code = 3


class SourceError(ForkError):
    """The release could not be fetched or does not say what it should."""

    exit_code = 4


class DigestError(SourceError):
    """Bytes do not have the pinned digest."""

    exit_code = 5


class ArchiveError(SourceError):
    """An archive holds something unsafe, or is cut short."""

    exit_code = 6


class SeriesError(ForkError):
    """The patch series breaks a rule."""

    exit_code = 7


class ApplyError(ForkError):
    """A patch does not apply to the release."""

    exit_code = 8


class ImageError(ForkError):
    """`image.toml` is malformed, or the image can't be put together."""

    exit_code = 9


class DriftError(ForkError):
    """The mirror no longer has what `debian.lock` pins, and `--locked` forbids another."""

    exit_code = 10


class RegistryError(ForkError):
    """A registry refused, failed or lied."""

    exit_code = 11


class SigningError(ForkError):
    """cosign could not sign or verify."""

    exit_code = 12


class PassphraseError(SigningError):
    """The key's passphrase is missing or wrong."""

    exit_code = 13


class ToolError(ForkError):
    """A program this tool drives is missing or failed."""

    exit_code = 14


class EngineError(ForkError):
    """The Docker engine is missing or failed."""

    exit_code = 15


class CacheError(ForkError):
    """A folder this tool writes to can't be written."""

    exit_code = 16


class DiskFullError(CacheError):
    """No space is left where a file must go."""

    exit_code = 17


class ConflictError(ForkError):
    """A rebase needs a person: a patch could not be carried, or a rebase is under way already."""

    exit_code = 18


class GateError(ForkError):
    """A rebase was carried, but a check of its result failed."""

    exit_code = 19


class VerifyError(ForkError):
    """An image is not what it should be, or nobody we trust says that it is."""

    exit_code = 20


class ReproduceError(ForkError):
    """An image could not be built again to the same digest."""

    exit_code = 21


class PublishError(ForkError):
    """What would be published may not be: it was not tested, or a tag that never moves names another image."""

    exit_code = 22


class AuditError(ForkError):
    """A dependency is known to be vulnerable, or could not be looked up."""

    exit_code = 23


class ProofError(ForkError):
    """Proofs notice too few of the faults that were made for them."""

    exit_code = 26


# not errors of this tool: what `doctor` found
EXIT_DOCTOR_WARNING = 24
EXIT_DOCTOR_CRITICAL = 25


def from_os_error(error: OSError, doing: str) -> ForkError:
    """Put an operating system's refusal into words.

    Args:
        error: what the system said.
        doing: the action that was refused, as "write the blob cache".

    Returns:
        A :class:`DiskFullError` when space or quota ran out, else a :class:`CacheError`.
    """
    where = Path(error.filename) if isinstance(error.filename, str) else None
    place = f" ({where})" if where else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"The disk is full: could not {doing}{place}.",
            why="Nothing half-written was kept; what had been finished is in the cache.",
            remedy="Free some space, or move the cache with WEBUI_FORK_CACHE=/other/folder, and run it again.",
        )
    return CacheError(
        f"Could not {doing}{place}.",
        why=error.strerror or str(error),
        remedy="Check its owner and mode, or name another path; of the cache, WEBUI_FORK_CACHE names another.",
    )
