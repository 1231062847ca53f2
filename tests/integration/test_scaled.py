"""Two replicas on PostgreSQL, Redis and S3 behind nginx, as deploy/kubernetes has them: what survives what."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container
from playwright.sync_api import Page

import scaled
import shared
import throwaway
from browsing import said, say
from containers import Site
from integration.conftest import Street
from scaled import Cluster
from sites import ADMIN
from streaming import first_token, tokens
from webui_fork.core.settings import CHECKOUT, Settings
from webui_fork.core.terminal import Terminal
from webui_fork.doctor import examine, rules
from webui_fork.image import standalone
from webui_fork.oci import engine

TABLES = ("user", "auth", "chat", "function", "config", "model", "file", "access_grant")

pytestmark = pytest.mark.minutes(6)


@pytest.fixture(scope="module")
def backing(real: Settings, client: DockerClient) -> str:
    """The image with PostgreSQL, Redis and nginx, built of images/backing/."""
    variant = standalone.build(real, "backing", Terminal(), locked=True)
    name = shared.image_name(f"backing-{variant.tag}")
    engine.load(client, variant.image, real.cache, name)
    return name


@pytest.fixture(scope="module")
def cluster(
    client: DockerClient, real: Settings, backing: str, street: Street, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with scaled.cluster(client, real, backing, tmp_path_factory.mktemp("cluster")) as new_cluster:
        network = client.networks.get(new_cluster.network)
        network.connect(street.vllm, aliases=["vllm"])
        yield new_cluster
        network.disconnect(street.vllm, force=True)


@pytest.fixture(scope="module")
def replicas(cluster: Cluster, patched: str) -> Cluster:
    """Both places with the patched image; the database is migrated by both at once, from nothing."""
    racing = [cluster.init(patched) for _ in range(2)]
    for init in racing:
        scaled.done(init)
    for place in scaled.ADDRESSES:
        cluster.start(place, patched)
    return cluster


@pytest.fixture(scope="module")
def admin(replicas: Cluster) -> Site:
    """The admin, through nginx, with some of everything in the database."""
    url = scaled.front(replicas)
    form = {"name": "Admin", "email": ADMIN, "password": "correct horse"}
    answer = requests.post(f"{url}/api/v1/auths/signup", json=form, timeout=30)
    answer.raise_for_status()
    site = Site(container=replicas.running["a"], url=url, token=answer.json()["token"], password=form["password"])
    site.signed_up("reader")
    pipe = "class Pipe:\n    def pipes(self):\n        return [{'id': 'one', 'name': 'One'}]\n"
    site.function("kept", pipe)
    chat = {"chat": {"title": "Kept", "history": {"messages": {}}, "models": ["tiny"]}}
    site.call("POST", "/api/v1/chats/new", json=chat).raise_for_status()
    return site


def digests(cluster: Cluster) -> dict[str, str]:
    """Return count and digest of each table's rows, as PostgreSQL itself tells."""
    # what the server itself touches as time goes by
    rows = "to_jsonb(t) - 'updated_at' - 'last_active_at'"
    told = {}
    for table in TABLES:
        query = f"SELECT count(*) || ' ' || md5(coalesce(string_agg(({rows})::text, '' ORDER BY t::text), '')) FROM \"{table}\" t"  # noqa: E501
        password = (cluster.folder / "postgres").read_text()
        argv = ["psql", "-h", "127.0.0.1", "-U", "webui", "-d", "postgres", "-Atc", query]
        told[table] = _output(cluster.backing["postgres"], argv, {"PGPASSWORD": password})
    return told


def _output(container: Container, argv: list[str], environment: dict[str, str]) -> str:
    """Return what a query prints, which is never nothing; a busy Docker sometimes loses what a program printed."""
    text = ""
    for _ in range(5):
        done = container.exec_run(argv, environment=environment)
        assert isinstance(done.output, bytes)
        assert done.exit_code == 0, done.output
        if text := done.output.decode().strip():
            break
    return text


class Poller:
    """Asks for the model list again and again, and counts the answers; a new chat in between."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lists: Counter[str] = Counter()
        self.chats: Counter[str] = Counter()
        self.slowest = 0.0
        self._end = threading.Event()
        self._workers = [threading.Thread(target=self._list), threading.Thread(target=self._chat)]

    def __enter__(self) -> Poller:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        for worker in self._workers:
            worker.join()

    def _list(self) -> None:
        while not self._end.wait(0.3):
            try:
                found = self.site.models()
                self.lists["good" if found.status == 200 and "tiny" in found.ids else str(found.status)] += 1
                self.slowest = max(self.slowest, found.seconds)
            except requests.RequestException as error:
                self.lists[type(error).__name__] += 1

    def _chat(self) -> None:
        while not self._end.wait(1):
            try:
                list(tokens(self.site, "tiny"))  # to the stream's own end
                self.chats["good"] += 1
            except (requests.RequestException, AssertionError) as error:
                self.chats[f"{type(error).__name__}: {error}"[:200]] += 1

    def good(self) -> dict[str, Any]:
        """Assert that every list and chat was good; return the figures."""
        assert self.lists.total() > 5
        assert set(self.lists) == {"good"}, self.lists
        assert set(self.chats) == {"good"}, self.chats
        return {"lists": self.lists.total(), "chats": self.chats.total(), "slowest list, s": round(self.slowest, 2)}


@pytest.fixture(scope="module")
def table() -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Collect the fault table; it goes to out/scaled.json."""
    rows: dict[str, dict[str, Any]] = {}
    yield rows.__setitem__
    (CHECKOUT / "out/scaled.json").write_text(json.dumps(rows, indent=1) + "\n")


Note = Callable[[str, dict[str, Any]], None]


def test_each_replica_knows_what_the_other_was_told(replicas: Cluster, admin: Site) -> None:
    for place in scaled.ADDRESSES:
        site = scaled.replica(replicas, admin, place)
        assert {"tiny", "kept.one"} <= set(site.models().ids)
        assert [chat["title"] for chat in site.call("GET", "/api/v1/chats/").json()] == ["Kept"]
        assert first_token(site, "tiny")
    assert scaled.replica(replicas, admin, "a").call("GET", "/ready").status_code == 200


def test_an_upload_goes_to_the_object_storage(replicas: Cluster, admin: Site) -> None:
    one, other = (scaled.replica(replicas, admin, place) for place in scaled.ADDRESSES)
    sent = one.call("POST", "/api/v1/files/?process=false", files={"file": ("note.txt", b"kept in S3")})
    sent.raise_for_status()
    assert other.call("GET", f"/api/v1/files/{sent.json()['id']}/content").content == b"kept in S3"
    stored = [file for file in (replicas.folder.parent / "s3").rglob("*") if file.is_file()]
    assert [file.read_bytes() for file in stored] == [b"kept in S3"]


def test_sessions_and_models_are_shared_by_redis(replicas: Cluster, admin: Site) -> None:
    admin.models()
    done = replicas.backing["redis"].exec_run(["redis-cli", "keys", "*"])
    assert isinstance(done.output, bytes)
    keys = done.output.decode()
    assert "open-webui:models" in keys
    assert "open-webui" in keys


def test_a_browser_chats_through_nginx(replicas: Cluster, admin: Site, page: Page) -> None:
    say(page, admin, "tiny")
    page.screenshot(path=str(CHECKOUT / "out/scaled.png"))
    deadline = time.monotonic() + 60
    while not said(admin):  # what is seen may be an error; what was said is saved when it is complete
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_the_loss_of_a_replica(replicas: Cluster, admin: Site, patched: str, table: Note) -> None:
    other = scaled.replica(replicas, admin, "b")
    with Poller(admin) as poller:
        time.sleep(2)
        running = tokens(other, "tiny", 64)
        next(running)
        replicas.stop("a", kill=True)
        assert len(list(running)) > 1  # a chat on the other one goes on
        time.sleep(5)
        replicas.start("a", patched)
        time.sleep(2)
    # a chat that was streaming from the lost one is cut; the next is answered by the other
    cut = sum(count for words, count in poller.chats.items() if words != "good")
    assert cut <= 1, poller.chats
    poller.chats = Counter({"good": poller.chats["good"]})
    table("a replica is killed", {**poller.good(), "chats cut": cut})


@contextmanager
def _gone(container: Container) -> Iterator[None]:
    container.stop(timeout=1)
    try:
        yield
    finally:
        container.start()


@pytest.mark.parametrize("how", ["frozen", "gone"])
def test_redis_is_away_for_ten_seconds(replicas: Cluster, admin: Site, how: str, table: Note) -> None:
    redis = replicas.backing["redis"]
    with Poller(admin) as poller:
        time.sleep(1)
        with throwaway.frozen(redis) if how == "frozen" else _gone(redis):
            time.sleep(10)
        time.sleep(3)
    # upstream looks a model up twice for a chat: when Redis comes back empty in between, that chat is refused
    lost = poller.chats.pop("""AssertionError: {"detail":"'tiny'"}""", 0)
    assert lost <= (how == "gone"), poller.chats
    table(f"Redis is {how} for 10 s", {**poller.good(), "chats refused": lost})
    assert scaled.replica(replicas, admin, "a").call("GET", "/health/db").status_code == 200


def test_the_database_is_away(replicas: Cluster, admin: Site, real: Settings, docker_engine: engine.Engine) -> None:
    """A replica says that it is not ready, lives on, and the doctor names the cause."""
    replicas.backing["postgres"].stop(timeout=5)
    try:
        one = scaled.replica(replicas, admin, "a")
        with suppress(requests.Timeout):  # a probe waits no longer, either
            assert one.call("GET", "/health/db", timeout=5).status_code >= 500
        assert one.call("GET", "/health").status_code == 200
        seeing = replace(real, environ={**real.environ, "DOCKER_HOST": docker_engine.host})
        facts = examine.run(seeing, examine.Request(one.url), Terminal())
        assert [finding.cause for finding in rules.diagnose(facts)][:1] == ["database"]
    finally:
        replicas.backing["postgres"].start()
    deadline = time.monotonic() + 60
    while admin.call("GET", "/api/models").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_rolling_update_from_stock_to_patched_and_back(
    replicas: Cluster, admin: Site, stock: str, patched: str, table: Note
) -> None:
    def roll(image: str) -> None:
        for place in scaled.ADDRESSES:
            replicas.stop(place)
            replicas.start(place, image, stock=image == stock)

    roll(stock)
    before = digests(replicas)
    assert int(before["chat"].split()[0]) >= 1
    for name, image in (("stock to patched", patched), ("patched to stock", stock)):
        with Poller(admin) as poller:
            roll(image)
        # the stop is graceful: nothing new comes for 5 s, and streams end within the 3 s they get after it
        table(f"rolling update, {name}", poller.good())
        assert digests(replicas) == before
    for place in scaled.ADDRESSES:
        assert "kept.one" in scaled.replica(replicas, admin, place).models().ids
