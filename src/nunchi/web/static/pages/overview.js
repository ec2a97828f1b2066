// One machine at a glance: what is wrong, the numbers of now, and the charts of the range chosen. The URL keeps the state.
import { go, link, useAddress } from "../address.js";
import { read, usePoll } from "../api.js";
import { Empty, Failure, Pill, RefreshPicker, SpanPicker } from "../components/controls.js";
import { fill, PanelCard } from "../components/panel.js";
import { TileCard } from "../components/tile.js";
import { gridOf, readSpan, writeSpan } from "../time.js";
import { html, memory, useMemo, useState } from "../view.js";

const REFRESH_SECONDS = 5;
const WINDOW_SECONDS_MIN = 60;
const ALERTS_SHOWN_MAX = 6;

const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function Strip({ summary }) {
  if (!summary) return html`<div class="strip"></div>`;
  const { targets, agents, alerts } = summary;
  const unwell = targets.down + agents.down;
  return html`<div class="strip">
    <a class="strip-item" href=${link("/alerts")} data-page>
      ${alerts.firing > 0 && html`<${Pill} state="firing" text=${`${alerts.firing} firing`} />`}
      ${alerts.pending > 0 && html`<${Pill} state="pending" text=${`${alerts.pending} pending`} />`}
      ${alerts.firing + alerts.pending === 0 && html`<${Pill} state="ok" text="no alerts" />`}
      <span class="muted">${alerts.names.slice(0, ALERTS_SHOWN_MAX).join(", ")}${alerts.names.length > ALERTS_SHOWN_MAX ? ", …" : ""}</span>
    </a>
    <a class="strip-item" href=${link("/targets")} data-page>
      <${Pill} state=${unwell ? "down" : "up"} text=${unwell ? `${unwell} down` : "all up"} />
      <span class="muted">${plural(targets.up + targets.down + targets.unknown, "target")}, ${plural(agents.up + agents.down, "agent")}</span>
    </a>
  </div>`;
}

// Machines that the dashboard's own expression finds within the range.
async function findInstances(dashboard, span, signal) {
  const { end } = gridOf(span);
  const found = await read("/api/v1/query", { query: dashboard.instances, time: end + 1 }, signal);
  return [...new Set(found.result.map(({ metric }) => metric.instance ?? ""))].sort();
}

function InstancePicker({ instances, value, onChange }) {
  if (instances.length < 2) return html`<span class="instance"><bdi>${value}</bdi></span>`;
  return html`<label class="field-inline">Machine
    <select class="instance-choice" value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${instances.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
    </select></label>`;
}

export function Page() {
  const { parameters } = useAddress();
  const span = useMemo(() => readSpan(parameters), [parameters.get("range"), parameters.get("end")]);
  const [refresh, setRefresh] = useState(() => memory.load("refresh", REFRESH_SECONDS));
  const interval = span.end === null ? refresh : 0;
  const { data: dashboard, error: dashboardError } = usePoll((signal) => read("/api/nunchi/v1/dashboards/host", {}, signal), 0, []);
  const { data: summary } = usePoll((signal) => read("/api/nunchi/v1/summary", {}, signal), refresh, []);
  const { data: instances, error } = usePoll(
    async (signal) => (dashboard ? findInstances(dashboard, span, signal) : null),
    interval || 0,
    [dashboard, span],
  );
  const asked = parameters.get("instance");
  const instance = asked ?? summary?.instance ?? "";
  const chosen = asked || !instances?.length || instances.includes(instance) ? instance : instances[0];
  const change = (next) => go("/", { ...writeSpan(span), instance: asked ?? "", ...next });
  const choose = (seconds) => {
    memory.save("refresh", seconds);
    setRefresh(seconds);
  };
  const sampling = summary?.intervals?.[chosen] ?? 0;
  const { step } = gridOf(span);
  const variables = { instance: chosen, window: `${Math.max(WINDOW_SECONDS_MIN, Math.ceil(sampling * 4), step)}s` };
  const isKnown = Boolean(chosen) && instances !== null;
  return html`
    <div class="head"><h1>Overview</h1>
      <${InstancePicker} instances=${instances ?? []} value=${chosen} onChange=${(each) => change({ instance: each })} />
      <span class="grow"></span>
      <${SpanPicker} span=${span} onChange=${(next) => change(writeSpan(next))} />
      <${RefreshPicker} seconds=${refresh} onChange=${choose} isHeld=${span.end !== null} />
    </div>
    <${Strip} summary=${summary} />
    <${Failure} error=${dashboardError ?? (error?.type === "connection" ? null : error)} />
    ${dashboard && instances?.length === 0 && !chosen && html`<${Empty} title="No machine has reported in this range">
      The agent's first samples arrive a few seconds after its start. If this stays, look at <a href=${link("/targets")} data-page>Targets</a>: who should report, and why it does not.
    <//>`}
    ${dashboard && isKnown && html`
      <section class="tiles" aria-label="Now">
        ${dashboard.tiles.map((tile) => html`<${TileCard} key=${tile.title} tile=${tile} expression=${fill(tile.expression, variables)} at=${span.end} interval=${interval} />`)}
      </section>
      <section class="panels" aria-label="Charts">
        ${dashboard.panels.map((panel) => html`<${PanelCard} key=${panel.title} panel=${panel} variables=${variables} span=${span} interval=${interval}
          onZoom=${(from, to) => change({ range: `${Math.max(1, Math.round(to - from))}s`, end: Math.round(to) })} />`)}
      </section>`}`;
}
