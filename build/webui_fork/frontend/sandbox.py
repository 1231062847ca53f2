"""Where code of the release and of npm packages runs: in a root of its own, without a network, with no secret near.

It sees the system's programs and libraries, Node.js and the npm packages, all read-only, and its work. As root it runs
as nobody. Where the kernel gives no namespaces (many containers, Ubuntu 24.04 as another user than root), nothing runs.
Sources: namespaces(7), mount_namespaces(7), capabilities(7), pid_namespaces(7); unshare and setpriv of util-linux.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from webui_fork.core import process
from webui_fork.core.errors import ToolError
from webui_fork.core.files import ensure_folder
from webui_fork.core.process import Completed

NOBODY = 65534
WITHOUT = "Or take the patches to src/ and static/ out of patches/series: the other patches need no front-end build."
# KILL: the first process of a namespace heeds no other signal, and ends all others with it
_BOUND = ("setpriv", "--pdeathsig", "KILL", "--")
_UNSHARE = (*_BOUND, "unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child")
# $1: an empty folder; $2: the work; $3: the programs; $4: the packages; $5: who owns what can be written
_ENTER = """
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$1
mount -t tmpfs -o mode=0755 tmpfs "$root"
cd "$root"
mkdir dev etc home proc programs tmp work
for name in bin lib lib32 lib64 sbin usr; do
  if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$name"
  elif [ -d "/$name" ]; then mkdir "$name"; mount --bind "/$name" "$name"; mount -o remount,bind,ro "$name"
  fi
done
if [ -e /etc/ld.so.cache ]; then cp /etc/ld.so.cache etc/; fi
for name in null random urandom zero; do : > "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
mount -t proc proc proc
mount --bind "$3" programs
mount -o remount,bind,ro programs
mount --bind "$2" work
if [ -n "$4" ]; then
  mount --bind "$4" work/node_modules
  mount -o remount,bind,ro work/node_modules
  for name in .vite .vite-temp; do
    mount -t tmpfs tmpfs "work/node_modules/$name"
    chown "$5" "work/node_modules/$name"
  done
fi
chown "$5" home tmp
mount -o remount,bind,ro "$root"
for name in home tmp; do mount -t tmpfs tmpfs "$name"; chown "$5" "$name"; done
shift 5
exec chroot . /usr/bin/env -C /work setpriv "$@"
"""
MOUNTPOINTS = (".vite", ".vite-temp")  # in the packages, for what vite writes beside them


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What commands see beside the system: their work, the programs, and the npm packages (None: there are none).

    ``confined``: whether they are kept apart at all, which a user can forgo.
    """

    work: Path
    programs: Path
    packages: Path | None = None
    confined: bool = True

    def run(self, argv: Sequence[str], env: Mapping[str, str], doing: str) -> Completed:
        """Run a command to its end in the folder of the work, the only one that it can write to beside empty ones.

        Args:
            argv: the command; a word that begins with `programs/` is a file of the programs.
            env: its whole environment, but for PATH, HOME, language and time zone.
            doing: the action, for an error.

        Raises:
            ToolError: it could not be started, or this machine has no programs for a sandbox.
        """
        places = {"PATH": "/usr/bin:/bin", "HOME": "/home", "LANG": "C.UTF-8", "TZ": "UTC"}
        if not self.confined:
            own = f"{self.programs}/"
            argv = [word.replace("programs/", own, 1) if word.startswith("programs/") else word for word in argv]
            places["HOME"] = str(self.work.parent)
            return process.run(argv, env={**env, **places}, cwd=self.work, check=False, doing=doing, at_once=True)
        command = [*self._enter(), *(f"/{word}" if word.startswith("programs/") else word for word in argv)]
        return process.run(command, env={**env, **places}, check=False, doing=doing, at_once=True)

    def _enter(self) -> list[str]:
        """Return what comes before a command."""
        if not (shutil.which("unshare") and shutil.which("setpriv")):
            raise _missing("It has no unshare and setpriv, which are util-linux's.")
        root = os.geteuid() == 0
        drop = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        drop += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if root else []
        # in a namespace of users of its own, another user than root is root, and may mount
        unshare = _UNSHARE if root else (*_UNSHARE, "--user", "--map-root-user")
        folder = ensure_folder(self.work.with_name(f"{self.work.name}-root"))
        places = (folder, self.work, self.programs, self.packages or "", NOBODY if root else 0)
        return [*unshare, "sh", "-c", _ENTER, "sh", *map(str, places), *drop, "--"]

    def own(self) -> None:
        """Give the work to whom the commands run as."""
        if self.confined and os.geteuid() == 0:
            for place, folders, names in os.walk(self.work):
                for name in (".", *folders, *names):
                    os.chown(Path(place) / name, NOBODY, NOBODY, follow_symlinks=False)

    def check(self) -> None:
        """Try it.

        Raises:
            ToolError: this machine gives no namespaces.
        """
        done = self.run(["true"], {}, "try a sandbox")
        if done.code:
            raise _missing(done.tail(4))


def _missing(why: str) -> ToolError:
    return ToolError(
        "The front end is not built here: this machine gives no sandbox for upstream's build and npm packages.",
        why=why,
        remedy="Build as root, or where users may make namespaces (a container needs CAP_SYS_ADMIN). "
        "WEBUI_FORK_SANDBOX=none runs them as you, with your files and the network. " + WITHOUT,
    )
