from __future__ import annotations

import os

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
    needed |= {"PIP_FIND_LINKS", "DOCKER_HOST", "XDG_CACHE_HOME", "WEBUI_FORK_CACHE", "WEBUI_FORK_DEBIAN_MIRROR", "CI"}
    assert process.plain(dict.fromkeys(secrets | needed, "x")).keys() == needed
