"""One provider a folder; `clipper.py` beside this folder is their contract. The function below is the whole registry."""

from nunchi.agent.clipper import Provider
from nunchi.agent.clipper_settings import CloudSettings
from nunchi.agent.clippers.aws.provider import AwsProvider
from nunchi.agent.cloud.surroundings import Surroundings


def build_providers(settings: CloudSettings, surroundings: Surroundings) -> tuple[Provider, ...]:
    """Every provider there is; none of them asks anything yet."""
    return (AwsProvider(settings.aws, surroundings),)
