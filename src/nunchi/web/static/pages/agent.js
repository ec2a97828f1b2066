// One agent: whether it is well, what it has lost, its checks, its host, what is said of it, and what may be done with it.
import { go, link, useAddress } from "../address.js";
import { change, readPlain, usePoll } from "../api.js";
import { Failure, LabelSet, Pill, SpanPicker } from "../components/controls.js";
import { Inventory } from "../components/inventory.js";
import { MetadataForm } from "../components/metadata.js";
import { PanelCard } from "../components/panel.js";
import { momentText, readSpan, writeSpan } from "../time.js";
import { duration, format } from "../units.js";
import { html, useMemo, useRef, useState } from "../view.js";
import { moment, OffsetText, ROOT } from "./agents.js";

const REFRESH_SECONDS = 5;
const CHART_SECONDS = 10;
const EVENTS_SHOWN_MAX = 20;
const PANELS = [
  { title: "Up", unit: "count", low: 0, high: 1, absent: "Nothing of it is stored here; first samples show within seconds.", queries: [{ expression: 'up{job="node",instance="$instance"}', legend: "up" }] },
  { title: "Samples lost", unit: "/s", low: 0, absent: "Nothing of it is stored here; first samples show within seconds.", queries: [{ expression: 'sum by (reason) (rate(agent_samples_dropped_total{instance="$instance"}[2m])) or label_replace(sum(rate(agent_samples_collected_total{instance="$instance"}[2m])) * 0, "reason", "nothing", "", "")', legend: "{{reason}}" }] },
  { title: "Samples that wait", unit: "count", low: 0, absent: "Nothing of it is stored here; first samples show within seconds.", queries: [{ expression: 'agent_samples_queued{instance="$instance"}', legend: "waiting" }] },
  { title: "Outage left", unit: "seconds", low: 0, absent: "Nothing of it is stored here; first samples show within seconds.", queries: [{ expression: 'agent_spool_outage_seconds_left{instance="$instance"}', legend: "seconds" }] },
];

const time = (milliseconds) => (milliseconds ? `${momentText(milliseconds / 1000)} (${moment(milliseconds)})` : "never");
const path = (agent, action = "") => `${ROOT}/${encodeURIComponent(agent.agent_id)}${action}`;

// A button that asks once more where what it does cannot be undone.
function Action({ text, question, act, onDone }) {
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState(null);
  async function run() {
    setAsking(false);
    try {
      await act();
      setError(null);
      onDone();
    } catch (failure) {
      setError(failure);
    }
  }
  return html`<span class="row">${error && html`<span class="field-error" role="alert">${error.message}</span>`}
    ${isAsking
      ? html`<span class="muted">${question}</span><button type="button" class="primary" onClick=${run}>${text}</button><button type="button" onClick=${() => setAsking(false)}>Cancel</button>`
      : html`<button type="button" onClick=${question ? () => setAsking(true) : run}>${text}</button>`}</span>`;
}

function Actions({ agent, refresh, leaving }) {
  const post = (action) => () => change("POST", path(agent, action));
  async function forget() {
    leaving.current = true;
    try {
      await change("DELETE", path(agent));
    } catch (error) {
      leaving.current = false;
      throw error;
    }
  }
  return html`<div class="row">
    <${Action} text=${agent.is_enabled ? "Disable" : "Enable"} act=${post(agent.is_enabled ? "/disable" : "/enable")} onDone=${refresh} />
    ${agent.keys.length > 0 && html`<${Action} text="Change its key" act=${post("/rotate")} onDone=${refresh} />`}
    ${agent.keys.length > 0 && html`<${Action} text="Revoke its keys" question="It must join again. Sure?" act=${post("/revoke")} onDone=${refresh} />`}
    <${Action} text="Forget" question="Keys, metadata and what it told are removed; samples stay. Sure?" act=${forget} onDone=${() => go("/agents")} />
  </div>`;
}

function Facts({ agent }) {
  const { info } = agent;
  const { accounting } = info;
  const dropped = Object.entries(accounting.dropped).map(([reason, count]) => `${reason} ${count}`).join(", ");
  const facts = [
    ["Id", agent.agent_id],
    ["Version", agent.version],
    ["Addresses", [...new Set([agent.address, ...info.addresses])].filter(Boolean).join(", ")],
    ["Started", info.started_at_ms ? time(info.started_at_ms) : ""],
    ["Last round", time(agent.last_round_ms)],
    ["Rounds", agent.interval_seconds ? `every ${duration(agent.interval_seconds)}, ${duration(agent.lag_seconds)} behind` : ""],
    ["Heartbeat", time(agent.told_ms)],
    ["Clock offset", agent.told_ms ? html`<${OffsetText} agent=${agent} />` : ""],
    ["Outage left", info.outage_seconds_left === null ? "" : duration(info.outage_seconds_left)],
    ["Stored here", agent.samples === undefined ? "" : `${format(agent.samples, "count")} samples, ${format(agent.duplicates, "count")} of them sent twice`],
    ["Collected there", agent.told_ms ? `${format(accounting.collected + accounting.recovered, "count")}, ${format(accounting.acknowledged, "count")} acknowledged, ${format(accounting.queued, "count")} waiting` : ""],
    ["Lost there", agent.told_ms ? dropped || "nothing" : ""],
    ["Tags", info.tags.join(", ")],
    ["Labels", Object.keys(info.labels).length ? html`<${LabelSet} labels=${info.labels} />` : ""],
    ["Keys", agent.is_enrolled ? agent.keys.map((key) => `${key.id} of ${momentText(key.made_ms / 1000)}`).join(", ") || "revoked" : "none: it pushes from this machine"],
  ];
  return html`<section class="card"><header class="card-head"><h2>Identity and delivery</h2></header>
    <dl class="facts">${facts.filter(([, value]) => value !== "" && value !== undefined).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd><bdi>${value}</bdi></dd></div>`)}</dl></section>`;
}

function CheckRow({ check }) {
  const state = check.is_stuck ? "down" : check.is_absent ? "absent" : check.error ? "err" : check.last_run_ms ? "ok" : "unknown";
  const text = { down: "stuck", absent: "not here", err: "failed", ok: "well", unknown: "not run yet" }[state];
  return html`<tr>
    <td data-title="Check"><bdi>${check.name}</bdi>${check.error && html`<div class=${check.is_absent ? "muted card-note" : "reason"}>${check.error.replace(/^Unavailable: /, "")}</div>`}</td>
    <td data-title="State"><${Pill} state=${state} text=${text} /></td>
    <td data-title="Samples" class="number">${format(check.samples, "count")}</td>
    <td data-title="Took" class="number">${check.duration_seconds === null ? "–" : duration(check.duration_seconds)}</td>
    <td data-title="Last run" class="number">${moment(check.last_run_ms)}</td>
    <td data-title="Next run" class="number">${check.next_run_ms > Date.now() ? `in ${duration(Math.round((check.next_run_ms - Date.now()) / 1000) || 1)}` : "now"}</td>
  </tr>`;
}

function Checks({ checks }) {
  const rank = (check) => (check.is_stuck ? 0 : check.is_absent ? 3 : check.error ? 1 : 2);
  const sorted = [...checks].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  return html`<section class="card wide"><header class="card-head"><h2>Checks</h2><span class="muted card-note">as of its latest heartbeat</span></header>
    <div class="table-frame"><table class="table stacks fixed">
      <thead><tr><th>Check</th><th class="state">State</th><th class="number">Samples</th><th class="number">Took</th><th class="number">Last run</th><th class="number">Next run</th></tr></thead>
      <tbody>${sorted.map((check) => html`<${CheckRow} key=${check.name} check=${check} />`)}</tbody>
    </table></div></section>`;
}

function Events({ events }) {
  return html`<section class="card"><header class="card-head"><h2>What happened</h2></header>
    <dl class="facts">${events.slice(0, EVENTS_SHOWN_MAX).map(({ at_ms, what }) => html`<div key=${at_ms + what}><dt>${momentText(at_ms / 1000)}</dt><dd>${what}</dd></div>`)}</dl></section>`;
}

function Shown({ agent, refresh, leaving, span, onSpan }) {
  const variables = useMemo(() => ({ instance: agent.instance ?? "" }), [agent.instance]);
  return html`
    ${agent.conflict && html`<div class="notice tone-bad" role="alert">Another agent claims the same id: ${agent.conflict}</div>`}
    ${agent.info.settings_error && html`<div class="notice tone-warn" role="alert">Its settings are broken, earlier ones are in force: ${agent.info.settings_error}</div>`}
    <${Actions} agent=${agent} refresh=${refresh} leaving=${leaving} />
    <div class="row below"><span class="grow"></span><${SpanPicker} span=${span} onChange=${onSpan} /></div>
    <section class="panels below" aria-label="History">
      ${PANELS.map((panel) => html`<${PanelCard} key=${panel.title} panel=${panel} variables=${variables} span=${span} interval=${span.end === null ? CHART_SECONDS : 0} silence=""
        onZoom=${(from, to) => onSpan({ range: Math.max(1, Math.round(to - from)), end: Math.round(to) })} />`)}
    </section>
    <div class="columns below">
      <${Facts} agent=${agent} />
      <${MetadataForm} key=${JSON.stringify(agent.metadata)} metadata=${agent.metadata} save=${(metadata) => change("PUT", path(agent, "/metadata"), metadata)} clear=${() => change("DELETE", path(agent, "/metadata"))} onDone=${refresh} />
      ${agent.info.checks.length > 0 && html`<${Checks} checks=${agent.info.checks} />`}
      <${Inventory} inventory=${agent.inventory} />
      ${agent.events.length > 0 && html`<${Events} events=${agent.events} />`}
    </div>`;
}

export function Page() {
  const { parameters } = useAddress();
  const id = parameters.get("id") ?? "";
  const [turn, setTurn] = useState(0);
  const span = useMemo(() => readSpan(parameters, "15m"), [parameters.get("range"), parameters.get("end")]);
  const leaving = useRef(false);
  // An agent that is being forgotten is asked for no more, nor is the address of a page that comes next.
  const load = (signal) => (leaving.current || !id ? data : readPlain(`${ROOT}/${encodeURIComponent(id)}`, {}, signal));
  const { data, error } = usePoll(load, REFRESH_SECONDS, [id, turn]);
  const agent = data?.agent_id === id ? data : null;
  return html`<div class="head"><h1><a class="quiet" href=${link("/agents")} data-page>Agents</a> / <bdi>${agent ? agent.instance || agent.agent_id : id}</bdi></h1>
      ${agent && html`<${Pill} state=${agent.health} />${agent.misses > 0 && html`<span class="muted">${agent.misses} rounds missed</span>`}
        <a href=${link("/", { instance: agent.instance })} data-page>Overview of its host</a>`}</div>
    <${Failure} error=${!agent || error?.type === "http" ? error : null} />
    ${agent && html`<${Shown} agent=${agent} refresh=${() => setTurn(turn + 1)} leaving=${leaving} span=${span} onSpan=${(next) => go("/agent", { id, ...writeSpan(next) })} />`}`;
}
