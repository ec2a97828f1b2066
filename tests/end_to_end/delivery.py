"""Agents and servers as processes that are started, killed and asked; and what was collected beside what is stored.

The truth is a check of the tests' own: before it emits a run's samples it writes the moment (in microseconds) to a file. Every
sample has the moment as its value, so that the store can be compared with the file: what is there, what is missing, what is
twice. Only the agent knows which runs were not over at their deadline; it says so at the log level debug, run by run.
"""

import base64
import contextlib
import json
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme
from tests.network import Host
from tests.peers import free_port

from nunchi.agent.checks import CHECKS

NUNCHI = str(Path(sys.executable).parent / "nunchi")
NAME = "proof-1"
SAMPLES = 40  # of one run of the check
WAIT_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 15.0
USER, PASSWORD = "ann", "one"
CHECK = f"""
import time
from pathlib import Path

from nunchi.agent.check import Check, Context

JOURNAL = Path(__file__).parent.parent / "journal"


class ProofCheck(Check):
    name = "proof"

    def run(self, context: Context) -> None:
        moment = time.time_ns() // 1000
        with JOURNAL.open("a") as journal:
            journal.write(f"{{moment}}\\n")
        for sample in range({SAMPLES}):
            context.emit.gauge("proof", moment, n=str(sample))
"""


def wait_until(is_so: Callable[[], bool], what: str, seconds_max: float = WAIT_SECONDS_MAX) -> None:
    """Return when something is so; fails the test where it takes too long."""
    deadline = time.monotonic() + seconds_max
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"not in {seconds_max:g} s: {what}")
        time.sleep(0.1)


def spawn(host: Host | None, words: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a program on a host of the tests' network, or on this machine."""
    if host is not None:
        return host.spawn(words, log)
    with log.open("ab") as output:
        return subprocess.Popen(words, stdout=output, stderr=output)


def end(process: "subprocess.Popen[bytes] | None") -> None:
    """Ask a process to end, and wait for it."""
    if process is None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        pytest.fail(f"{process.args} had to be killed")


def kill(process: "subprocess.Popen[bytes] | None") -> None:
    """SIGKILL."""
    if process is not None:
        process.kill()
        process.wait()


@dataclass
class Server:
    """`nunchi server` at one address, over restarts; with TLS and a user where `has_tls`; `flags` are its own."""

    folder: Path
    host: Host | None = None
    has_tls: bool = False
    flags: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "prometheus.yml").write_text("")
        self._context: ssl.SSLContext | None = None
        if self.has_tls:
            authority = trustme.CA()
            certificate = authority.issue_cert(*{self.address, "127.0.0.1"})
            authority.cert_pem.write_to_path(self.folder / "ca.pem")
            certificate.cert_chain_pems[0].write_to_path(self.folder / "cert.pem")
            certificate.private_key_pem.write_to_path(self.folder / "key.pem")
            hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
            (self.folder / "web.yml").write_text(
                "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
                f"basic_auth_users: {{{USER}: {hashed}}}\n"
            )
            self._context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    @property
    def address(self) -> str:
        return "127.0.0.1" if self.host is None else self.host.address

    @property
    def url(self) -> str:
        return f"{'https' if self.has_tls else 'http'}://{self.address}:{self.port}"

    def start(self) -> None:
        """Run it until it is ready."""
        command = [
            NUNCHI, "server", f"--config.file={self.folder / 'prometheus.yml'}", f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}:{self.port}", *self.flags,
        ]  # fmt: skip
        if self.has_tls:
            command.append(f"--web.config.file={self.folder / 'web.yml'}")
        self.process = spawn(self.host, command, self.folder / "log")
        wait_until(self._is_ready, f"the server answers; its log: {self.folder / 'log'}")

    def kill(self) -> None:
        kill(self.process)

    def stop(self) -> None:
        end(self.process)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            return self.request("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def request(self, method: str, path: str, content: object = None, **headers: str) -> tuple[int, str]:
        """Ask as the operator; status and text."""
        body = None if content is None else json.dumps(content).encode()
        known = {"Content-Type": "application/json", **headers}
        if self.has_tls:
            known.setdefault("Authorization", f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}")
        asked = urllib.request.Request(self.url + path, body, known, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._context)
        )

        def open_and_read() -> tuple[int, str]:
            try:
                with opener.open(asked, timeout=20) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        return open_and_read() if self.host is None else self.host.call(open_and_read)

    def ask(self, path: str, method: str = "GET", content: object = None) -> Any:
        """The JSON of an answer of 200."""
        status, text = self.request(method, path, content)
        assert status == 200, (path, status, text)
        return json.loads(text)

    def samples(self, selector: str) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
        """All samples of the last hour, by labels."""
        query = urllib.parse.urlencode({"query": f"{selector}[1h]"})
        found = self.ask(f"/api/v1/query?{query}")["data"]["result"]
        return {
            tuple(sorted(one["metric"].items())): [(at, float(value)) for at, value in one["values"]] for one in found
        }

    def agent(self, name: str = NAME) -> dict[str, Any]:
        """What the registry says of an agent."""
        [found] = [one for one in self.ask("/api/nunchi/v1/agents")["agents"] if one["instance"] == name]
        assert isinstance(found, dict)
        return found

    def counted(self, name: str) -> float:
        """One of its own counters, added up over labels."""
        text = self.request("GET", "/metrics")[1]
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


@dataclass
class AgentHome:
    """An agent's folder and its process. `settings` are lines of its file, as `server: {…}`."""

    folder: Path
    settings: str
    host: Host | None = None
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        (self.folder / "checks.d").mkdir(parents=True)
        (self.folder / "checks.d" / "proof.py").write_text(CHECK)
        self.write()

    def write(self, interval: str = "250ms") -> None:
        """Write the settings: of the checks that come with nunchi none."""
        nothing = ", ".join(f"{check.name}: {{enabled: false}}" for check in CHECKS if check.is_default)
        (self.folder / "nunchi-agent.yaml").write_text(
            f"name: {NAME}\ninterval: {interval}\napi: {{address: '127.0.0.1:0'}}\nchecks: {{{nothing}}}\n"
            f"{self.settings}\n"
        )

    def nunchi(self, *words: str) -> str:
        """`nunchi agent …` to its end; what it printed."""
        command = [NUNCHI, "agent", *words, "--home", str(self.folder)]
        if self.host is not None:
            return self.host.run(*command)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def start(self) -> None:
        """Run it until its check has run."""
        runs = self.runs()
        command = [NUNCHI, "agent", "run", "--home", str(self.folder), "--log.level=debug"]
        self.process = spawn(self.host, command, self.folder / "log")
        wait_until(lambda: self.runs() > runs, f"the agent runs its check; its log: {self.folder / 'log'}")

    def kill(self) -> None:
        kill(self.process)

    def stop(self) -> None:
        end(self.process)

    def journal(self) -> list[int]:
        """The moments at which the check has run, over all starts."""
        with contextlib.suppress(FileNotFoundError):
            return [int(one) for one in (self.folder / "journal").read_text().split()]
        return []

    def runs(self) -> int:
        """How often the check has run, over all starts."""
        return len(self.journal())

    def given_up(self) -> set[int]:
        """The runs that came too late on a busy machine: the agent's log names each by the moment at which it was asked for."""
        asked: list[tuple[int, bool]] = []  # the moment (ms), and whether the run was too late
        for line in (self.folder / "log").read_text().splitlines():
            is_late = "check missed its deadline" in line or "no whole answer within" in line
            if is_late or "check has run" in line:
                asked += [(int(one), is_late) for one in re.findall(r" check=proof .*asked_at_ms=(\d+)", line)]
        asked.sort()
        ends = [moment for moment, _ in asked[1:]] + [sys.maxsize]
        late = [(moment, end) for (moment, is_late), end in zip(asked, ends, strict=True) if is_late]
        return {run for run in self.journal() for begin, end in late if 1000 * begin <= run < 1000 * end}

    def delivery(self) -> dict[str, Any]:
        """What the agent says of its delivery."""
        found = json.loads(self.nunchi("status", "--json"))["delivery"]
        assert isinstance(found, dict)
        return found

    def settle(self) -> dict[str, Any]:
        """Let it collect nothing more, and return its accounts when nothing waits for the server.

        What is configured otherwise runs at once: that round is the last, and is waited for.
        """
        self.write("1h")
        self.nunchi("reload")
        found: list[dict[str, Any]] = []

        def is_settled() -> bool:
            status = json.loads(self.nunchi("status", "--json"))
            found[:] = [status["delivery"]]
            have_ended = [
                one["interval_seconds"] == 3600 and (one["last_run_ms"] or one["last_error"])
                for one in status["checks"]
            ]
            return bool(have_ended) and all(have_ended) and not found[0]["accounting"]["queued"]

        wait_until(is_settled, f"nothing waits in the spool; the log: {self.folder / 'log'}")
        accounts = found[0]["accounting"]
        assert accounts["collected"] + accounts["recovered"] == accounts["acknowledged"] + sum(
            accounts["dropped"].values()
        )
        assert isinstance(accounts, dict)
        return accounts

    def let_runs(self, count: int) -> None:
        """Return when the check has run so often more."""
        runs = self.runs()
        wait_until(lambda: self.runs() >= runs + count, f"{count} runs of the check")


@contextlib.contextmanager
def delivering(server: Server, agent: AgentHome) -> Iterator[None]:
    """Both run until the block ends, whatever happens to them within."""
    try:
        server.start()
        yield
    finally:
        agent.kill()
        server.kill()


def stored_runs(server: Server) -> set[int]:
    """The moments of the runs that are stored, each whole and once."""
    found = server.samples("proof")
    assert len(found) == SAMPLES, len(found)
    [alike] = {tuple(int(value) for _, value in samples) for samples in found.values()}
    assert len(set(alike)) == len(alike), "a run is stored twice"
    return set(alike)


def missing_runs(server: Server, agent: AgentHome) -> set[int]:
    """The moments of the runs in time that are not stored; what is stored was collected."""
    collected, stored = set(agent.journal()), stored_runs(server)
    assert stored <= collected
    return collected - stored - agent.given_up()


def stored_samples(server: Server) -> int:
    """All samples in the store that this agent brought; `up` is the server's own."""
    found = server.samples(f'{{instance="{NAME}",__name__!="up"}}')
    return sum(len(samples) for samples in found.values())
