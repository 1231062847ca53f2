"""Settings: the one place that reads the environment, and the user's configuration file.

Every stage gets a frozen :class:`Settings`; nothing else looks at ``os.environ``, so a run is
described by its inputs.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from webui_fork.core.errors import UsageError

# Set in git's hooks, they would turn our git to another repository, index, identity or object format.
_NOT_PASSED_ON = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DEFAULT_HASH",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "GIT_ATTR_SOURCE",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
)
# In the environment of every program that is run: the file is read once, and what `process.plain` keeps from somebody
# else's code does not come back out of it.
_READ = "WEBUI_FORK_CONFIGURED"
# What the configuration file may set: each is a variable, WEBUI_FORK_ and the name in capitals.
_IN_FILE = ("cache", "sign", "identity", "issuer", "builder", "debian-mirror", "snapshot-mirror", "inputs")
CHECKOUT = Path(__file__).resolve().parents[3]
IN_CHECKOUT = (CHECKOUT / "noxfile.py").exists()  # not where the package was installed from a wheel


class Secret:
    """A string that never prints itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value; only the call that hands it to a child process should."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user's environment says; see docs/settings.md."""

    root: Path
    cache: Path
    config: Path
    terminal: bool
    debian_mirror: str | None = None
    snapshot_mirror: str | None = None
    inputs: str | None = None
    sign: str = "key"
    sandbox: bool = True
    builder: str = ""
    invocation: str = ""
    cosign_password: Secret | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    line: str = ""

    @property
    def checkout(self) -> Path:
        """The checkout: where a line is built from, its folder `lines/0.11` is the root."""
        return self.root.parents[1] if self.line else self.root

    def on_line(self, name: str) -> Settings:
        """Return the settings of one of the checkout's lines, such as 0.11; docs/backport.md."""
        return replace(self, root=self.checkout / "lines" / name, line=name)

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the checkout's lines: those folders of `lines/` that have a lock."""
        return tuple(sorted(file.parent.name for file in (self.checkout / "lines").glob("*/upstream.lock")))

    @property
    def out(self) -> Path:
        """Folder of the results."""
        return self.root / "out"

    @property
    def lock_file(self) -> Path:
        """Path of `upstream.lock`."""
        return self.root / "upstream.lock"

    @property
    def patches(self) -> Path:
        """Folder of the patch series."""
        return self.root / "patches"


def _folder(environ: Mapping[str, str], own: str, xdg: str, fallback: str) -> Path:
    """Resolve a folder from our own variable, else the XDG base directory specification."""
    if value := environ.get(own):
        path = Path(value).expanduser()
        if not path.is_absolute() or any(character.isspace() for character in value):
            raise UsageError(
                f"{own} is not an absolute path without white space: {value!r}.",
                remedy=f"Set {own} to an absolute path; apt can't read one with white space.",
            )
        return path
    base = environ.get(xdg, "")
    home = Path(environ.get("HOME") or Path.home())
    return (Path(base) if base.startswith("/") else home / fallback) / "webui-fork"


def _file(file: Path) -> dict[str, str]:
    """Read the configuration file; return the variables that it stands for, none where there is no such file."""
    remedy = f"It may set {', '.join(_IN_FILE)}, each to a text in quotes; docs/settings.md says what they mean."
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} can't be read.", why=str(error), remedy=remedy) from None
    for key, value in values.items():
        if key not in _IN_FILE or not isinstance(value, str):
            raise UsageError(f"{file}: {key!r} is not a setting, or not a text.", remedy=remedy)
    return {f"WEBUI_FORK_{key.replace('-', '_').upper()}": value for key, value in values.items()}


def _workflow(env: Mapping[str, str]) -> str:
    """Return the builder's name on GitHub: the workflow, as its keyless identity has it."""
    ref = env.get("GITHUB_WORKFLOW_REF")
    return f"{env.get('GITHUB_SERVER_URL', 'https://github.com')}/{ref}" if ref else ""


def _run(env: Mapping[str, str]) -> str:
    repository, number = env.get("GITHUB_REPOSITORY"), env.get("GITHUB_RUN_ID")
    if not (repository and number):
        return ""
    server = env.get("GITHUB_SERVER_URL", "https://github.com")
    return f"{server}/{repository}/actions/runs/{number}/attempts/{env.get('GITHUB_RUN_ATTEMPT', '1')}"


def load(environ: Mapping[str, str] | None = None, root: Path | None = None) -> Settings:
    """Read the settings from the environment, and from the configuration file what that does not say.

    Args:
        environ: the variables; the process's own by default.
        root: the checkout; by default the one this package stands in.

    Raises:
        UsageError: a variable has a value that makes no sense, or the file can't be read.
    """
    env = dict(os.environ if environ is None else environ)
    password = env.pop("COSIGN_PASSWORD", None)
    if environ is None:
        os.environ.pop("COSIGN_PASSWORD", None)
    for name in _NOT_PASSED_ON:
        env.pop(name, None)
        if environ is None:
            os.environ.pop(name, None)  # GitPython hands the process's own environment to git
    config = _folder(env, "WEBUI_FORK_CONFIG", "XDG_CONFIG_HOME", ".config")
    if _READ not in env:
        file = config / "config.toml"
        configured = {name: value for name, value in _file(file).items() if not env.get(name)}
        env |= configured
        try:
            return _settings({**env, _READ: "1"}, config, root, password)
        except UsageError as error:
            at_fault = [name for name in configured if name in error.what]
            raise UsageError(
                error.what, why=f"{file} sets it." if at_fault else error.why, remedy=error.remedy
            ) from None
    return _settings(env, config, root, password)


def _settings(env: Mapping[str, str], config: Path, root: Path | None, password: str | None) -> Settings:
    sign = env.get("WEBUI_FORK_SIGN") or "key"
    if sign not in ("key", "keyless") and "://" not in sign and not sign.startswith("/"):
        raise UsageError(
            f"WEBUI_FORK_SIGN is {sign!r}.",
            remedy="Use `key` (the default), `keyless`, an absolute path of a key, or a KMS URI such as awskms:///alias/x.",
        )
    sandbox = env.get("WEBUI_FORK_SANDBOX") or "required"
    if sandbox not in ("required", "none"):
        raise UsageError(f"WEBUI_FORK_SANDBOX is {sandbox!r}.", remedy="Use `required` (the default) or `none`.")
    return Settings(
        root=root or Path(env.get("WEBUI_FORK_ROOT") or (CHECKOUT if IN_CHECKOUT else Path.cwd())),
        cache=_folder(env, "WEBUI_FORK_CACHE", "XDG_CACHE_HOME", ".cache"),
        config=config,
        terminal=sys.stderr.isatty() and not env.get("CI") and not env.get("NO_COLOR") and env.get("TERM") != "dumb",
        debian_mirror=env.get("WEBUI_FORK_DEBIAN_MIRROR"),
        snapshot_mirror=env.get("WEBUI_FORK_SNAPSHOT_MIRROR"),
        inputs=env.get("WEBUI_FORK_INPUTS") or None,
        sign=sign,
        sandbox=sandbox != "none",
        builder=env.get("WEBUI_FORK_BUILDER") or _workflow(env),
        invocation=_run(env),
        cosign_password=None if password is None else Secret(password),
        environ=env,
    )
