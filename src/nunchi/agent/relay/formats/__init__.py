"""What sources may write, one format a file; each is served at `/api/v1/` and its name. The tuple is the whole registry."""

from nunchi.agent.relay.format import Format
from nunchi.agent.relay.formats import collectd, exposition, samples, telegraf

FORMATS: tuple[Format, ...] = (samples.FORMAT, telegraf.FORMAT, collectd.FORMAT, exposition.FORMAT)
