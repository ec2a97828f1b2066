"""Counters of the virtual memory system: page faults, paging, swapping, kills for want of memory."""

import re

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.patterns import compile_pattern


class VmstatSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`fields`: which lines of /proc/vmstat are taken."""

    fields: str = "^(oom_kill|pgpg|pswp|pg.*fault).*"

    def __post_init__(self) -> None:
        compile_pattern("fields", self.fields)


class VmstatCheck(Check):
    """`node_vmstat_*`, untyped: the file mixes counters and gauges."""

    name = "vmstat"
    settings_type = VmstatSettings

    def __init__(self, settings: VmstatSettings) -> None:
        super().__init__(settings)
        self._fields = re.compile(settings.fields)

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for line in context.root.proc_lines("vmstat"):
            field, _, value = line.partition(" ")
            if self._fields.search(field):
                context.emit.unknown(f"node_vmstat_{field}", float(value))
