"""The scaled installation of deploy/kubernetes, shown with Docker: what runs, and how, is read from its manifests."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from docker import DockerClient
from docker.models.containers import Container

import throwaway
from containers import BYTECODE, START, Site, quick, url_of
from hosted import program, s3
from webui_fork.core.settings import CHECKOUT, Settings

OVERLAY = CHECKOUT / "deploy/kubernetes/overlays/scaled"
SUBNET, GATEWAY = "10.77.0.0/24", "10.77.0.1"
ADDRESSES = {"a": "10.77.0.11", "b": "10.77.0.12"}
BACKING = {"postgres": "10.77.0.21", "redis": "10.77.0.22", "nginx": "10.77.0.31"}
SECRETS = "/run/secrets/open-webui"
NGINX = CHECKOUT / "tests/assets/nginx.conf"


def rendered(overlay: Path) -> list[dict[str, Any]]:
    """Return the objects of an overlay, as kubectl makes them."""
    done = subprocess.run(
        [str(program("kubectl")), "kustomize", str(overlay)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@dataclass(frozen=True)
class Pod:
    """What the manifests say of a container of the pod: its environment, commands, and Docker's words for the rest."""

    env: dict[str, str]
    args: list[str]
    pre_stop: list[str]
    options: dict[str, Any]


def pod(objects: list[dict[str, Any]], name: str) -> Pod:
    """Read a container of the Deployment: environment, limits, security context; folders that are its own."""
    maps = {item["metadata"]["name"]: item["data"] for item in objects if item["kind"] == "ConfigMap"}
    (deployment,) = (item for item in objects if item["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (container,) = (item for item in [*spec["containers"], *spec.get("initContainers", ())] if item["name"] == name)
    env = {key: value for ref in container["envFrom"] for key, value in maps[ref["configMapRef"]["name"]].items()}
    env |= {item["name"]: item["value"] for item in container["env"]}
    context, security = spec["securityContext"], container["securityContext"]
    empty = {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume}
    mounts = {item["name"]: item["mountPath"] for item in container["volumeMounts"]}
    assert mounts["secrets"] == SECRETS
    options = {
        "user": f"{context['runAsUser']}:{context['runAsGroup']}",
        "read_only": security["readOnlyRootFilesystem"],
        "cap_drop": security["capabilities"]["drop"],
        "security_opt": [] if security["allowPrivilegeEscalation"] else ["no-new-privileges"],
        "tmpfs": {mounts[volume]: "uid=1000,gid=0" for volume in empty},
        "mem_limit": container["resources"]["limits"]["memory"].replace("Gi", "g"),
    }
    hooks = container.get("lifecycle", {})
    pre_stop = hooks["preStop"]["exec"]["command"] if hooks else []
    return Pod(env, container.get("args", []), pre_stop, options)


class Cluster:
    """Two places for replicas, and what they stand on; the front is nginx."""

    def __init__(self, client: DockerClient, network: str, folder: Path, overrides: Mapping[str, str]) -> None:
        self.client = client
        self.network = network
        self.folder = folder
        objects = rendered(OVERLAY)
        self.pod, self.migrate = pod(objects, "open-webui"), pod(objects, "migrate")
        self.overrides = dict(overrides)
        self.running: dict[str, Container] = {}
        self.leaving: set[str] = set()
        self.inits: list[Container] = []
        self.backing: dict[str, Container] = {}

    def at(self, address: str, *names: str) -> dict[str, Any]:
        """Return Docker's words for an address of the network."""
        place = self.client.api.create_endpoint_config(ipv4_address=address, aliases=list(names))
        return {"network": self.network, "networking_config": {self.network: place}}

    def volumes(self, image: str) -> dict[str, dict[str, str]]:
        """Return the mounts of a pod: its secrets, the init container's script, and what makes a start quicker."""
        return {
            **quick(image),
            str(self.folder): {"bind": SECRETS, "mode": "ro"},
            str(OVERLAY / "migrate.py"): {"bind": "/migrate/migrate.py", "mode": "ro"},
        }

    def environment(self, pod: Pod, image_reads_files: bool) -> dict[str, str]:
        """Return a pod's environment; for stock, which does not know NAME_FILE, with what the files hold."""
        env = {**pod.env, **self.overrides, **BYTECODE}
        if image_reads_files:
            return env
        own = {key for key in env if key.endswith("_FILE") and key != "WEBUI_SECRET_KEY_FILE"}
        held = {key.removesuffix("_FILE"): (self.folder / Path(env[key]).name).read_text() for key in own}
        return {**{key: value for key, value in env.items() if key not in own}, **held}

    def init(self, image: str, stock: bool = False) -> Container:
        """Start the init container that migrates the database."""
        init = self.client.containers.run(
            image, self.migrate.args, detach=True, environment=self.environment(self.migrate, not stock),
            volumes=self.volumes(image), network=self.network, **self.migrate.options,
        )  # fmt: skip
        self.inits.append(init)
        return init

    def start(self, place: str, image: str, stock: bool = False) -> None:
        """Migrate, start a replica at a place, and wait until it is ready."""
        done(self.init(image, stock))
        self.running[place] = self.client.containers.run(
            image, detach=True, environment=self.environment(self.pod, not stock), volumes=self.volumes(image),
            **self.at(ADDRESSES[place], place), **self.pod.options,
        )  # fmt: skip
        throwaway.wait_healthy(self.running[place], START)
        self._route(self.leaving - {place})

    def stop(self, place: str, *, kill: bool = False) -> None:
        """End a replica as Kubernetes does (out of the endpoints, preStop, SIGTERM), or at once."""
        gone = self.running.pop(place)
        if not kill:
            self._route(self.leaving | {place})
            assert gone.exec_run(self.pod.pre_stop).exit_code == 0
            gone.stop(timeout=30)
        gone.remove(force=True)

    def _route(self, leaving: set[str]) -> None:
        """Have nginx send nothing new to the places that are leaving, as the endpoints of a Service do."""
        if leaving == self.leaving:
            return
        text = NGINX.read_text()
        for place in leaving:
            text = text.replace(f"server {ADDRESSES[place]}:8080", f"server {ADDRESSES[place]}:8080 down")
        (self.folder.parent / NGINX.name).write_text(text)  # the file that is mounted
        self.backing["nginx"].kill("SIGHUP")
        self.leaving = leaving

    def close(self) -> None:
        """Remove every replica."""
        for place in list(self.running):
            self.stop(place, kill=True)
        for init in self.inits:
            init.remove(force=True)


def done(init: Container) -> None:
    """Wait until an init container has ended well."""
    assert init.wait()["StatusCode"] == 0, init.logs().decode(errors="replace")[-3000:]


@contextmanager
def cluster(client: DockerClient, real: Settings, backing: str, folder: Path) -> Iterator[Cluster]:
    """Run PostgreSQL, Redis, an S3 and nginx for two replicas that a test starts.

    Args:
        backing: the image with the first two and nginx. folder: an empty one, for secrets and uploads.
    """
    with ExitStack() as stack:
        network = stack.enter_context(throwaway.network(client, SUBNET))
        words = {name: secrets.token_hex(16) for name in ("webui_secret_key", "postgres", "s3_secret_access_key")}
        kept = folder / "secrets"
        kept.mkdir()
        database = f"postgresql://webui:{words['postgres']}@{BACKING['postgres']}:5432/postgres"
        values = {**words, "database_url": database, "redis_url": f"redis://{BACKING['redis']}:6379/0"}
        values |= {"s3_access_key_id": "open-webui", "vllm_api_key": "key"}
        for name, value in values.items():
            (kept / name).write_text(value)
        (folder / "s3/open-webui").mkdir(parents=True)
        store = stack.enter_context(s3(real, GATEWAY, folder / "s3", "open-webui", words["s3_secret_access_key"]))
        overrides = {
            "S3_ENDPOINT_URL": f"http://{store.host}:{store.port}",
            "OPENAI_API_BASE_URL": "http://vllm:8000/v1",
        }
        new_cluster = Cluster(client, network, kept, overrides)
        password = {str(kept / "postgres"): {"bind": "/run/secrets/postgres_password", "mode": "ro"}}
        (folder / NGINX.name).write_bytes(NGINX.read_bytes())
        config = {str(folder / NGINX.name): {"bind": "/etc/nginx/webui.conf", "mode": "ro"}}
        for name, options in (
            ("postgres", {"volumes": password}),
            ("redis", {}),
            ("nginx", {"volumes": config, "ports": {"8080/tcp": ("127.0.0.1", None)}}),
        ):
            new_cluster.backing[name] = stack.enter_context(
                throwaway.container(
                    client, backing, healthy=60, command=[name], **new_cluster.at(BACKING[name], name), **options
                )
            )
        stack.callback(new_cluster.close)
        yield new_cluster


def front(made: Cluster) -> str:
    """Return the URL of nginx."""
    return url_of(made.backing["nginx"])


def replica(made: Cluster, site: Site, place: str) -> Site:
    """Return one replica as a signed-in user reaches it past nginx."""
    return replace(site, container=made.running[place], url=f"http://{ADDRESSES[place]}:8080")
