"""What stands in deploy/ agrees with the program: ports, sizes, paths, times, names."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from core.processes import ROOT
from core.serve import LONGEST_HEADER

DEPLOY = ROOT / "deploy"
SERVER = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["server"]
HOME = "/var/lib/genecanvas"


def steps() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def given(word: str) -> list[str]:
    return [rest for name, rest in steps() if name == word]


def constant(path: str, name: str) -> int:
    """A number of a module that needs Streamlit, read without it."""
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            names = [target.id for target in node.targets[0].elts]
            if name in names:
                return ast.literal_eval(node.value.elts[names.index(name)])
    raise KeyError(name)


def nginx() -> str:
    return re.sub(r"#.*", "", (DEPLOY / "nginx/genecanvas.conf").read_text())


def setting(name: str, text: str) -> list[str]:
    return re.findall(rf"^\s*{name} ([^;{{}}]+);", text, re.M)


def location(path: str) -> str:
    return re.search(rf"location [=^~ ]*{re.escape(path)} \{{(.*?)\n    \}}", nginx(), re.S).group(
        1
    )


def unit(name: str) -> dict[str, list[str]]:
    """Settings of a unit's sections; a name may stand there several times."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_container_starts_the_app_as_nobody_in_particular() -> None:
    user = given("USER")[-1].split(":")[0]
    assert int(user) > 0
    assert any(f"--uid {user}" in rest and HOME in rest for rest in given("RUN"))
    assert given("CMD") == ['["genecanvas", "app"]']
    assert given("EXPOSE") == [str(SERVER["port"])]
    assert given("VOLUME") == [f'["{HOME}"]']
    assert f"GENECANVAS_HOME={HOME}" in given("ENV")[0]
    assert [word for word, _ in steps()].index("USER") > max(
        number for number, (word, _) in enumerate(steps()) if word in ("RUN", "COPY")
    )


def test_the_container_holds_what_the_app_reads_and_nothing_that_tests() -> None:
    copied = {name for rest in given("COPY") for name in rest.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    used = {path.name for path in ROOT.iterdir() if path.suffix == ".py"}
    used |= {"core", "ui", "pages", "assets", "docs", ".streamlit", "benchmarks/results"}
    assert used <= copied
    assert "tests" not in copied
    assert not re.search(r"https?://(?!127\.0\.0\.1)", (DEPLOY / "Containerfile").read_text())


def test_whoever_asks_for_health_asks_where_it_is() -> None:
    port, path = re.search(r"127\.0\.0\.1:(\d+)(/\w+)'", given("HEALTHCHECK")[0]).groups()
    assert int(port) == SERVER["port"]
    assert f'Route("{path}"' in (ROOT / "app.py").read_text()
    assert "127.0.0.1" in hosts()


def settings() -> str:
    return (DEPLOY / "genecanvas.env").read_text()


def hosts() -> list[str]:
    names = re.search(r"^STREAMLIT_SERVER_ALLOWED_HOSTS=(.*)$", settings(), re.M)
    return names.group(1).split()


def test_behind_nginx_nobody_gets_in_who_has_not_signed_in() -> None:
    """The app listens on 127.0.0.1, where it would start without a sign-in."""
    assert re.search(r"^GENECANVAS_SIGN_IN=(openid|header)$", settings(), re.M)


def test_settings_are_those_that_the_program_reads() -> None:
    names = re.findall(r"^#?(GENECANVAS_\w+)=", settings(), re.M)
    sources = "".join(
        path.read_text() for room in ("core", "ui") for path in (ROOT / room).rglob("*.py")
    )
    assert len(names) > 2
    for name in names:
        assert f'"{name}"' in sources, name


def test_containers_have_no_rights_and_limits() -> None:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    app, proxy = document["services"]["app"], document["services"]["proxy"]
    for service in (app, proxy):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
    assert f"home:{HOME}" in app["volumes"]
    assert "spool:/tmp" in app["volumes"]
    assert proxy["network_mode"] == "service:app"
    assert proxy["user"] != "0"
    assert not any(str(SERVER["port"]) in port for port in app["ports"])
    for volume in proxy["volumes"]:
        assert volume.endswith(":ro")
    assert "./secrets.toml:/opt/genecanvas/.streamlit/secrets.toml:ro" in app["volumes"]
    files = [volume.split(":")[0] for volume in proxy["volumes"] if "tls" not in volume]
    assert all((DEPLOY / name).exists() for name in [*files, app["env_file"]])
    gpu = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())
    assert gpu["services"].keys() <= document["services"].keys()


STRING = r"\S.*"
COMPOSE = {
    "name": r"[a-z0-9][a-z0-9_-]*",
    "services.*.image": r"[a-z0-9./-]+(:[\w.-]+)?",
    "services.*.build.context": STRING,
    "services.*.build.dockerfile": STRING,
    "services.*.build.args.*": STRING,
    "services.*.env_file": STRING,
    "services.*.ports": r"\d+:\d+(/(tcp|udp))?",
    "services.*.sysctls.*": r"\d+",
    "services.*.volumes": r"[\w./-]+:/[\w./-]+(:r[ow])?",
    "services.*.tmpfs": r"/\S+",
    "services.*.init": "True|False",
    "services.*.read_only": "True|False",
    "services.*.cap_drop": r"ALL|[A-Z_]+",
    "services.*.security_opt": r"[\w-]+:\w+",
    "services.*.mem_limit": r"[1-9]\d*[kmg]b?",
    "services.*.pids_limit": r"[1-9]\d*",
    "services.*.stop_grace_period": r"(\d+(h|m|s|ms|us))+",
    "services.*.restart": r"no|always|on-failure(:\d+)?|unless-stopped",
    "services.*.user": r"\d+(:\d+)?",
    "services.*.network_mode": r"none|host|bridge|service:\S+|container:\S+",
    "services.*.depends_on.*.condition": r"service_(started|healthy|completed_successfully)",
    "services.*.deploy.resources.reservations.devices.driver": STRING,
    "services.*.deploy.resources.reservations.devices.count": r"all|\d+",
    "services.*.deploy.resources.reservations.devices.capabilities": STRING,
    "volumes.*": "None",
}
"""Of the Compose specification what our files use: where a value stands, and what it may be."""


def values(document: object, place: str = "") -> Iterator[tuple[str, str]]:
    """All values of a document, each with its place; a list's stand at the place of the list."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from values(value, f"{place}.{key}" if place else key)
    elif isinstance(document, list):
        for value in document:
            yield from values(value, place)
    else:
        yield place, str(document)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_knows_every_key_and_takes_every_value(name: str) -> None:
    document = yaml.safe_load((DEPLOY / name).read_text())
    forms = {
        # a name that is ours has no dot, but for the last of a place, such as that of a sysctl
        place: re.escape(place).replace(r"\*\.", r"[\w-]+\.").replace(r"\*", r"[\w.-]+")
        for place in COMPOSE
    }
    for place, value in values(document):
        [known] = [one for one, form in forms.items() if re.fullmatch(form, place)] or [None]
        assert known, f"the specification has no {place}"
        assert re.fullmatch(COMPOSE[known], value), f"{place}: {value}"
    volumes = document.get("volumes", {})
    for service in document["services"].values():
        named = [one.split(":")[0] for one in service.get("volumes", [])]
        assert {one for one in named if not one.startswith((".", "/"))} <= volumes.keys()
        assert service.get("depends_on", {}).keys() <= document["services"].keys()


def find_tool(name: str) -> str | None:
    """A program of this environment, else of the computer."""
    return shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)


@pytest.mark.skipif(not find_tool("hadolint"), reason="there is no hadolint here")
def test_a_linter_has_nothing_to_say_of_the_container() -> None:
    command = [find_tool("hadolint"), "--no-color", DEPLOY / "Containerfile"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_nginx_lets_through_what_the_app_takes() -> None:
    text, uploads = nginx(), location("/_stcore/upload_file/")
    assert setting("server", text) == [f"127.0.0.1:{SERVER['port']}"]
    assert setting("client_max_body_size", uploads) == [f"{SERVER['maxUploadSize']}m"]
    size = re.fullmatch(r"4 (\d+)k", setting("large_client_header_buffers", text)[0]).group(1)
    assert int(size) << 10 == LONGEST_HEADER
    rate = re.search(r"zone=genecanvas_uploads:\S+ rate=(\d+)r/s", text).group(1)
    burst = re.search(r"zone=genecanvas_uploads burst=(\d+)", uploads).group(1)
    assert int(rate) >= 2 * constant("ui/limits.py", "FILES_A_SECOND")  # the app says why
    assert int(burst) >= 2 * constant("ui/limits.py", "FILES")
    assert set(setting("server_name", text)) <= set(hosts())


def test_nginx_says_who_asks_and_nobody_else_can() -> None:
    text = nginx()
    said = dict(value.split(maxsplit=1) for value in setting("proxy_set_header", text))
    assert said["Host"] == "$host"
    assert said["Upgrade"] == "$http_upgrade"
    assert said["X-Forwarded-For"] == "$remote_addr"  # not what the browser sent and more
    assert said["X-Forwarded-Proto"] == "$scheme"
    assert said["X-Forwarded-Host"] == said["Forwarded"] == '""'
    for line in re.findall(r"location .*?\n    \}", text, re.S):
        assert "proxy_set_header" not in line  # one there would drop all those above
    header = re.search(r"GENECANVAS_TRUSTED_HEADER=(\S+)", settings()).group(1)
    assert said[header] == '""'  # unless somebody writes there who it is
    for path in ("/metrics", "/_stcore/metrics"):
        assert "return 404" in location(path)
    ping = 30  # Streamlit's, seconds
    assert int(setting("proxy_read_timeout", text)[0].rstrip("s")) > 2 * ping
    assert setting("ssl_protocols", text) == ["TLSv1.2 TLSv1.3"]
    assert "$request_uri" not in text[text.index("log_format") : text.index("limit_req_zone")]


@pytest.mark.skipif(not shutil.which("nginx"), reason="there is no nginx here")
def test_nginx_reads_both_files(tmp_path: Path) -> None:
    name = "lab.example.org"
    (tmp_path / "tls").mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
         "-keyout", "tls/privkey.pem", "-out", "tls/fullchain.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    for file in ("nginx.conf", "genecanvas.conf"):
        text = (DEPLOY / "nginx" / file).read_text()
        for here, there in (
            ("/etc/genecanvas/tls", "tls"),
            (" /tmp/", " "),
            ("listen ", "listen 10"),
        ):
            text = text.replace(here, there)  # ports that need no rights
        (tmp_path / file).write_text(text)
    command = ["nginx", "-t", "-p", f"{tmp_path}", "-c", f"{tmp_path}/nginx.conf"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_reads_the_units(tmp_path: Path) -> None:
    """Under another name of the program, which isn't installed where its tests run."""
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text().replace("/opt/genecanvas/.venv/bin/genecanvas", "/bin/true")
        (tmp_path / path.name).write_text(text)
    gpu = tmp_path / "genecanvas.service.d"
    gpu.mkdir()
    (tmp_path / "gpu.conf").rename(gpu / "gpu.conf")
    units = sorted(str(path) for path in tmp_path.glob("genecanvas*") if path.is_file())
    command = ["systemd-analyze", "verify", "--man=no", *units]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "Unknown" not in said.stderr, said.stderr


def test_the_unit_gives_no_rights_but_those_by_which_readers_give_up_theirs() -> None:
    app = unit("genecanvas.service")
    assert app["NoNewPrivileges"] == ["yes"]
    assert app["ProtectSystem"] == ["strict"]
    assert app["CapabilityBoundingSet"] == [""]
    assert app["StateDirectory"] == [Path(HOME).name]
    assert f"GENECANVAS_HOME={HOME}" in app["Environment"]
    assert set(app["RestrictNamespaces"][0].split()) == {"user", "net"}  # core.confine
    landlock = {f"landlock_{name}" for name in ("create_ruleset", "add_rule", "restrict_self")}
    assert landlock <= set(app["SystemCallFilter"][0].split())
    assert "MemoryDenyWriteExecute" not in app  # torch and numba compile
    assert app["ExecStart"][0].endswith(" ".join(["genecanvas", "app"]))


def test_the_nights_backup_is_of_the_same_home() -> None:
    app, backup = unit("genecanvas.service"), unit("genecanvas-backup.service")
    for name in ("User", "Group", "Environment", "EnvironmentFile"):
        assert backup[name] == app[name], name
    program = app["ExecStart"][0].split()[0]
    assert f"{program} backup " in backup["ExecStart"][0]
    assert HOME in backup["ReadWritePaths"][0].split()
    assert unit("genecanvas-backup.timer")["OnCalendar"]
