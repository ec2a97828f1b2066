"""All configuration files of a server, loaded and checked together: Prometheus's, Alertmanager's, and rules that ship."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from nunchi.intake.mechanisms import UnsupportedSettingsError
from nunchi.kit.path_patterns import find_paths
from nunchi.kit.settings import SettingsError, remarks
from nunchi.kit.settings.loading import read_text
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
        self._included: tuple[str, ...] = ()

    def digest(self) -> bytes:
        """Of the files named by flags, and of those that the configuration named when it was loaded last, as they are now."""
        files = [file for file in (self._config_file, self._alertmanager_config_file) if file is not None]
        if self._config_file is not None:
            folder = self._config_file.absolute().parent
            files += (path for pattern in self._included for path in find_paths(pattern, folder))
        digest = blake2b()
        for file in files:
            try:
                content = read_text(file)
            except SettingsError as error:
                content = str(error)
            for text in (str(file), content):
                digest.update(f"{len(text)}:{text}".encode())
        return digest.digest()

    def load(self, parser: ParserSettings = STABLE) -> LoadedConfiguration:
        """Raises an `InputError` naming the place and the cure of the first mistake. `parser`: the PromQL of rules."""
        if self._config_file is None:
            configuration = parse_configuration("", NO_FILE, self._environment, parser)
        else:
            configuration = load_configuration(self._config_file, self._environment, parser)
            self._included = (*configuration.settings.rule_files, *configuration.settings.scrape_config_files)
        try:
            configuration.check_support()
        except UnsupportedSettingsError as error:
            raise UnsupportedSettingsError(f"{self._config_file}: {error}") from error
        routes = self._alertmanager_config_file
        if routes is None:
            return LoadedConfiguration(configuration)
        return LoadedConfiguration(configuration, load_notify_settings(routes), routes.absolute().parent)
