"""A fork of Open WebUI as people have them: forty commits on a release, no series."""

from __future__ import annotations

import subprocess
from pathlib import Path

from webui_fork.core.git import Repo
from webui_fork.core.settings import CHECKOUT
from webui_fork.series import apply

RELEASE = "0.9.6"
BACKEND, FRONT_END = CHECKOUT / "tests/assets/series" / RELEASE, CHECKOUT / "tests/assets/front-end-series/0.9.0"
B, S = "backend/open_webui", "src/lib/components"
TRAIL = '''"""Keep a trail of who signs in."""

import logging

log = logging.getLogger(__name__)


def record_sign_in(email: str) -> None:
    log.info('signed in: %s', email)
'''
QUOTA = '''"""How many chats a user may have."""

from open_webui.env import CHAT_QUOTA


def within_quota(count: int) -> bool:
    return not CHAT_QUOTA or count < CHAT_QUOTA
'''
NOTICE = '<script lang="ts">\n\texport let text = \'\';\n</script>\n\n<p class="text-sm">{text}</p>\n'
IMPORT = "from open_webui.utils.sign_in_trail import record_sign_in\n\n"
USE = "async def signed_in_trail(email: str):\n    record_sign_in(email)\n\n\n"
LIMIT = "CHAT_QUOTA = int(os.getenv('CHAT_QUOTA', '0'))\n"
LOG = "log = logging.getLogger(__name__)\n"
Edit = tuple[str, str, str]  # a path, its text before and after; without one before, the file is new
COMMITS: dict[str, tuple[Edit, ...]] = {
    "Add a trail": ((f"{B}/utils/sign_in_trail.py", "", TRAIL),),
    "Write the trail": (
        (f"{B}/routers/auths.py", "router = APIRouter()\n", f"{IMPORT}router = APIRouter()\n"),
        (f"{B}/routers/auths.py", "async def signout(", f"{USE}async def signout("),
    ),
    "Add a quota to the settings": ((f"{B}/env.py", "WEBUI_AUTH = ", f"{LIMIT}WEBUI_AUTH = "),),
    "Add a quota": ((f"{B}/utils/chat_quota.py", "", QUOTA),),
    "Name the table": ((f"{B}/models/chats.py", LOG, f"{LOG}CHAT_QUOTA_TABLE = 'chat'\n"),),
    "Add a notice": ((f"{S}/common/FleetNotice.svelte", "", NOTICE),),
    "Shorten a time": ((f"{B}/utils/webhook.py", "import logging\n", "import logging\n\nWEBHOOK_SECONDS = 5\n"),),
    "Speak of us": (("README.md", "# Open WebUI", "# Our Open WebUI"),),
    "Build it differently": (("Dockerfile", "# syntax=docker/dockerfile:1", "# syntax=docker/dockerfile:1\n# ours"),),
    "Take a package": (("package.json", '"type": "module"', '"type": "module",\n\t"fleet": true'),),
    "Take a requirement": (("backend/requirements.txt", "fastapi==", "fleet-client\nfastapi=="),),
    "Rename it": ((f"{B}/env.py", "WEBUI_NAME = os", "WEBUI_NAME = 'Ours'  # os"),),
    "Put our workflow beside it": ((".github/workflows/ours.yml", "", "on: push\n"),),
    "Count the tasks": ((f"{B}/tasks.py", "import asyncio\n", "import asyncio\n\nFLEET_TASKS = 3\n"),),
    "Change a favicon": (("static/favicon.svg", "", "<svg/>\n"),),
    "Note it": (("FLEET.md", "", "What we changed.\n"),),
}


def make(repo: Repo, release: str, folder: Path) -> list[str]:
    """Make a fork in a folder, its branch called main; return the subjects of its commits.

    Args:
        repo: the repository of releases.
        release: the commit of :data:`RELEASE` in it.
        folder: an empty one.
    """

    def git(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = ["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]
        return subprocess.run(argv, check=check, capture_output=True, text=True)

    git("init", "--quiet", "--initial-branch", "main")
    (folder / ".git/objects/info/alternates").write_text(f"{repo.folder}/objects\n")
    git("reset", "--quiet", "--hard", release)
    subjects = []
    for series in (BACKEND, FRONT_END):
        _, patches = apply.read_series(series)
        for patch in patches:
            if git("am", "--quiet", "-3", series / patch.name, check=False).returncode:
                git("am", "--abort")  # one of 0.9.0 that is not for this release
            else:
                subjects.append(patch.subject)
    for subject, edits in COMMITS.items():
        for path, before, after in edits:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            text = file.read_text() if before else ""
            assert before in text, (path, before)
            file.write_text(text.replace(before, after, 1) if before else after)
        git("add", "--all", "--force")
        git("commit", "--quiet", "-m", subject)
        subjects.append(subject)
    return subjects
