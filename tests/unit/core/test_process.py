from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from webui_fork.core import process
from webui_fork.core.errors import ToolError


def test_a_program_that_is_missing_fails_or_hangs_is_told_apart() -> None:
    env = {"PATH": os.environ["PATH"]}
    with pytest.raises(ToolError, match="did not start"):
        process.run(["/nowhere/tool"], env=env)
    with pytest.raises(ToolError, match="exit code 3") as caught:
        process.run(["sh", "-c", "echo why >&2; exit 3"], env=env)
    assert caught.value.why == "why"
    with pytest.raises(ToolError, match="did not end within"):
        process.run(["sleep", "9"], env=env, timeout=0.1)


def test_other_people_s_code_gets_no_secret() -> None:
    secrets = {"COSIGN_PASSWORD", "GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN"}
    secrets |= {"REBASE_TOKEN", "CI_JOB_TOKEN", "AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN", "UV_PUBLISH_TOKEN"}
    needed = {"PATH", "HOME", "LC_ALL", "https_proxy", "NO_PROXY", "UV_DEFAULT_INDEX", "UV_INDEX_INTERNAL_PASSWORD"}
    needed |= {
        "npm_config_registry",
        "NPM_CONFIG_USERCONFIG",
        "NODE_EXTRA_CA_CERTS",
        "PIP_FIND_LINKS",
        "DOCKER_HOST",
        "XDG_CACHE_HOME",
        "WEBUI_FORK_CACHE",
        "WEBUI_FORK_DEBIAN_MIRROR",
        "CI",
    }
    assert process.plain(dict.fromkeys(secrets | needed, "x")).keys() == needed


@pytest.mark.parametrize("how", [{"group": True}, {"at_once": True}])
def test_what_ends_as_a_group_has_no_terminal_of_ours(how: dict[str, bool]) -> None:
    """It could type into it, and the shell that we were started from would obey."""
    done = process.run([sys.executable, "-c", "import os; print(os.getsid(0))"], env={}, **how)  # type: ignore[arg-type]
    assert int(done.stdout) != os.getsid(0)


STARTS_AND_INTERRUPTS = """
import os, signal, subprocess, sys
from webui_fork.core import process
real = subprocess.Popen.__init__
def init(self, argv, *rest, **options):
    real(self, argv, *rest, **options)
    if argv[0] == "sh":
        with open(sys.argv[1], "w") as file:
            file.write(str(self.pid))
        os.kill(os.getpid(), signal.SIGINT)
subprocess.Popen.__init__ = init
try:
    process.run(["sh", "-c", "sleep 61"], env={"PATH": "/usr/bin:/bin"}, at_once=True)
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_ctrl_c_while_a_program_starts_ends_it(tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen([sys.executable, "-c", STARTS_AND_INTERRUPTS, tmp_path / "child"]) as tool:
        assert tool.wait(timeout=60) == 7
    pid = int((tmp_path / "child").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


THREADS = """
import signal, sys
from concurrent.futures import ThreadPoolExecutor
from webui_fork.cli import main
from webui_fork.core import process

def run(*_):
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(process.run, ["sleep", "60"], env={"PATH": "/usr/bin:/bin"}, check=False) for _ in "ab"]
        print("ready", flush=True)
        [one.result() for one in waits]

signal.signal(signal.SIGINT, signal.default_int_handler)
main._module = lambda verb: type("Verb", (), {"run": run, "add_arguments": lambda parser: None, "__doc__": "x"})
sys.exit(main.main(["completion"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_ends_what_threads_wait_for(number: signal.Signals) -> None:
    argv = [sys.executable, "-c", THREADS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)) as tool:
        assert tool.stdout
        assert tool.stdout.readline() == b"ready\n"
        time.sleep(0.3)
        tool.send_signal(number)
        start = time.monotonic()
        _, err = tool.communicate(timeout=70)
        assert tool.returncode == 130, err
        assert time.monotonic() - start < 20


def test_what_heeds_no_signal_is_killed_with_what_it_started(tmp_path: Path) -> None:
    deaf = f"trap '' INT TERM; sleep 61 & echo $! > {tmp_path}/child; wait; sleep 61"
    run = f"process.run(['sh', '-c', {deaf!r}], env=dict(PATH='/usr/bin:/bin'), at_once=True)"
    code = f"from webui_fork.core import process; {run}"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as tool:
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
            time.sleep(0.02)
        handle = os.pidfd_open(int((tmp_path / "child").read_text()))
        tool.send_signal(signal.SIGINT)
        assert tool.wait(timeout=20)
    assert select.select([handle], [], [], 5)[0], "what it started goes on"
    os.close(handle)
