"""What rules know of the server that they run in."""

from dataclasses import dataclass, field

from nunchi.model.labels import Labels


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Labels added to all that leaves, and the address under which people reach the pages."""

    external_labels: Labels = field(default_factory=Labels)
    external_url: str = ""
