"""What the agent counts of itself, as the outcome of one more check, so that it is delivered like all the others."""

from nunchi.agent.emission import Emission
from nunchi.agent.schedule import Outcome
from nunchi.kit.telemetry import Telemetry
from nunchi.model.metadata import MetricType

NAME = "agent"
PREFIX = "agent_"


def own_outcome(telemetry: Telemetry) -> Outcome:
    """The instruments whose names begin with `agent_`; a process that is more than an agent has others too."""
    emission = Emission()
    for instrument in telemetry.instruments():
        if instrument.name.startswith(PREFIX):
            for name, labels, value in instrument.samples():
                emission.samples.append((name, labels, value))
            emission.types[instrument.name] = MetricType(instrument.type)
            emission.helps[instrument.name] = instrument.help_text
    return Outcome(NAME, NAME, emission, 0.0, is_success=True)
