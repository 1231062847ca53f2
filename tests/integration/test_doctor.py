"""The doctor finds each cause, created for real, on the stock image and on ours."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from docker import DockerClient

import picture
import throwaway
from containers import CHROMA, GOOD, PROVIDER, Site, address, slow_names, url_of, wait_for_log, webui
from helpers import Server, Talk, reply
from hosted import gateway, redis, tinyproxy
from integration.conftest import LOADING, VLLM, Street, vllm_options
from sites import Connections, fault
from webui_fork.core.errors import EXIT_DOCTOR_CRITICAL, UsageError
from webui_fork.core.settings import CHECKOUT, Secret, Settings
from webui_fork.doctor import examine, rules
from webui_fork.doctor.findings import Finding, Severity
from webui_fork.oci.engine import Engine

ASSETS = CHECKOUT / "tests/assets"
# a name that is no text takes the whole list in stock
BROKEN = "class Pipe:\n    name = '\\ud83d'\n    def pipes(self):\n        return [{'id': 'a', 'name': 'A'}]\n"

pytestmark = [pytest.mark.alone, pytest.mark.minutes(2)]


@pytest.fixture(scope="module")
def seeing(real: Settings, docker_engine: Engine) -> Settings:
    """Settings of a user whose Docker engine is the one of the tests."""
    return replace(real, environ={**real.environ, "DOCKER_HOST": docker_engine.host})


@pytest.fixture(scope="module")
def blind(real: Settings) -> Settings:
    """Settings of a user without a Docker engine."""
    return replace(real, environ={**real.environ, "DOCKER_HOST": "unix:///nowhere.sock"})


SITES = [pytest.param(name, marks=pytest.mark.group(f"doctor-{name}")) for name in ("stock", "patched")]


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, client: DockerClient, street: Street) -> Iterator[Site]:
    """A site without accounts beside the vLLM; of the stock image, and of ours."""
    with webui(client, request.getfixturevalue(request.param), street.network) as running:
        yield running


@pytest.fixture(scope="module")
def stock_site(client: DockerClient, stock: str, street: Street) -> Iterator[Site]:
    with webui(client, stock, street.network) as running:
        yield running


def diagnose(settings: Settings, site: Site, **options: Any) -> tuple[Finding, ...]:
    request = examine.Request(site.url, token=options.pop("token", Secret(site.token)), **options)
    return rules.diagnose(examine.run(settings, request, Talk()))


def finding_of(findings: tuple[Finding, ...], cause: str) -> Finding:
    """Return the first finding, which has to be this cause, with evidence and a remedy."""
    assert findings, "nothing found"
    assert findings[0].cause == cause, findings
    assert findings[0].evidence
    assert findings[0].fix
    return findings[0]


def test_nothing_is_wrong(site: Site, seeing: Settings, street: Street) -> None:
    site.connect([VLLM])
    assert diagnose(seeing, site) == ()


def test_a_chat(site: Site, seeing: Settings, street: Street) -> None:
    """One answers, and is timed; one lists a name that nobody serves; one hangs up."""
    wrong: Connections = [VLLM, (f"{VLLM}/", {"prefix_id": "wrong", "model_ids": ["nobody"]})]
    site.connect([*wrong, (fault("hang-up"), {"prefix_id": "gone", "model_ids": ["x"]})])
    findings = {item.cause: item for item in diagnose(seeing, site, chat=True)}
    causes = {name for name in findings if name.startswith("chat-")}
    assert causes == {"chat-works", "chat-name", "chat-fails", "chat-empty-tools"}  # the last is of this vLLM itself
    assert f"{street.model} answers" in findings["chat-works"].what
    assert "first token after" in findings["chat-works"].evidence[0]
    assert [findings[f"chat-{name}"].what.split()[0] for name in ("name", "fails")] == ["wrong.nobody", "gone.x"]


CONNECTIONS: dict[str, tuple[str, Connections, str]] = {
    "no-v1": ("base-url-no-v1", ["http://vllm:8000"], "http://vllm:8000/v1"),
    "dns": ("dns", ["http://nowhere:8000/v1"], "nowhere"),
    "refused": ("refused", ["http://vllm:8001/v1"], "nothing listens"),
    "localhost": ("localhost", ["http://localhost:8000/v1"], "own container"),
    "tls": ("tls", ["https://vllm:8000/v1"], "http://vllm:8000/v1"),
    "login": ("wrong-service-login", [fault("status-302-login")], "login"),
    "silent": ("silent", [fault("silent")], "never answers"),
    "shape": ("provider-shape", [fault("list-of-numbers")], '{"data"'),
    "error": ("provider-error", [fault("status-500")], "500"),
    "name": ("model-name", [(VLLM, {"model_ids": ["qwen-typo"]})], "--served-model-name qwen-typo"),
    "url": ("url", ["vllm:8000/v1"], "http://HOST:PORT/v1"),
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_connection(site: Site, seeing: Settings, street: Street, name: str, request: pytest.FixtureRequest) -> None:
    cause, wrong, words = CONNECTIONS[name]
    site.connect(wrong)
    if "patched" in request.node.name and name == "no-v1":  # forgiven, and still said
        assert [(item.cause, item.severity) for item in diagnose(seeing, site)] == [(cause, Severity.INFO)]
        return
    finding = finding_of(diagnose(seeing, site), cause)
    assert words in f"{finding.what} {finding.fix}"


@pytest.mark.parametrize(
    ("cause", "url", "argv"),
    [
        ("wrong-service-ollama", "http://other:11434/f/ollama-like", ["/provider.py", "11434"]),
        ("wrong-service", "http://other:8000/v1", ["-m", "http.server", "8000"]),
    ],
)
def test_another_service(
    client: DockerClient, site: Site, seeing: Settings, street: Street, patched: str, cause: str, url: str,
    argv: list[str],
) -> None:  # fmt: skip
    """What answers is an Ollama, or a web server; the Ollama is one by what it says, not the program."""
    aliases = {street.network: client.api.create_endpoint_config(aliases=["other"])}
    files = {"/provider.py": PROVIDER.read_bytes()}
    with throwaway.container(
        client, patched, entrypoint=["python3", *argv], command=[], user="0", files=files,
        network=street.network, networking_config=aliases, stop_signal="SIGKILL",
    ) as running:  # fmt: skip
        time.sleep(1)
        running.reload()
        site.connect([url])
        finding_of(diagnose(seeing, site), cause)


def test_a_slash_too_many(stock_site: Site, seeing: Settings) -> None:
    stock_site.connect([VLLM + "/"])
    assert VLLM in finding_of(diagnose(seeing, stock_site), "base-url-slash").fix


def test_an_ollama_that_is_not_there(site: Site, seeing: Settings) -> None:
    site.connect([VLLM], ["http://host.docker.internal:11434"])
    findings = diagnose(seeing, site)
    assert [item.cause for item in findings if item.severity is not Severity.INFO] == ["ollama-absent"]


def test_a_vllm_where_an_ollama_should_be(site: Site, seeing: Settings) -> None:
    site.connect([VLLM], ["http://vllm:8000"])
    assert "OpenAI API" in finding_of(diagnose(seeing, site), "wrong-service-ollama-slot").fix


def test_no_way_there(site: Site, seeing: Settings, street: Street, client: DockerClient) -> None:
    (config,) = client.networks.get(street.network).attrs["IPAM"]["Config"]
    nobody = str(ipaddress.ip_network(config["Subnet"])[-2])
    site.connect([f"http://{nobody}:8000/v1"])
    finding_of(diagnose(seeing, site), "unreachable")


def test_everything_is_switched_off(site: Site, seeing: Settings) -> None:
    site.connect()
    finding_of(diagnose(seeing, site), "api-disabled")


def test_no_connection_is_set_up(site: Site, seeing: Settings) -> None:
    form: dict[str, Any] = {"ENABLE_OPENAI_API": True, "OPENAI_API_BASE_URLS": [], "OPENAI_API_KEYS": []}
    site.call("POST", "/openai/config/update", json={**form, "OPENAI_API_CONFIGS": {}}).raise_for_status()
    finding_of(diagnose(seeing, site), "no-connection")


def test_a_vllm_that_loads_and_then_wants_a_key(
    client: DockerClient, site: Site, seeing: Settings, street: Street, vllm_image: str, request: pytest.FixtureRequest
) -> None:
    """It was started without the flags for tools, too, as many are."""
    command = [*client.images.get(vllm_image).attrs["Config"]["Cmd"], "--api-key", "right"]
    command.remove("--enable-auto-tool-choice")
    options = {**vllm_options(vllm_image), "network": street.network, "command": command}
    del options["healthcheck"]  # the doctor asks for its verdict
    with throwaway.container(client, vllm_image, **options) as loading:
        site.connect([f"http://{loading.name}:8000/v1"])
        wait_for_log(loading, "INFO")
        finding = finding_of(diagnose(seeing, site), "vllm-loading")
        assert str(loading.name) in finding.fix
        if "stock" not in request.node.name:
            return
        throwaway.wait_healthy(loading, LOADING)
        assert "--api-key" in finding_of(diagnose(seeing, site), "api-key").fix
        site.connect([(f"http://{loading.name}:8000/v1", {"model_ids": [street.model]})], keys=["wrong"])
        assert "chat-key" in [item.cause for item in diagnose(seeing, site, chat=True)]
        site.connect([f"http://{loading.name}:8000/v1"], keys=["right"])
        finding = finding_of(diagnose(seeing, site, chat=True), "chat-tools")
        assert "--enable-auto-tool-choice --tool-call-parser" in finding.fix


def test_a_container_that_does_not_run(
    client: DockerClient, stock_site: Site, seeing: Settings, street: Street, stock: str
) -> None:
    with throwaway.container(client, stock, entrypoint=["false"], network=street.network) as gone:
        gone.wait()
        stock_site.connect([f"http://{gone.name}:8000/v1"])
        assert f"docker logs {gone.name}" in finding_of(diagnose(seeing, stock_site), "provider-stopped").fix


def test_a_certificate_that_nobody_trusts(
    client: DockerClient, site: Site, seeing: Settings, street: Street, patched: str
) -> None:
    cert = trustme.CA().issue_cert("secure")
    files = {
        "/cert.pem": cert.private_key_and_cert_chain_pem.bytes(),
        "/tls_server.py": (ASSETS / "tls_server.py").read_bytes(),
    }
    aliases = {street.network: client.api.create_endpoint_config(aliases=["secure"])}
    with throwaway.container(
        client, patched, entrypoint=["python3", "/tls_server.py"], command=[], user="0", files=files,
        network=street.network, networking_config=aliases,
    ) as running:  # fmt: skip
        wait_for_log(running, "ready")
        site.connect(["https://secure:8443/v1"])
        assert "SSL_CERT_FILE" in finding_of(diagnose(seeing, site), "tls-certificate").fix


@pytest.mark.parametrize("image", ["stock", "patched"])
def test_a_proxy_in_between(
    client: DockerClient, seeing: Settings, blind: Settings, street: Street, real: Settings, image: str,
    tmp_path: Path, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """The Docker client puts its proxy into every container; stock then asks it for http://vllm:8000."""
    with tinyproxy(real, gateway(client, street.network), tmp_path) as proxy:
        url = f"http://{proxy.host}:{proxy.port}"
        env = {"HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": "10.0.0.0/8,172.16.0.0/12,*.local"}
        with webui(client, request.getfixturevalue(image), street.network, env=env) as site:
            site.connect([VLLM])
            if image == "patched":
                assert diagnose(seeing, site) == ()
                return
            finding = finding_of(diagnose(seeing, site), "proxy")
            assert "NO_PROXY=vllm,localhost,127.0.0.1" in finding.fix
            drawn = picture.of_doctor(seeing, site, {f"{proxy.host}:{proxy.port}": "10.0.0.1:3128"})
            assert picture.words(CHECKOUT / "docs/doctor.svg") == picture.words(drawn), f"copy {drawn} to docs/"
            # without a view from the inside, the proxy's own words give it away
            assert "NO_PROXY=vllm" in finding_of(diagnose(blind, site), "proxy").fix


def test_the_entry_that_was_advised_works_in_stock(
    client: DockerClient, seeing: Settings, street: Street, real: Settings, stock: str, tmp_path: Path
) -> None:
    with tinyproxy(real, gateway(client, street.network), tmp_path) as proxy:
        url, direct = f"http://{proxy.host}:{proxy.port}", "vllm,localhost,127.0.0.1"
        env = {"HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": direct, "no_proxy": direct}
        with webui(client, stock, street.network, env=env) as site:
            site.connect([VLLM])
            assert diagnose(seeing, site) == ()


def test_a_name_that_resolves_slowly(client: DockerClient, seeing: Settings, street: Street, stock: str) -> None:
    target = address(street.vllm, street.network)
    with (
        slow_names(client, stock, street.network, target) as server,
        webui(client, stock, street.network, dns=[server]) as site,
    ):
        site.connect(["http://vllm.example.com:8000/v1"])
        findings = diagnose(seeing, site)
        assert "dns-slow" in [item.cause for item in findings]
        assert findings[0].severity is Severity.WARNING


def test_a_function_that_fails(
    client: DockerClient, seeing: Settings, street: Street, stock: str, patched: str
) -> None:
    raises = "class Pipe:\n    def pipes(self):\n        raise RuntimeError('away')\n"
    for image, code, severity in (
        (stock, BROKEN, Severity.CRITICAL),
        (stock, raises, Severity.WARNING),
        (patched, raises, Severity.WARNING),
    ):
        with webui(client, image, street.network) as site:
            site.connect([VLLM])
            site.function("broken", code)
            finding = finding_of(diagnose(seeing, site), "function-fails")
            assert (finding.severity, "broken" in finding.fix) == (severity, True)


def test_documents_of_a_standard_image(client: DockerClient, seeing: Settings, street: Street, stock: str) -> None:
    with webui(client, stock, street.network, env={"OPENAI_API_BASE_URL": "http://new:8000/v1/"}) as site:
        site.connect([VLLM])
        assert f" UTC: {VLLM}" in finding_of(diagnose(seeing, site), "stored-wins").evidence[0]
        site.python(CHROMA.read_text())
        finding = finding_of(diagnose(seeing, site), "documents-slim")
        assert finding.evidence == ("documents: 12 collections in /app/backend/data/vector_db, this is slim",)


@pytest.mark.parametrize("image", ["stock", "patched"])
def test_redis_goes_away(
    client: DockerClient, seeing: Settings, street: Street, real: Settings, image: str, request: pytest.FixtureRequest
) -> None:
    with redis(real, gateway(client, street.network)) as running:
        url = f"redis://{running.host}:{running.port}/0"
        with webui(client, request.getfixturevalue(image), street.network, env={"REDIS_URL": url}) as site:
            site.connect([VLLM])
            running.child.kill()
            running.child.wait()
            assert str(running.port) in finding_of(diagnose(seeing, site), "redis").what


def test_access_control_hides_the_model(client: DockerClient, seeing: Settings, street: Street, stock: str) -> None:
    with webui(client, stock, street.network, auth=True, env={"ENABLE_API_KEYS": "True"}) as admin:
        admin.connect([VLLM])
        key = admin.call("POST", "/api/v1/auths/api_key").json()["api_key"]
        admin.connect(["http://nowhere:8000/v1"])
        finding_of(diagnose(seeing, admin, token=Secret(key)), "dns")
        admin.connect([VLLM])
        assert diagnose(seeing, admin) == ()  # nobody is there to miss it
        user = admin.signed_up("reader")
        assert user.models().ids == []
        assert street.model in finding_of(diagnose(seeing, admin), "access-hidden").what
        assert "Public" in finding_of(diagnose(seeing, admin), "access-hidden").fix
        grant = {"principal_type": "user", "principal_id": "*", "permission": "read"}
        form = {"id": street.model, "name": "Shared", "meta": {}, "params": {}, "access_grants": [grant]}
        admin.call("POST", "/api/v1/models/create", json=form).raise_for_status()
        assert diagnose(seeing, admin) == ()
        form |= {"id": "mine", "name": "Mine", "base_model_id": "gone"}
        admin.call("POST", "/api/v1/models/create", json=form).raise_for_status()
        assert "'gone'" in finding_of(diagnose(seeing, admin), "base-model").what
        finding_of(diagnose(seeing, admin, token=Secret("wrong")), "token")
        finding_of(diagnose(seeing, admin, token=Secret(user.token)), "not-admin")
        assert diagnose(seeing, admin, token=None) == ()


def test_an_image_that_is_starting(client: DockerClient, seeing: Settings, stock: str) -> None:
    ports = {"8080/tcp": ("127.0.0.1", None)}
    with throwaway.container(client, stock, ports=ports) as starting:
        request = examine.Request(url_of(starting))
        finding_of(rules.diagnose(examine.run(seeing, request, Talk())), "webui-not-up")


def test_the_vllm_itself(
    client: DockerClient, stock_site: Site, seeing: Settings, vllm_image: str, server: Server, street: Street
) -> None:
    stock_site.connect([VLLM])
    url = f"http://{address(street.vllm, street.network)}:8000"
    assert diagnose(seeing, stock_site, vllm=url) == ()
    finding_of(diagnose(seeing, stock_site, vllm="http://127.0.0.1:9"), "vllm-unreachable")
    server.answer = lambda handler: reply(handler, 200, b"<html></html>", Content_Type="text/html")
    finding_of(diagnose(seeing, stock_site, vllm=server.url), "vllm-other")
    server.answer = lambda handler: reply(handler, 200, b'{"data": [{"id": "elsewhere"}]}')
    finding_of(diagnose(seeing, stock_site, vllm=server.url), "vllm-not-listed")
    server.answer = lambda handler: reply(handler, 401, b"{}")
    finding_of(diagnose(seeing, stock_site, vllm=server.url, vllm_key=Secret("no")), "vllm-key")


def test_a_container_by_name(seeing: Settings, stock_site: Site) -> None:
    assert diagnose(seeing, stock_site, container=str(stock_site.container.name)) == diagnose(seeing, stock_site)
    with pytest.raises(UsageError, match="no container"):
        diagnose(seeing, stock_site, container="nobody")


def test_from_the_command_line(seeing: Settings, stock_site: Site, tmp_path: Path) -> None:
    stock_site.connect([fault("silent")])
    token = tmp_path / "token"
    token.write_text(stock_site.token)
    argv = [sys.executable, "-m", "webui_fork", "doctor", "--webui", stock_site.url, "--token-file", str(token)]
    env = {**os.environ, "DOCKER_HOST": seeing.environ["DOCKER_HOST"], "PYTHONPATH": str(CHECKOUT / "build")}
    done = subprocess.run([*argv, "--json"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_DOCTOR_CRITICAL, done.stderr
    document = json.loads(done.stdout)
    assert document["findings"][0]["cause"] == "silent"
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert "critical: OpenAI connection 1" in done.stdout
    argv += ["--watch", "1"]
    watched = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert watched.stderr
    assert "silent" in watched.stderr.readline()
    assert stock_site.token not in done.stdout + done.stderr
    stock_site.connect([GOOD])
    _, errors = watched.communicate(timeout=120)
    assert (watched.returncode, "all is well" in errors) == (0, True)


def test_without_docker_it_says_what_it_did_not_see(blind: Settings, stock_site: Site, client: DockerClient) -> None:
    stock_site.connect(["http://vllm:8001/v1"])
    request = examine.Request(stock_site.url, token=Secret(stock_site.token))
    facts = examine.run(blind, request, Talk())
    assert any("from inside" in line for line in facts.unchecked)
    assert rules.diagnose(facts)[0].severity is Severity.CRITICAL
