"""The configuration in force as YAML: what the file says, the defaults of intervals filled in, and the jobs that `up` added.

Invariant: what is shown is a configuration file that means the same, but for its secrets.
"""

from msgspec.structs import replace

from nunchi.intake.scrape.settings import GlobalSettings, JobSettings
from nunchi.kit.settings import dump
from nunchi.server.settings import Configuration


def shown_configuration(configuration: Configuration) -> str:
    """The text; jobs of `scrape_config_files` stand in their own files."""
    settings = configuration.settings
    common = replace(settings.common, scrape_interval=settings.common.interval, scrape_timeout=settings.common.timeout)
    jobs = tuple(_filled(common, job) for job in configuration.jobs if job.job_name not in configuration.job_folders)
    return dump(replace(settings, common=common, scrape_configs=jobs))


def _filled(common: GlobalSettings, job: JobSettings) -> JobSettings:
    interval = job.scrape_interval or common.scrape_interval
    timeout = job.scrape_timeout or min(common.scrape_timeout, interval)
    return replace(job, scrape_interval=interval, scrape_timeout=timeout)
