"""All configuration files of a server, loaded and checked together: Prometheus's, Alertmanager's, and rules that ship."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nunchi.intake.mechanisms import UnsupportedSettingsError
from nunchi.kit.settings import remarks
from nunchi.notify.settings import NotifySettings, load_notify_settings
from nunchi.query.syntax import STABLE, ParserSettings
from nunchi.server.settings import Configuration, load_configuration, parse_configuration

NO_FILE = Path("(no --config.file)")


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """What a reload brings; `notify` None where nunchi notifies nobody itself, relative names in it below its folder."""

    prometheus: Configuration
    notify: NotifySettings | None = None
    notify_folder: Path = Path()

    def remarks(self) -> list[str]:
        """Sentences about settings that are accepted and change nothing here."""
        return self.prometheus.remarks() + (remarks(self.notify) if self.notify is not None else [])


class ConfigurationLoader:
    """Loads the files that the flags name, as often as asked."""

    def __init__(
        self,
        config_file: Path | None,
        alertmanager_config_file: Path | None,
        environment: Mapping[str, str],
    ) -> None:
        self._config_file = config_file
        self._alertmanager_config_file = alertmanager_config_file
        self._environment = environment

    def load(self, parser: ParserSettings = STABLE) -> LoadedConfiguration:
        """Raises an `InputError` naming the place and the cure of the first mistake. `parser`: the PromQL of rules."""
        if self._config_file is None:
            configuration = parse_configuration("", NO_FILE, self._environment, parser)
        else:
            configuration = load_configuration(self._config_file, self._environment, parser)
        try:
            configuration.check_support()
        except UnsupportedSettingsError as error:
            raise UnsupportedSettingsError(f"{self._config_file}: {error}") from error
        routes = self._alertmanager_config_file
        if routes is None:
            return LoadedConfiguration(configuration)
        return LoadedConfiguration(configuration, load_notify_settings(routes), routes.absolute().parent)
