// One machine at a glance: what is wrong, the numbers of now, and the charts of the range chosen. The URL keeps the state.
import { go, link, useAddress } from "../address.js";
import { read, usePoll } from "../api.js";
import { Empty, Failure, Pill, RefreshPicker, SpanPicker } from "../components/controls.js";
import { fill, PanelCard } from "../components/panel.js";
import { TileCard } from "../components/tile.js";
import { gridOf, readSpan, writeSpan } from "../time.js";
import { parseValue } from "../units.js";
import { html, memory, useMemo, useState } from "../view.js";

const REFRESH_SECONDS = 5;
const WINDOW_SECONDS_MIN = 60;
const IRATE_STEP_MAX = 10;
const YOUNG_SECONDS = [60, 120, 300, 600];
const ALERTS_SHOWN_MAX = 6;

const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function Strip({ summary }) {
  if (!summary) return html`<div class="strip"></div>`;
  const { targets, agents, alerts } = summary;
  const unwell = targets.down + agents.down;
  const targetsAll = targets.up + targets.down + targets.unknown;
  const agentsAll = agents.up + agents.down;
  const watched = targetsAll + agentsAll > 0;
  return html`<div class="strip">
    <a class="strip-item" href=${link("/alerts")} data-page>
      ${alerts.firing > 0 && html`<${Pill} state="firing" text=${`${alerts.firing} firing`} />`}
      ${alerts.pending > 0 && html`<${Pill} state="pending" text=${`${alerts.pending} pending`} />`}
      ${alerts.firing + alerts.pending === 0 && html`<${Pill} state="ok" text="no alerts" />`}
      <span class="muted">${alerts.names.slice(0, ALERTS_SHOWN_MAX).join(", ")}${alerts.names.length > ALERTS_SHOWN_MAX ? ", …" : ""}</span>
    </a>
    <a class="strip-item" href=${link(agents.down ? "/agents" : "/targets")} data-page>
      <${Pill} state=${unwell ? "down" : watched ? "up" : "unknown"} text=${unwell ? `${unwell} down` : watched ? "all up" : "nothing watched"} />
      <span class="muted">${plural(targetsAll, "target")}, ${plural(agentsAll, "agent")}</span>
    </a>
  </div>`;
}

// Machines that have series of the dashboard within the range.
function findInstances(dashboard, span, signal) {
  const { start, end, step } = gridOf(span);
  return read("/api/v1/label/instance/values", { "match[]": dashboard.instances, start, end: end + step }, signal);
}

// The default range of a machine that was heard of only minutes ago: just wide enough for what there is.
async function findYoungRange(dashboard, instance, span, signal) {
  const { result } = await read("/api/v1/query", { query: fill(dashboard.first, { instance }) }, signal);
  const age = result.length ? Date.now() / 1000 - parseValue(result[0].value[1]) : Infinity;
  return Math.min(span.range, YOUNG_SECONDS.find((seconds) => seconds > age) ?? span.range);
}

// What the expressions need to know: at small steps rates are those of the last two samples, which are right at once.
function variablesOf(instance, step, sampling) {
  const window = Math.max(WINDOW_SECONDS_MIN, Math.ceil(sampling * 4), step);
  return { instance, window: `${window}s`, rate: step <= IRATE_STEP_MAX ? "irate" : "rate" };
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
  const asked = parameters.get("instance");
  const chosenSpan = useMemo(() => readSpan(parameters), [parameters.get("range"), parameters.get("end")]);
  const [refresh, setRefresh] = useState(() => memory.load("refresh", REFRESH_SECONDS));
  const interval = chosenSpan.end === null ? refresh : 0;
  const { data: dashboard, error: dashboardError } = usePoll((signal) => read("/api/nunchi/v1/dashboards/host", {}, signal), 0, []);
  const { data: summary } = usePoll((signal) => read("/api/nunchi/v1/summary", {}, signal), refresh, []);
  const { data: instances, error } = usePoll(
    async (signal) => (dashboard ? findInstances(dashboard, chosenSpan, signal) : null),
    interval,
    [dashboard, chosenSpan],
  );
  const instance = asked ?? summary?.instance ?? "";
  const chosen = asked || !instances?.length || instances.includes(instance) ? instance : instances[0];
  const isDefault = !parameters.has("range") && !parameters.has("end");
  const { data: young } = usePoll(
    async (signal) => (dashboard && chosen && isDefault ? findYoungRange(dashboard, chosen, chosenSpan, signal) : null),
    interval,
    [dashboard, chosen, isDefault],
  );
  const span = useMemo(() => ({ ...chosenSpan, range: (isDefault && young) || chosenSpan.range }), [chosenSpan, isDefault && young]);
  const change = (next) => go("/", { ...(isDefault ? {} : writeSpan(chosenSpan)), instance: asked ?? "", ...next });
  const choose = (seconds) => {
    memory.save("refresh", seconds);
    setRefresh(seconds);
  };
  const sampling = summary?.intervals?.[chosen] ?? 0;
  const variables = variablesOf(chosen, gridOf(span).step, sampling);
  const isKnown = Boolean(chosen) && instances !== null;
  return html`
    <div class="head"><h1>Overview</h1>
      <${InstancePicker} instances=${instances ?? []} value=${chosen} onChange=${(each) => change({ instance: each })} />
      <span class="grow"></span>
      <${SpanPicker} span=${chosenSpan} onChange=${(next) => change(writeSpan(next))} />
      <${RefreshPicker} seconds=${refresh} onChange=${choose} isHeld=${chosenSpan.end !== null} />
    </div>
    <${Strip} summary=${summary} />
    <${Failure} error=${dashboardError ?? (error?.type === "connection" ? null : error)} />
    ${dashboard && instances?.length === 0 && !chosen && html`<${Empty} title="No machine has reported in this range">
      The agent's first samples arrive a few seconds after its start. If this stays, look at <a href=${link("/targets")} data-page>Targets</a>: who should report, and why it does not.
    <//>`}
    ${dashboard && isKnown && html`
      <section class="tiles" aria-label="Now">
        ${dashboard.tiles.map((tile) => html`<${TileCard} key=${tile.title} tile=${tile} expression=${fill(tile.expression, variablesOf(chosen, 0, sampling))} at=${span.end} interval=${interval} />`)}
      </section>
      <section class="panels" aria-label="Charts">
        ${dashboard.panels.map((panel) => html`<${PanelCard} key=${panel.title} panel=${panel} variables=${variables} span=${span} interval=${interval}
          silence=${instances.includes(chosen) ? "" : `${chosen} has sent nothing in this range.`}
          onZoom=${(from, to) => change({ range: `${Math.max(1, Math.round(to - from))}s`, end: Math.round(to) })} />`)}
      </section>`}`;
}
