"""The series on images that stand in a registry: every platform, nothing unpacked, and no other release's."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from docker import DockerClient

import bases
import throwaway
from bases import image, layer
from containers import START
from helpers import Talk
from registries import registry
from users import User
from webui_fork.config import tags
from webui_fork.core import git
from webui_fork.core.digest import Digest
from webui_fork.core.errors import ImageError
from webui_fork.core.settings import Settings
from webui_fork.image import append, pipeline
from webui_fork.image import inputs as image_inputs
from webui_fork.oci import layout, model, transfer
from webui_fork.oci.model import DOCKER_INDEX, NamedLayer
from webui_fork.oci.registry import DOCKER_MANIFEST, Registry
from webui_fork.publish import tested
from webui_fork.publish.tested import PassedImage
from webui_fork.rootfs import layers
from webui_fork.rootfs.layers import Entry
from webui_fork.series import apply
from webui_fork.sources import release

pytestmark = pytest.mark.minutes(1)

ONE, TWO = b"one\n", b"two\n"
WANTED = {"app/one.py": hashlib.sha256(ONE).hexdigest(), "app/new.py": None}


@pytest.fixture
def registry_of_bases(program: Path, tmp_path: Path) -> Iterator[Registry]:
    with registry(program, tmp_path / "registry") as host, Registry(f"http://{host}", "upstream/x", pause=0) as made:
        yield made


def files(**contents: bytes) -> list[Entry]:
    return [layers.file_entry(f"app/{name}.py", data) for name, data in contents.items()]


def pushed(registry_of_bases: Registry, cache: Path, *stacks: list[list[Entry]], docker: bool = False) -> append.Base:
    names = ("amd64", "arm64")
    images = [image([layer(cache, part) for part in stack], names[i]) for i, stack in enumerate(stacks)]
    root = bases.push(registry_of_bases, "v1", images, cache, docker=docker)
    return append.read(registry_of_bases, root.digest)


def top(cache: Path) -> list[NamedLayer]:
    return [NamedLayer(name, layer(cache, files(**{name: b"patched\n"}))) for name in ("frontend", "patches")]


def test_a_layer_is_put_on_each_platform_and_the_rest_stays(registry_of_bases: Registry, tmp_path: Path) -> None:
    base = pushed(registry_of_bases, tmp_path, [files(zero=b"0"), files(one=ONE)], [files(one=ONE, arm=b"1")])
    assert [platform.name for platform in base.platforms] == ["linux/amd64", "linux/arm64"]
    append.check(registry_of_bases, base, WANTED, lambda line: None)
    result = append.append(
        base, top(tmp_path), {"org.opencontainers.image.title": "ours", "k": "v"}, "2027-01-01T00:00:00Z"
    )
    index = result.root.parsed()
    assert [row["platform"] for row in index["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
    ]
    assert index["annotations"]["k"] == "v"
    for platform, image_, row in zip(base.platforms, result.images, index["manifests"], strict=True):
        assert row["digest"] == image_.digest
        before, after = platform.manifest.parsed(), image_.manifest.parsed()
        assert after["layers"][:-2] == before["layers"]
        read_back = model.image_of(image_.manifest, image_.config).layers
        assert list(read_back[-2:]) == top(tmp_path)
        config = image_.config.parsed()
        assert config["rootfs"]["diff_ids"][:-2] == platform.config.parsed()["rootfs"]["diff_ids"]
        assert config["config"]["Cmd"] == ["true"]
        assert config["config"]["Labels"]["org.opencontainers.image.vendor"] == "upstream"
        assert config["config"]["Labels"]["org.opencontainers.image.title"] == "ours"
        assert len(config["history"]) == len(config["rootfs"]["diff_ids"])
    assert append.append(base, top(tmp_path), {"k": "v"}, "2027") == append.append(
        base, top(tmp_path), {"k": "v"}, "2027"
    )


def test_docker_s_own_media_types_stay_docker_s(registry_of_bases: Registry, tmp_path: Path) -> None:
    base = pushed(registry_of_bases, tmp_path, [files(one=ONE)], [files(one=ONE)], docker=True)
    result = append.append(base, top(tmp_path), {"k": "v"}, "2027-01-01T00:00:00Z")
    assert result.root.media_type == DOCKER_INDEX
    assert "annotations" not in result.root.parsed()
    for image_ in result.images:
        said = image_.manifest.parsed()
        assert image_.manifest.media_type == said["mediaType"] == DOCKER_MANIFEST
        assert {row["mediaType"] for row in said["layers"]} == {append.DOCKER_LAYER}
        assert image_.config.parsed()["config"]["Labels"]["k"] == "v"


def test_an_image_of_one_platform_stays_one(registry_of_bases: Registry, tmp_path: Path) -> None:
    made = image([layer(tmp_path, files(one=ONE))], "amd64")
    transfer.push(registry_of_bases, made, "v1", tmp_path, transfer.quiet)
    base = append.read(registry_of_bases, made.digest)
    assert not base.indexed
    appended = append.append(base, top(tmp_path), {}, "2027-01-01T00:00:00Z")
    assert appended == appended.images[0]


def gone(name: str) -> Entry:
    return layers.whiteout(f"app/{name}.py")


OPAQUE = layers.whiteout("app/.wh..opq")


@pytest.mark.parametrize(
    ("stacks", "words"),
    [
        ([[files(one=ONE)], [files(one=TWO)]], r"linux/arm64[^/]*\) is not of the release"),
        ([[files(one=TWO)], [files(one=ONE)]], r"/app/one.py is another file"),
        ([[files(other=ONE)], [files(one=ONE)]], r"/app/one.py is not there"),
        ([[files(one=ONE), files(one=TWO)], [files(one=ONE)]], r"/app/one.py is another file"),
        ([[files(one=ONE), [gone("one")]], [files(one=ONE)]], r"/app/one.py is not there"),
        ([[files(one=ONE), [OPAQUE]], [files(one=ONE)]], r"/app/one.py is not there"),
        ([[files(one=ONE, new=b"")], [files(one=ONE)]], r"/app/new.py is another file"),
        (
            [[[Entry("app/one.py", tarfile.SYMTYPE, 0o777, link="two.py")]], [files(one=ONE)]],
            r"/app/one.py is another file",
        ),
    ],
)
def test_a_base_of_another_release_is_refused(
    registry_of_bases: Registry, tmp_path: Path, stacks: list[list[list[Entry]]], words: str
) -> None:
    base = pushed(registry_of_bases, tmp_path, *stacks)
    with pytest.raises(ImageError) as caught:
        append.check(registry_of_bases, base, WANTED, lambda line: None)
    assert re.search(words, str(caught.value)), str(caught.value)


def test_what_a_layer_removes_below_it_and_brings_itself_is_its_own(
    registry_of_bases: Registry, tmp_path: Path
) -> None:
    opaque = [files(one=TWO, new=b""), [OPAQUE, *files(one=ONE)]]
    base = pushed(registry_of_bases, tmp_path, opaque, [files(new=b""), [gone("new"), *files(one=ONE)]])
    append.check(registry_of_bases, base, WANTED, lambda line: None)


def test_a_check_that_compares_nothing_is_none(registry_of_bases: Registry, tmp_path: Path) -> None:
    base = pushed(registry_of_bases, tmp_path, [files(one=ONE)])
    with pytest.raises(ImageError, match="The series replaces no file"):
        append.check(registry_of_bases, base, {"app/new.py": None}, lambda line: None)


def test_what_lies_under_a_layer_that_has_the_files_is_not_read(registry_of_bases: Registry, tmp_path: Path) -> None:
    base = pushed(registry_of_bases, tmp_path, [files(big=os.urandom(3 << 20)), files(one=ONE)])
    before = registry_of_bases.received
    append.check(registry_of_bases, base, WANTED, lambda line: None)
    assert registry_of_bases.received - before < 10_000


# --- the real thing: an amd64 image that runs, an arm64 one under emulation


@pytest.fixture(scope="module")
def street(
    real: Settings,
    program: Path,
    inputs: image_inputs.Inputs,
    built: pipeline.Built,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, str]]:
    """A registry with a stand-in for upstream's slim image of two platforms; yields its host and the digest."""
    folder = tmp_path_factory.mktemp("bases")
    cache = folder / "cache"
    (cache / "blobs/sha256").mkdir(parents=True)
    for named in built.image.layers[:2]:
        os.link(layout.blob_path(real.cache, named.layer.digest), layout.blob_path(cache, named.layer.digest))
    front, back = bases.application(real, inputs, built, cache)
    run = built.image.config.parsed()["config"]
    run.pop("Labels")
    amd64 = image([*(named.layer for named in built.image.layers[:2]), front, back], "amd64", run)
    arm64 = image([bases.arm64_python(real, cache, folder), front, back], "arm64", run)
    with registry(program, folder / "registry") as host:
        with Registry(f"http://{host}", "upstream/open-webui") as registry_of_bases:
            root = bases.push(registry_of_bases, f"v{inputs.lock.version}-slim", [amd64, arm64], cache)
        yield host, root.digest


@pytest.fixture(scope="module")
def user(
    street: tuple[str, str],
    real: Settings,
    inputs: image_inputs.Inputs,
    tmp_path_factory: pytest.TempPathFactory,
) -> User:
    """A checkout whose upstream image is the stand-in, pinned by the tool."""
    return prepared(
        User(tmp_path_factory.mktemp("user"), real, warm=True).without_front_end(real), street, real, inputs
    )


def prepared(new_user: User, street: tuple[str, str], real: Settings, inputs: image_inputs.Inputs) -> User:
    """Have a checkout name the stand-in, and a record of tests that passed."""
    file = new_user.root / "images/upstream/image.toml"
    file.write_text(file.read_text().replace("ghcr.io/open-webui", f"{street[0]}/upstream"))
    text = file.read_text()
    rest = [part for part in text.split("[[variant]]")[1:] if 'name = "slim"' not in part]
    for part in rest:  # the stand-in has one
        text = text.replace("[[variant]]" + part.partition("\n\n")[0] + "\n\n", "")
    file.write_text(text)
    code, _, err = new_user.run("lock", "--bases")
    assert code == 0, err
    assert street[1] in (new_user.root / "images/upstream/bases.lock").read_text()
    new_user.commit()
    (new_user.root / "out").mkdir(exist_ok=True)
    own = Settings(new_user.root, new_user.cache, new_user.root, False)
    commit = release.release_commit(real, inputs.lock, Talk())
    _, patches = apply.read_series(new_user.root / "patches")
    tree = apply.apply(git.repository(real), commit, patches, inputs.lock.epoch)
    tested.write(own, PassedImage(Digest.of_hex("0" * 64), tree.head, 1))
    return new_user


def test_a_variant_is_built_without_reading_the_base(user: User, street: tuple[str, str]) -> None:
    code, out, err = user.run("build", "--image", "upstream")
    assert code == 0, err
    assert len(re.findall(r"platform +linux/(amd64|arm64)", out)) == 2
    read = re.search(r"read +([\d.]+) MB of the base", out)
    assert read
    assert float(read.group(1)) < 15


def test_the_front_end_of_the_series_is_put_on_a_base(
    real: Settings, street: tuple[str, str], inputs: image_inputs.Inputs, tmp_path: Path
) -> None:
    whole = prepared(User(tmp_path / "user", real, warm=True), street, real, inputs)
    code, _, err = whole.run("build", "--image", "upstream")
    assert code == 0, err
    image = layout.read_image(whole.root / "out/upstream-slim")
    top = layout.blob_path(whole.root / "out/upstream-slim", image.images[1].layers[-2].layer.digest)
    with tarfile.open(top) as tar:
        names = tar.getnames()
        page = tar.extractfile("app/build/index.html")
        assert page
        chunks = re.findall(rb"_app/immutable/[\w./-]+", page.read())
    assert chunks
    new = {f"app/build/{chunk.decode()}" for chunk in chunks} & set(names)
    assert new  # what the page begins with is of the series
    assert not [name for name in names if name.endswith(".map")]


def test_a_base_that_is_not_pinned_says_so(user: User) -> None:
    file = user.root / "images/upstream/bases.lock"
    kept = file.read_text()
    file.unlink()
    code, _, err = user.run("build", "--image", "upstream")
    file.write_text(kept)
    assert code == 3
    assert "lock -- --bases" in err


def test_it_is_published_verified_and_runs(
    user: User, street: tuple[str, str], client: DockerClient, inputs: image_inputs.Inputs, built: pipeline.Built
) -> None:
    host, _ = street
    target = f"{host}/me/open-webui"
    code, out, err = user.run("publish", target, "--image", "upstream")
    assert code == 0, err
    assert "5 mounted from another repository" in out  # one of the base's six is in both platforms
    fixed = tags.Fixed(inputs.lock.version, revision_of(user), "upstream-slim")
    for tag in (str(fixed), *tags.moving(fixed)):
        assert f"{target}:{tag}" in out
    code, out, err = user.run("verify", f"{target}:latest-upstream-slim")
    assert code == 0, err + out
    assert "made with" in out
    code, out, err = user.run("publish", target, "--image", "upstream")
    assert code == 0, err
    assert "nothing: all of it was there" in out
    code, out, err = user.run("reproduce", f"{target}:latest-upstream-slim")
    assert code == 0, err + out
    assert "Identical." in out
    with throwaway.container(client, pull(client, target, str(fixed)), healthy=START) as running:
        done = running.exec_run(["sh", "-c", "cat /usr/share/doc/webui-fork/patches/series | wc -l; uname -m"])
        assert isinstance(done.output, bytes)
        series = len((user.root / "patches/series").read_text().splitlines())
        assert done.output.decode().split() == [str(series), "x86_64"]


def test_a_difference_is_named_by_layer_file_and_field(user: User, street: tuple[str, str]) -> None:
    """Another version of the tool, on the same inputs, where the commit is not at hand."""
    (user.root / ".git").rename(user.root / "gone")
    file = user.root / "build/webui_fork/image/application.py"
    kept = file.read_text()
    changed = kept.replace('patch.name}", patch.data)', 'patch.name}", patch.data, executable=True)')
    assert changed != kept
    file.write_text(changed)
    name = next((user.root / "patches").glob("*.patch")).name
    code, _, err = user.run("reproduce", f"{street[0]}/me/open-webui:latest-upstream-slim")
    (user.root / "gone").rename(user.root / ".git")
    file.write_text(kept)
    assert code == 21
    assert f"layer patches: /usr/share/doc/webui-fork/patches/{name}: mode: published 0644, rebuilt 0755" in err
    assert err.count("published") == err.count("layer patches: ")  # and in no other layer


def revision_of(user: User) -> int:
    found = re.search(r"^revision = (\d+)$", (user.root / "upstream.lock").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1))


def pull(client: DockerClient, target: str, tag: str) -> str:
    client.images.pull(target, tag=tag)
    return f"{target}:{tag}"


def test_the_arm64_image_starts_under_emulation(
    user: User, street: tuple[str, str], real: Settings, tmp_path: Path, inputs: image_inputs.Inputs
) -> None:
    host, _ = street
    code, _, err = user.run("publish", f"{host}/me/open-webui", "--image", "upstream")
    assert code == 0, err
    with Registry(f"http://{host}", "me/open-webui") as registry_of_bases:
        root = registry_of_bases.manifest("latest-upstream-slim")
        assert root
        row = next(row for row in root.parsed()["manifests"] if row["platform"]["architecture"] == "arm64")
        manifest = registry_of_bases.manifest(row["digest"])
        assert manifest
        config = registry_of_bases.small_blob(model.descriptor(manifest.parsed()["config"]))
        made = model.image_of(manifest, config)
        bases.unpack(registry_of_bases, made, tmp_path)
    paths = [placed for patch in inputs.patches for path in patch.paths if (placed := inputs.spec.place(path))]
    code_ = (
        "import os\n"
        f"for path in {sorted(set(paths))!r}:\n"
        "    if path.endswith('.py'):\n"
        "        compile(open('/' + path).read(), path, 'exec')\n"
        "series = open('/usr/share/doc/webui-fork/patches/series').read().split()\n"
        "print(repr([os.uname().machine, series]))"  # its minimal library has no json
    )
    machine, series = ast.literal_eval(bases.run_arm64(real, tmp_path, code_))
    assert machine == "aarch64"
    assert series == (user.root / "patches/series").read_text().split()


def test_what_another_registry_lacks_is_copied_blob_by_blob(
    user: User, street: tuple[str, str], program: Path, tmp_path: Path
) -> None:
    with registry(program, tmp_path / "other") as other:
        code, out, err = user.run("publish", f"{other}/me/open-webui", "--image", "upstream")
        assert code == 0, err
        sent = re.search(r"sent +(\d+) blobs, [\d.]+ MB; 0 mounted from", out)
        assert sent
        assert int(sent.group(1)) == 5 + 1 + 2  # layers of the base, ours, configurations
        listed = requests.get(f"http://{other}/v2/me/open-webui/tags/list", timeout=10).json()["tags"]
        assert "latest-upstream-slim" in listed
        code, out, err = user.run("verify", f"{other}/me/open-webui:latest-upstream-slim")
        assert code == 0, err + out


def test_a_real_base_of_another_release_is_refused(
    user: User,
    street: tuple[str, str],
    real: Settings,
    inputs: image_inputs.Inputs,
    built: pipeline.Built,
    tmp_path: Path,
) -> None:
    """A base with another package.json, which has the version, and nothing of backend/."""
    host, _ = street
    path = "app/package.json"
    made = image([layer(tmp_path, [layers.file_entry(path, b"# of another release\n")])], "amd64")
    with Registry(f"http://{host}", "upstream/open-webui") as registry_of_bases:
        bases.push(registry_of_bases, f"v{inputs.lock.version}-slim", [made], tmp_path)
    kept = (user.root / "images/upstream/bases.lock").read_text()
    assert user.run("lock", "--bases")[0] == 0
    code, _, err = user.run("build", "--image", "upstream")
    (user.root / "images/upstream/bases.lock").write_text(kept)
    assert code == 9
    assert f"/{path} is another file" in err
