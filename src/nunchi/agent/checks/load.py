"""The load averages of one, five and fifteen minutes."""

from nunchi.agent.check import Check, Context


class LoadCheck(Check):
    """`node_load1`, `node_load5`, `node_load15`."""

    name = "load"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        fields = context.root.proc_text("loadavg").split()
        for minutes, field in zip((1, 5, 15), fields[:3], strict=True):
            context.emit.gauge(f"node_load{minutes}", float(field))
