"""Import once what Open WebUI imports of other packages, and fork a server from there for each request.

A start costs a second of CPU so, and not five. Nothing of Open WebUI itself is imported before the fork: each request
names its own tree. Run by the image's own Python: SOCKET TREE DATA FOLDER; it ends when FOLDER is gone.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1


def imported(tree: str, data: str) -> list[str]:
    """Import the Open WebUI of a tree in a process of its own; return the names of what is not its own code."""
    reading, writing = os.pipe()
    if not os.fork():
        os.close(reading)
        os.dup2(2, 1)  # what it prints is not for whoever reads our output
        sys.path.insert(0, f"{tree}/backend")
        os.chdir(f"{tree}/backend")
        os.environ |= {"DATA_DIR": data, "STATIC_DIR": f"{data}/static"}
        importlib.import_module("open_webui.main")
        own = os.path.realpath(tree) + os.sep
        names = [name for name, module in sys.modules.items() if not _is_own(name, module, own)]
        with os.fdopen(writing, "w") as pipe:
            json.dump(names, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return list(json.load(pipe))


def _is_own(name: str, module: object, tree: str) -> bool:
    file = getattr(module, "__file__", None) or ""
    return name.partition(".")[0] in ("open_webui", "__main__") or os.path.realpath(file).startswith(f"{tree}backend/")


def serve(server: socket.socket, folder: str) -> None:
    while Path(folder).exists():
        if not select.select([server], [], [], 1)[0]:
            continue
        connection, _ = server.accept()
        with connection, connection.makefile("rw") as pipe:
            request = json.loads(pipe.readline())
            pid = os.fork()
            if not pid:
                server.close()
                connection.detach()
                become(request)
            pipe.write(f"{pid}\n")
            pipe.flush()


def become(request: dict[str, object]) -> None:
    """Be what a new process with this environment, folder and command line would be."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(str(request["log"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path.insert(0, str(request["cwd"]))
    sys.argv = ["uvicorn", *request["argv"]]
    status = 1
    try:
        runpy.run_module("uvicorn", run_name="__main__")
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  # it is printed, as a program's last words
        sys.excepthook(*sys.exc_info())
    os._exit(status)


def make_hashes_cheap() -> None:
    """Have passwords hashed in a millisecond: the hash of a first sign-in, and its check, are a fifth of a start."""
    bcrypt = importlib.import_module("bcrypt")
    real = bcrypt.gensalt
    bcrypt.gensalt = lambda rounds=12, prefix=b"2b": real(4, prefix)


def main() -> None:
    address, tree, data, folder = sys.argv[1:]
    for name in imported(tree, data):
        with suppress(Exception):
            importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()  # a thread would not be there after a fork
    make_hashes_cheap()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(16)
        print("ready", flush=True)
        serve(server, folder)


main()
