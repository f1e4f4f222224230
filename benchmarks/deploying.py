"""Does what stands in deploy/ work: the Containerfile's steps, and nginx before the app.

    python -m benchmarks.deploying --base FOLDER [--packages FOLDER]

Needs Linux, root and nginx; no container engine. FOLDER holds a small Debian with Python
(`debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm FOLDER`),
which stays as it is: the steps write to a layer over it, which is gone at the end. With
`--packages` Python's packages are those of another environment's site-packages instead of being
fetched. The app then runs as a container would run it: as the file's user, without capabilities, on
a root that can't be written, and with nginx in a network of their own.
"""

import argparse
import asyncio
import ctypes
import fcntl
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

ROOT = Path(__file__).parents[1]
NAME = "lab.example.org"
WRITABLE = ("var/lib/genecanvas", "tmp")
TOLD = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
NEW_NETWORK = 0x40000000
CONFINED = """
import sys
from pathlib import Path
from core.confine import give_up_files, give_up_network
print("network given up:", give_up_network())
print("files given up:", give_up_files([], []))
"""


def read_steps(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Containerfile: word, rest."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


class Container:
    """A root of its own over `base`, filled by the steps of a Containerfile."""

    def __init__(self, base: Path, place: Path, packages: Path | None) -> None:
        self.root, self.place = place / "root", place
        fetching = {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
        self.environment = {**fetching, "PATH": "/opt/python/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        self.folder, self.user, self.health, self.command = "/", "", [], []
        mount_over(base, self.root, place / "layer")
        for kind, name in (("proc", "proc"), ("tmpfs", "dev"), ("sysfs", "sys")):
            run(["mount", "-t", kind, kind, self.root / name])
        for device in ("null", "urandom", "random", "zero"):
            (self.root / "dev" / device).touch()
            run(["mount", "--bind", f"/dev/{device}", self.root / "dev" / device])
        (self.root / "dev/shm").mkdir(mode=0o1777)
        for name in TOLD:  # how this computer reaches the packages
            if Path(name).exists():
                shutil.copy(name, self.root / name[1:])
        self.run(["python3", "-m", "venv", "/opt/python"])  # what the base image has
        if packages:
            (installed,) = self.root.glob("opt/python/lib/python3*/site-packages")
            mount_over(packages, installed, place / "packages")
            for own in installed.glob("*genecanvas*"):
                shutil.rmtree(own) if own.is_dir() else own.unlink()

    def build(self) -> None:
        """Run the steps, each timed."""
        for word, rest in read_steps(ROOT / "deploy/Containerfile"):
            begun = time.monotonic()
            match word:
                case "ARG":
                    name, _, value = rest.partition("=")
                    self.environment |= {name: os.environ.get(name, value.strip('"'))}
                case "ENV":
                    self.environment |= dict(part.split("=", 1) for part in shlex.split(rest))
                case "WORKDIR":
                    self.folder = rest
                    (self.root / rest[1:]).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(*rest.split())
                case "RUN":
                    self.run(["sh", "-c", rest])
                case "USER":
                    self.user = rest
                case "HEALTHCHECK":
                    self.health = json.loads(rest.partition("CMD")[2])
                case "CMD":
                    self.command = json.loads(rest)
            if word in ("RUN", "COPY"):
                print(f"{word} {rest[:60]}: {time.monotonic() - begun:.1f} s", flush=True)

    def _copy(self, *names: str) -> None:
        *sources, target = names
        for name in sources:
            source, goal = ROOT / name, self.root / self.folder[1:] / target
            if source.is_dir():
                shutil.copytree(source, goal, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, goal)

    def inside(self, command: list[str]) -> list[str]:
        """What runs a command in the root: as root while it is built, then as the file's user."""
        rights = []
        if self.user:
            user, group = self.user.split(":")
            rights = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups",
                      "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]  # fmt: skip
        home = self.environment["GENECANVAS_HOME"] if self.user else "/root"
        values = [f"{name}={value}" for name, value in self.environment.items()]
        return ["chroot", str(self.root), *rights, "env", "-i", f"--chdir={self.folder}",
                f"HOME={home}", *values, *command]  # fmt: skip

    def run(self, command: list[str]) -> str:
        """Run a command to its end; gives what it printed."""
        return run(self.inside(command))

    def close_root(self) -> None:
        """Let nothing be written but the volumes."""
        for name in WRITABLE:
            place = self.place / name.replace("/", "-")
            place.mkdir()
            owner, mode = (self.root / name).stat(), (self.root / name).stat().st_mode
            os.chown(place, owner.st_uid, owner.st_gid)
            place.chmod(mode & 0o7777)
            run(["mount", "--bind", place, self.root / name])
        run(["mount", "-o", "remount,ro", self.root])


def run(command: list) -> str:
    """Run a command; ends the script with what it said if it fails."""
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{command} failed:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    return ended.stdout + ended.stderr


def mount_over(below: Path, at: Path, layer: Path) -> None:
    """Show a folder at another place, and write what is changed there to a layer."""
    for folder in (at, layer / "up", layer / "work"):
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={below},upperdir={layer}/up,workdir={layer}/work"
    run(["mount", "-t", "overlay", "overlay", "-o", options, at])


def enter_own_network() -> None:
    """Leave this process and its children a loopback device of their own, and nothing else."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
        sys.exit("no network of its own")
    with socket.socket() as one:
        request = struct.pack("16sh14x", b"lo", 1)  # IFF_UP
        fcntl.ioctl(one, 0x8914, request)  # SIOCSIFFLAGS


def start_nginx(place: Path) -> subprocess.Popen:
    """nginx with the files of deploy/, a certificate of its own, as a user without rights."""
    tls = place / "tls"
    tls.mkdir(parents=True)
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", tls / "privkey.pem",
         "-out", tls / "fullchain.pem"])  # fmt: skip
    for name in ("nginx.conf", "genecanvas.conf"):
        text = (ROOT / "deploy/nginx" / name).read_text()
        for path in ("/tmp/", "/etc/genecanvas/tls"):
            text = text.replace(path, f"{place}/{Path(path).name}" + "/" * path.endswith("/"))
        text = text.replace("/dev/stdout", str(place / "access.log"))
        (place / name).write_text(text)
    (place / "tmp").mkdir()
    for path in (place, *place.rglob("*")):
        shutil.chown(path, 65534, 65534)
    low_ports = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    low_ports.write_text("0")  # of this network only
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
               "--no-new-privs", "--bounding-set=-all", "nginx", "-p", str(place), "-c",
               str(place / "nginx.conf"), "-g", "daemon off;"]  # fmt: skip
    print(run([*command[:-2], "-t"]).strip())
    return subprocess.Popen(command)


def trusting(place: Path) -> ssl.SSLContext:
    """Trusts nginx's certificate alone."""
    return ssl.create_default_context(cafile=place / "tls/fullchain.pem")


class Client:
    """Asks nginx as a browser would."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.tls = tls

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: Iterator[bytes] | None = None
    ) -> http.client.HTTPResponse:
        """The answer to one request, read."""
        plain = socket.create_connection(("127.0.0.1", 443), 300)
        with closing(self.tls.wrap_socket(plain, server_hostname=NAME)) as connection:
            asking = http.client.HTTPConnection(NAME)
            asking.sock = connection
            asking.putrequest(method, path)
            for name, value in headers.items():
                asking.putheader(name, value)
            asking.endheaders()
            for part in body or ():
                connection.sendall(part)
            answer = asking.getresponse()
            answer.text = answer.read().decode(errors="replace")
            return answer

    def open(self, headers: dict[str, str] | None = None, origin: str = f"https://{NAME}"):
        """A WebSocket to the app through nginx."""
        return connect(
            f"wss://{NAME}/_stcore/stream", host="127.0.0.1", port=443, ssl=self.tls,
            server_hostname=NAME, origin=origin, subprotocols=["streamlit"],
            additional_headers=headers or {}, max_size=None, open_timeout=60,
        )  # fmt: skip


async def open_status(client: Client, **options) -> int:
    """The status with which a WebSocket is answered; 101 where it opens."""
    try:
        async with client.open(**options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def open_page(client: Client, then: Callable[[str], None]) -> str:
    """Run the first page; calls `then` with the session's id while it is open."""
    async with client.open() as stream:
        message = BackMsg()
        message.rerun_script.query_string = ""
        await stream.send(message.SerializeToString())
        session = ""
        async for frame in stream:
            got = ForwardMsg.FromString(frame)
            if got.WhichOneof("type") == "new_session":
                session = got.new_session.initialize.session_id or session
            if got.WhichOneof("type") == "script_finished" and not got.script_finished:
                await asyncio.to_thread(then, session)
                return "ran to its end"


def upload(client: Client, session: str, size: int) -> tuple[int, float, str]:
    """Send a request of so many bytes as one file; status, seconds, words."""
    cookie = client.ask("GET", "/_stcore/health", {}).getheader("Set-Cookie", "").partition(";")[0]
    begin = (b"--part\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\n"
             b"Content-Type: text/csv\r\n\r\n")  # fmt: skip
    end = b"\r\n--part--\r\n"
    headers = {
        "Content-Type": "multipart/form-data; boundary=part", "Content-Length": str(size),
        "Cookie": cookie, "X-Xsrftoken": cookie.partition("=")[2], "Origin": f"https://{NAME}",
    }  # fmt: skip

    def body() -> Iterator[bytes]:
        yield begin
        left = size - len(begin) - len(end)
        while left:
            part = bytes(min(left, 1 << 20))
            left -= len(part)
            yield part
        yield end

    begun = time.monotonic()
    answer = client.ask("PUT", f"/_stcore/upload_file/{session}/f1", headers,
                        body() if size <= 1 << 30 else None)  # fmt: skip
    return answer.status, time.monotonic() - begun, answer.text[:100]


def check(container: Container, place: Path) -> None:
    """Ask everything once, and print what came."""
    client = Client(trusting(place))

    def say(what: str, found: object) -> None:
        print(f"{what}: {found}", flush=True)

    say("health check of the container", container.run(container.health) or "passed")
    say("reading strangers' files", container.run(["python", "-c", CONFINED]).split("\n"))
    container.run(
        [
            "sh",
            "-c",
            "genecanvas simulate --out /tmp/a.csv --truth /tmp/t.csv && gzip -k /tmp/a.csv",
        ]
    )
    say("a packed file", container.run(["genecanvas", "data", "check", "/tmp/a.csv.gz"])[:80])
    container.run(["sh", "-c", "cp /tmp/a.csv /var/lib/genecanvas/ && "
                               "genecanvas backup /tmp/backup.zip"])  # fmt: skip
    say("backup and restore", container.run(
        ["genecanvas", "restore", "/tmp/backup.zip", "/tmp/new"]).split("\n")[0])  # fmt: skip
    writing = subprocess.run(container.inside(["touch", "/opt/genecanvas/x"]), check=False,
                             capture_output=True, text=True)  # fmt: skip
    say("writing to the program", writing.stderr.strip())

    say("without TLS, under another name", _redirect())
    page = client.ask("GET", "/data", {"Accept": "text/html", "X-Forwarded-For": "6.6.6.6",
                                       "X-Request-Id": "forged"})  # fmt: skip
    say("the page", (page.status, page.getheader("Strict-Transport-Security"),
                     page.getheader("X-Request-Id")))  # fmt: skip
    for path in ("/metrics", "/_stcore/metrics", "/health"):
        say(f"{path} through nginx", client.ask("GET", path, {}).status)
    direct = http.client.HTTPConnection("127.0.0.1", 8501)
    direct.request("GET", "/metrics")
    say("/metrics on the computer itself", direct.getresponse().status)
    try:
        other = socket.create_connection(("127.0.0.1", 443), 5)
        client.tls.wrap_socket(other, server_hostname="other.example")
    except ssl.SSLError as error:
        say("another name", error.reason)

    def cookie(size: int) -> dict[str, str]:
        return {"Cookie": "a=" + "x" * (size - len("Cookie: a="))}

    for size in (4_000, 12_000, 16_000, 17_000):
        status = client.ask("GET", "/data", cookie(size)).status
        say(f"cookies of {size} bytes: page", status)
        socket_status = asyncio.run(open_status(client, headers=cookie(size)))
        say(f"cookies of {size} bytes: WebSocket", socket_status)
    say(
        "WebSocket of another site", asyncio.run(open_status(client, origin="https://evil.example"))
    )

    def send(session: str) -> None:
        for size in (1 << 20, 1 << 30, (1 << 30) + 1):
            say(f"an upload of {size} bytes", upload(client, session, size))

    say("a page through nginx", asyncio.run(open_page(client, send)))
    statuses = [upload(client, "none", 1000)[0] for _ in range(400)]
    say("400 files one after the other", {s: statuses.count(s) for s in sorted(set(statuses))})


def _redirect() -> tuple[int, str]:
    asking = http.client.HTTPConnection("127.0.0.1", 80)
    asking.request("GET", "/data", headers={"Host": "elsewhere"})
    answer = asking.getresponse()
    return answer.status, answer.getheader("Location")


def main() -> None:
    """Leave this computer's mounts alone, and try everything out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--packages", type=Path)
    options = parser.parse_args()
    if os.environ.get("DEPLOYING") != "apart":
        os.environ["DEPLOYING"] = "apart"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable,
                              "-m", "benchmarks.deploying", *sys.argv[1:]])  # fmt: skip
    place = Path(tempfile.mkdtemp(prefix="deploying"))
    place.chmod(0o755)
    try:
        try_out(place, options)
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", place / "root"], check=False)
        shutil.rmtree(place, ignore_errors=True)


def try_out(place: Path, options: argparse.Namespace) -> None:
    """Build and run the container in a folder, with nginx before it."""
    container = Container(options.base, place, options.packages)
    container.build()
    container.environment |= {
        "STREAMLIT_SERVER_ALLOWED_HOSTS": f"{NAME} 127.0.0.1", "GENECANVAS_LOG": "json",
        "GENECANVAS_METRICS": "1", "GENECANVAS_DEVICES": "cpu",
    }  # fmt: skip
    container.close_root()
    enter_own_network()
    begun, started = time.monotonic(), []
    with (place / "app.log").open("wb") as log:
        app = subprocess.Popen(container.inside(container.command), stdout=log, stderr=log)
    try:
        started = [start_nginx(place / "nginx")]
        while subprocess.run(container.inside(container.health), capture_output=True).returncode:
            if app.poll() is not None or time.monotonic() - begun > 300:
                sys.exit((place / "app.log").read_text()[-3000:])
            time.sleep(0.5)
        print(f"healthy after {time.monotonic() - begun:.1f} s", flush=True)
        check(container, place / "nginx")
    finally:
        begun = time.monotonic()
        app.send_signal(signal.SIGTERM)
        print(f"ended with {app.wait(60)} after {time.monotonic() - begun:.1f} s")
        for process in started:
            process.terminate()
            process.wait()
    log = (place / "app.log").read_text().splitlines()
    print(f"{len(log)} lines in the app's log, {sum(line.startswith('{') for line in log)} of JSON")
    print(next(line for line in log if '"/data"' in line))
    print((place / "nginx/access.log").read_text().splitlines()[0])


if __name__ == "__main__":
    main()
