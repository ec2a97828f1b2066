"""How well the kernel's clock is disciplined: offset, errors, frequency, whether it is synchronised at all."""

import ctypes
import errno
import os

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.errors import Unavailable

TIME_ERROR = 5
STATUS_NANOSECONDS = 0x2000
MICROSECONDS = 1e6
NANOSECONDS = 1e9
FREQUENCY_UNITS = 1e6 * 65536  # parts per million with a fraction of 16 bits


class Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2); with `modes` 0 the call only reads."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "frequency", "maximum_error", "estimated_error")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "seconds", "microseconds", "tick")),
        *((name, ctypes.c_long) for name in ("pps_frequency", "pps_jitter")),
        ("pps_shift", ctypes.c_int),
        ("pps_stability", ctypes.c_long),
        *((name, ctypes.c_long) for name in ("jitter_count", "calibration_count", "error_count", "stability_count")),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


class TimexCheck(Check):
    """`node_timex_*`."""

    name = "timex"

    def __init__(self, settings: CheckSettings) -> None:
        super().__init__(settings)
        self._library = ctypes.CDLL(None, use_errno=True)

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        timex = Timex()
        state = self._library.adjtimex(ctypes.byref(timex))
        if state < 0:
            code = ctypes.get_errno()
            if code in (errno.EPERM, errno.EACCES):
                raise Unavailable("the kernel's clock may not be read here: adjtimex is not permitted")
            raise OSError(code, os.strerror(code))
        emit = context.emit
        unit = NANOSECONDS if timex.status & STATUS_NANOSECONDS else MICROSECONDS
        emit.gauge("node_timex_sync_status", 0 if state == TIME_ERROR else 1)
        emit.gauge("node_timex_offset_seconds", timex.offset / unit)
        emit.gauge("node_timex_frequency_adjustment_ratio", 1 + timex.frequency / FREQUENCY_UNITS)
        emit.gauge("node_timex_maxerror_seconds", timex.maximum_error / MICROSECONDS)
        emit.gauge("node_timex_estimated_error_seconds", timex.estimated_error / MICROSECONDS)
        emit.gauge("node_timex_status", timex.status)
        emit.gauge("node_timex_loop_time_constant", timex.constant)
        emit.gauge("node_timex_tick_seconds", timex.tick / MICROSECONDS)
        emit.gauge("node_timex_pps_frequency_hertz", timex.pps_frequency / FREQUENCY_UNITS)
        emit.gauge("node_timex_pps_jitter_seconds", timex.pps_jitter / unit)
        emit.gauge("node_timex_pps_shift_seconds", timex.pps_shift)
        emit.gauge("node_timex_pps_stability_hertz", timex.pps_stability / FREQUENCY_UNITS)
        emit.counter("node_timex_pps_jitter_total", timex.jitter_count)
        emit.counter("node_timex_pps_calibration_total", timex.calibration_count)
        emit.counter("node_timex_pps_error_total", timex.error_count)
        emit.counter("node_timex_pps_stability_exceeded_total", timex.stability_count)
        emit.gauge("node_timex_tai_offset_seconds", timex.tai)
