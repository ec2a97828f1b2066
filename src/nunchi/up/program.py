"""`nunchi up`: a server that watches its own machine.

The agent is an ordinary one that delivers over loopback; for its first minute it measures every second. The server scrapes
itself. Both are added to whatever configuration there is.
Invariant: the agent starts after the server takes samples, and stops before it.
"""

from dataclasses import replace
from importlib import resources
from urllib.parse import urlsplit

from nunchi.agent.configuration import configuration_of
from nunchi.agent.program import AgentProgram
from nunchi.agent.settings import AgentSettings, ApiSettings, ServerSettings
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World as AgentWorld
from nunchi.intake.discovery.static import StaticSettings
from nunchi.intake.scrape.settings import JobSettings
from nunchi.kit.durations import Duration
from nunchi.kit.errors import InputError
from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.logs import logger
from nunchi.kit.secrets import Secret
from nunchi.kit.telemetry import Telemetry
from nunchi.kit.tls import TlsClientSettings
from nunchi.rules.files import parse_rule_file
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.flags import ServerFlags
from nunchi.server.neighbours import AGENT_FOLDER
from nunchi.server.server import Server
from nunchi.server.settings import Configuration
from nunchi.server.wiring import build_server
from nunchi.server.world import World

OWN_JOB = "nunchi"
OWN_INTERVAL = Duration(5_000)
BURST = Duration(60_000)
TOKEN_BITS = 256


class UpProgram:
    """Implements `kit.program.Program`, and reloads."""

    def __init__(self, flags: ServerFlags, world: World) -> None:
        self._world = world
        self._flags = flags
        loader = ConfigurationLoader(flags.config_file, flags.alertmanager_config_file, world.environment)
        self._way_in = way_in(world) if flags.web_config_file or flags.web_insecure else HttpClientSettings()
        self.server: Server = build_server(
            flags,
            loader,
            world,
            adjust=lambda configuration, url: with_own_parts(configuration, url, self._way_in),
            own_instance=world.host_name,
            own_token=self._way_in.bearer_token or None,
        )
        self._agent: AgentProgram | None = None

    async def start(self) -> None:
        """Start the server, and the agent as soon as somebody takes its samples."""
        await self.server.open()
        try:
            self._refuse_client_certificates()
            self._agent = self._build_agent(self.server.url)
            await self._agent.start()
        except BaseException:
            await self.server.stop()
            raise
        try:
            await self.server.load()
        except BaseException:
            await self._agent.stop()
            raise

    async def stop(self) -> None:
        """Stop the agent, then the server."""
        if self._agent is not None:
            await self._agent.stop()
        await self.server.stop()

    async def reload(self) -> None:
        """See `Server.reload`."""
        await self.server.reload()

    def _refuse_client_certificates(self) -> None:
        if self.server.requires_client_certificate:
            raise InputError(
                f"{self._flags.web_config_file}: the agent of nunchi up has no client certificate; "
                "set client_auth_type: VerifyClientCertIfGiven, or run nunchi server and nunchi agent instead"
            )

    def _build_agent(self, url: str) -> AgentProgram:
        world, log = self._world, logger("agent")
        folder = (self._flags.storage_tsdb_path / AGENT_FOLDER).resolve()
        settings = AgentSettings(
            name=world.host_name,
            burst=BURST,
            server=ServerSettings(url=url, bearer_token=self._way_in.bearer_token, tls_config=self._way_in.tls_config),
            api=ApiSettings(enabled=False),
            state_folder=str(folder),
        )
        around = AgentWorld(world.clock, world.random, world.disk, Telemetry(), log, folder, world.environment)
        agent = build_agent(configuration_of(settings), around)
        return AgentProgram(agent, world.clock, world.random, log)


def way_in(world: World) -> HttpClientSettings:
    """How agent and scraping reach a server that lets nobody in unknown: by a secret of this process alone.

    The certificate is not verified, since it bears the names under which others know this server: who answers at a port that
    this process holds itself is no question.
    """
    token = Secret(f"{world.random.getrandbits(TOKEN_BITS):x}")
    return HttpClientSettings(bearer_token=token, tls_config=TlsClientSettings(insecure_skip_verify=True))


def with_own_parts(configuration: Configuration, url: str, connection: HttpClientSettings) -> Configuration:
    """A configuration with the rules that ship, and with a job for this server itself where none has its name."""
    text = (resources.files("nunchi.rules") / "defaults" / "host.yml").read_text(encoding="utf-8")
    configuration = configuration.with_rules((parse_rule_file(text, "nunchi/host.yml"),))
    if any(job.job_name == OWN_JOB for job in configuration.jobs):
        return configuration
    parts = urlsplit(url)
    own = JobSettings(
        job_name=OWN_JOB,
        scheme="https" if parts.scheme == "https" else "http",
        bearer_token=connection.bearer_token,
        tls_config=connection.tls_config,
        scrape_interval=OWN_INTERVAL,
        scrape_timeout=OWN_INTERVAL,
        metrics_path=f"{parts.path.rstrip('/')}/metrics",
        static_configs=(StaticSettings(targets=(parts.netloc,)),),
    )
    return replace(configuration, jobs=(*configuration.jobs, own))
