// Agents that push: how each fares by its own rounds, what it has lost, and how long it could go on without the server.
import { go, link, useAddress } from "../address.js";
import { readPlain, usePoll } from "../api.js";
import { Choice, Empty, Failure, Filter, Pill } from "../components/controls.js";
import { ago, duration, format } from "../units.js";
import { html } from "../view.js";

const REFRESH_SECONDS = 5;
export const ROOT = "/api/nunchi/v1/agents";
const STATES = [["", "All"], ["healthy", "Healthy"], ["late", "Late"], ["unhealthy", "Unhealthy"], ["disabled", "Disabled"]];
const ORDER = ["unhealthy", "late", "new", "disabled", "healthy"];
const OFFSET_MS_MAX = 2000;

export const moment = (milliseconds) => ago(milliseconds / 1000);

// The clock of an agent beside ours; what a heartbeat's way takes is no difference.
export function OffsetText({ agent }) {
  if (!agent.told_ms) return "–";
  const isFar = Math.abs(agent.clock_offset_ms) > OFFSET_MS_MAX;
  return html`<span class=${isFar ? "reason" : ""}>${duration(agent.clock_offset_ms / 1000)}</span>`;
}

export const CheckCount = ({ checks }) =>
  checks.total ? html`${checks.total - checks.failed} of ${checks.total}${checks.failed > 0 && html` <${Pill} state="err" text=${`${checks.failed} failed`} />`}` : "–";

function AgentRow({ agent }) {
  const name = agent.instance || agent.agent_id;
  const described = [agent.metadata.group, agent.metadata.namespace, agent.metadata.provider].filter(Boolean).join(", ");
  return html`<tr>
    <td data-title="Agent"><a href=${link("/agent", { id: agent.agent_id })} data-page><bdi>${name}</bdi></a>
      <div class="muted card-note"><bdi>${[agent.version, agent.address, described].filter(Boolean).join(", ")}</bdi></div>
      ${agent.tags.length > 0 && html`<div class="labels">${agent.tags.slice(0, 12).map((tag) => html`<span key=${tag} class="label"><bdi>${tag}</bdi></span>`)}</div>`}
      ${agent.conflict && html`<div class="reason">another agent claims the same id: ${agent.conflict}</div>`}
      ${agent.settings_error && html`<div class="reason">its settings are broken, earlier ones are in force: ${agent.settings_error}</div>`}</td>
    <td data-title="State"><${Pill} state=${agent.health} /></td>
    <td data-title="Last heard" class="number">${moment(agent.last_heard_ms)}</td>
    <td data-title="Checks" class="number"><${CheckCount} checks=${agent.checks} /></td>
    <td data-title="Lost" class="number">${agent.dropped ? html`<span class="reason">${format(agent.dropped, "count")}</span>` : agent.told_ms ? "0" : "–"}</td>
    <td data-title="Clock" class="number"><${OffsetText} agent=${agent} /></td>
    <td data-title="Outage left" class="number">${agent.outage_seconds_left === null ? "–" : duration(agent.outage_seconds_left)}</td>
  </tr>`;
}

function chosen(agents, state, words) {
  const rank = ({ health }) => ORDER.indexOf(health);
  const text = (agent) => [agent.instance, agent.agent_id, agent.version, agent.address, ...agent.tags, ...Object.values(agent.metadata)].join(" ").toLowerCase();
  return agents
    .filter((agent) => (!state || agent.health === state) && words.every((word) => text(agent).includes(word)))
    .sort((a, b) => rank(a) - rank(b) || (a.instance ?? "").localeCompare(b.instance ?? ""));
}

export function Page() {
  const { parameters } = useAddress();
  const { data, error } = usePoll((signal) => readPlain(ROOT, {}, signal), REFRESH_SECONDS, []);
  const state = parameters.get("state") ?? "";
  const search = parameters.get("search") ?? "";
  const change = (next) => go("/agents", { state, search, ...next }, true);
  const agents = chosen(data?.agents ?? [], state, search.toLowerCase().split(/\s+/).filter(Boolean));
  const isBare = data && !data.agents.length;
  return html`<div class="head"><h1>Agents</h1>${data && html`<span class="muted">${agents.length} of ${data.agents.length}</span>`}<span class="grow"></span>
      <${Choice} label="State" options=${STATES} value=${state} onChange=${(each) => change({ state: each })} />
      <${Filter} label="Filter by name, tag, version" value=${search} onChange=${(each) => change({ search: each })} /></div>
    ${!data && html`<${Failure} error=${error} />`}
    ${agents.length > 0 && html`<section class="card"><div class="table-frame"><table class="table stacks fixed agents">
      <thead><tr><th>Agent</th><th class="state">State</th><th class="number">Last heard</th><th class="number checks">Checks well</th><th class="number" title="Samples given up since its start">Lost</th><th class="number" title="How far its clock is ahead of the server's">Clock</th><th class="number" title="How long the server may be away before it loses samples">Outage left</th></tr></thead>
      <tbody>${agents.map((agent) => html`<${AgentRow} key=${agent.agent_id} agent=${agent} />`)}</tbody>
    </table></div></section>`}
    ${data && !agents.length && html`<${Empty} title=${isBare ? "No agent pushes here" : "Nothing matches the filter"}>
      ${isBare ? html`Start one with <code>nunchi agent run</code> on this machine; from another it joins with a token.` : "Clear the filter to see all agents."}<//>`}`;
}
