"""The dashboards that ship: JSON files beside this module, panels as PromQL, and the structs that say what may stand in them.

`$instance` stands for the machine, `$rate` for `rate` or `irate`, `$window` for its width; whoever asks puts the values in.
"""

from importlib import resources

import msgspec


class PanelQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One expression. `{{label}}` in the legend stands for the label's value; `colour` is a number of the palette, from 1."""

    expression: str
    legend: str
    colour: int | None = None


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A chart. `low` and `high` bound the value axis; `absent` says why there may be nothing to draw."""

    title: str
    unit: str
    queries: tuple[PanelQuery, ...]
    absent: str
    description: str = ""
    stacked: bool = False
    low: float | None = None
    high: float | None = None


class Tile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One number of now; from `warn` and `bad` on it is coloured."""

    title: str
    unit: str
    expression: str
    legend: str = ""
    meter: bool = False
    warn: float | None = None
    bad: float | None = None


class Dashboard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of tiles and panels; the series of `instances` carry the machines it can show in their label `instance`.

    `first` is the time of the machine's first sample of late: a young machine's charts begin there.
    """

    name: str
    title: str
    first: str
    instances: tuple[str, ...]
    tiles: tuple[Tile, ...]
    panels: tuple[Panel, ...]

    def expressions(self, instance: str, window: str, rate: str = "rate") -> dict[str, str]:
        """Every expression of the dashboard by a name for it, with the variables put in."""
        escaped = instance.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        texts = {"first": self.first}
        texts |= {f"tile {tile.title}": tile.expression for tile in self.tiles}
        for panel in self.panels:
            texts |= {f"panel {panel.title}, {query.legend}": query.expression for query in panel.queries}
        variables = {"$instance": escaped, "$window": window, "$rate": rate}
        for variable, value in variables.items():
            texts = {name: text.replace(variable, value) for name, text in texts.items()}
        return texts


def load_dashboards() -> dict[str, Dashboard]:
    """All of them, by name."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".json")]
    dashboards = [msgspec.json.decode(file.read_bytes(), type=Dashboard) for file in files]
    return {dashboard.name: dashboard for dashboard in dashboards}
