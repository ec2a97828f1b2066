"""What time the host thinks it is, its time zone, and the clock sources of its kernel."""

from datetime import UTC, datetime

from nunchi.agent.check import Check, Context

CLOCKSOURCES = "devices/system/clocksource"


class TimeCheck(Check):
    """`node_time_seconds` and `node_time_*`."""

    name = "time"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        emit, root = context.emit, context.root
        now = context.clock.now()
        emit.gauge("node_time_seconds", now)
        local = datetime.fromtimestamp(now, UTC).astimezone()
        offset = local.utcoffset()
        zone_offset_seconds = 0.0 if offset is None else offset.total_seconds()
        emit.gauge("node_time_zone_offset_seconds", zone_offset_seconds, time_zone=local.tzname() or "UTC")
        for entry in root.sys_names(CLOCKSOURCES):
            if not entry.startswith("clocksource"):
                continue
            device = entry.removeprefix("clocksource")
            for source in (root.find_sys_text(f"{CLOCKSOURCES}/{entry}/available_clocksource") or "").split():
                emit.gauge("node_time_clocksource_available_info", 1, device=device, clocksource=source)
            current = root.find_sys_text(f"{CLOCKSOURCES}/{entry}/current_clocksource")
            if current is not None:
                emit.gauge("node_time_clocksource_current_info", 1, device=device, clocksource=current)
