// Cloud accounts: who watches them, how their clippers fare, what they have cost, and the resources found there.
import { go, useAddress } from "../address.js";
import { readPlain, usePoll } from "../api.js";
import { Choice, Empty, Failure, Filter, LabelSet, Pill } from "../components/controls.js";
import { ago, format } from "../units.js";
import { html } from "../view.js";

const REFRESH_SECONDS = 5;
const RESOURCES_SECONDS = 30;
const VIEWS = [["", "Accounts"], ["resources", "Resources"]];
const KINDS = { metrics: "Metrics", resources: "Resources", "": "Account" };
const ORDER = ["failing", "degraded", "starting", "running"];
const ROOT = "/api/nunchi/v1/cloud";

async function load(signal) {
  const [{ agents }, { configurations }] = await Promise.all([readPlain(ROOT, {}, signal), readPlain(`${ROOT}/configurations`, {}, signal)]);
  return { agents, configurations };
}

const rank = ({ state }) => (ORDER.indexOf(state) + ORDER.length + 1) % (ORDER.length + 1);
const since = (milliseconds) => (milliseconds ? ago(milliseconds / 1000) : "never");
const matches = (words, content) => words.every((word) => JSON.stringify(content).toLowerCase().includes(word));

// One entry an account, over all agents: its clippers, and its costs by API with all regions added up.
function accountsOf(agents) {
  const accounts = new Map();
  for (const agent of agents) {
    const own = (name) => {
      if (!accounts.has(name)) accounts.set(name, { name, clippers: [], costs: new Map() });
      return accounts.get(name);
    };
    for (const clipper of agent.clippers) own(clipper.account).clippers.push({ ...clipper, agent: agent.name });
    for (const cost of agent.costs.filter(({ account }) => accounts.has(account))) {
      const { costs } = own(cost.account);
      const sum = costs.get(cost.api) ?? { api: cost.api, calls: 0, failed_calls: 0, metrics_requested: 0 };
      for (const name of ["calls", "failed_calls", "metrics_requested"]) sum[name] += cost[name];
      costs.set(cost.api, sum);
    }
  }
  return [...accounts.values()].sort((a, b) => Math.min(...a.clippers.map(rank)) - Math.min(...b.clippers.map(rank)) || a.name.localeCompare(b.name));
}

function ClipperRow({ clipper }) {
  return html`<tr>
    <td data-title="Region"><bdi>${clipper.region}</bdi>${clipper.messages.map((text) => html`<div key=${text} class="reason">${text}</div>`)}</td>
    <td data-title="Clipper">${KINDS[clipper.kind] ?? clipper.kind}</td>
    <td data-title="State"><${Pill} state=${clipper.state} /></td>
    <td data-title="Agent"><bdi>${clipper.agent}</bdi></td>
    <td data-title="Rounds" class="number">${format(clipper.rounds, "count")}</td>
    <td data-title="Problems" class="number">${format(clipper.failures, "count")}</td>
    <td data-title="Last well" class="number">${since(clipper.last_success_ms)}</td>
  </tr>`;
}

function Costs({ costs }) {
  return html`<div class="table-frame below"><table class="table stacks fixed costs">
    <thead><tr><th>Calls and metrics requested, since the agents' start</th><th class="number">Calls</th><th class="number">Failed</th><th class="number">Requested</th></tr></thead>
    <tbody>${costs.map((cost) => html`<tr key=${cost.api}>
      <td><code>${cost.api}</code></td>
      <td data-title="Calls" class="number">${format(cost.calls, "count")}</td>
      <td data-title="Failed" class="number">${format(cost.failed_calls, "count")}</td>
      <td data-title="Requested" class="number">${cost.metrics_requested ? format(cost.metrics_requested, "count") : "–"}</td>
    </tr>`)}</tbody></table></div>`;
}

function Account({ account }) {
  const clippers = [...account.clippers].sort((a, b) => rank(a) - rank(b) || a.region.localeCompare(b.region) || a.kind.localeCompare(b.kind));
  const well = clippers.filter(({ state }) => state === "running").length;
  const costs = [...account.costs.values()].sort((a, b) => b.metrics_requested - a.metrics_requested || b.calls - a.calls);
  return html`<section class="card">
    <header class="card-head"><h2><bdi>${account.name}</bdi></h2>
      <${Pill} state=${well === clippers.length ? "running" : clippers[0].state} text=${`${well} of ${clippers.length} clippers run`} />
      <span class="grow"></span><button type="button" onClick=${() => go("/clouds", { view: "resources", account: account.name })}>Resources</button></header>
    <div class="table-frame"><table class="table stacks fixed">
      <thead><tr><th>Region</th><th class="state">Clipper</th><th class="state">State</th><th class="state">Agent</th><th class="number">Rounds</th><th class="number">Problems</th><th class="number">Last well</th></tr></thead>
      <tbody>${clippers.map((clipper) => html`<${ClipperRow} key=${`${clipper.agent} ${clipper.region} ${clipper.kind}`} clipper=${clipper} />`)}</tbody>
    </table></div>
    ${costs.length > 0 && html`<${Costs} costs=${costs} />`}
  </section>`;
}

function Watchers({ agents, configurations }) {
  return html`<section class="card">
    <header class="card-head"><h2>Configurations and who obeys them</h2></header>
    <div class="table-frame"><table class="table stacks fixed">
      <thead><tr><th>Configuration</th><th class="labels-column">Agents that may obey it</th><th class="state">Obeyed by</th><th class="number">Changed</th></tr></thead>
      <tbody>${configurations.map((one) => html`<tr key=${one.name}>
        <td data-title="Name"><bdi>${one.name}</bdi></td>
        <td data-title="Agents"><span class="labels">${one.agents.map((pattern) => html`<span key=${pattern} class="label"><bdi>${pattern}</bdi></span>`)}</span></td>
        <td data-title="Obeyed by">${one.obeyed_by ? html`<bdi>${one.obeyed_by}</bdi>` : html`<${Pill} state="waiting" text="nobody" />`}</td>
        <td data-title="Changed" class="number">${since(one.changed_ms)}</td>
      </tr>`)}</tbody>
    </table></div>
    ${agents.map((agent) => html`<p key=${agent.agent} class="row below"><${Pill} state=${agent.state} /><bdi>${agent.name}</bdi>
      <span class="muted">${agent.origin === "api" ? "by a configuration posted to it" : agent.state === "waiting" ? "waits for a configuration" : "by the server's configuration"}, heard ${since(agent.heard_ms)}</span>
      ${agent.error && html`<span class="reason">${agent.error}</span>`}</p>`)}
  </section>`;
}

function ResourceRow({ resource }) {
  const facts = Object.entries(resource.attributes).map(([name, value]) => `${name} ${value}`);
  return html`<tr>
    <td data-title="Resource"><bdi>${resource.name || resource.id}</bdi>${resource.id && html`<div class="muted cut samples"><bdi>${resource.id}</bdi></div>`}</td>
    <td data-title="Of">${resource.namespace}<div class="muted samples"><bdi>${resource.account}</bdi>, ${resource.region}</div></td>
    <td data-title="Tags"><${LabelSet} labels=${resource.tags} /></td>
    <td data-title="Facts"><span class="muted cut">${facts.join(", ")}</span></td>
  </tr>`;
}

function Resources({ parameters, change }) {
  const chosen = Object.fromEntries(["account", "region", "namespace"].map((name) => [name, parameters.get(name) ?? ""]));
  const asked = { ...chosen, text: parameters.get("search") ?? "" };
  const begin = Number(parameters.get("begin")) || 0;
  const { data, error } = usePoll((signal) => readPlain(`${ROOT}/resources`, { ...asked, begin }, signal), RESOURCES_SECONDS, [JSON.stringify(asked), begin]);
  if (!data) return html`<${Failure} error=${error} />`;
  const isChosen = Object.values(asked).some(Boolean);
  if (!data.matched) return html`<${Empty} title=${isChosen ? "No resource matches" : "No resources are known"}>${isChosen ? "Clear the filter to see all resources." : "They are told by the resource clippers, minutes after an account is configured."}<//>`;
  const end = begin + data.resources.length;
  return html`<section class="card">
    <header class="card-head"><h2>${format(data.matched, "count")} resource${data.matched === 1 ? "" : "s"}</h2><span class="grow"></span>
      ${Object.entries(data.facets).map(([name, counts]) => html`<label key=${name} class="field-inline">${name[0].toUpperCase() + name.slice(1)}
        <select value=${chosen[name]} onChange=${(event) => change({ [name]: event.target.value, begin: "" })}><option value="">all</option>
          ${Object.entries(counts).map(([value, count]) => html`<option key=${value} value=${value}>${value} (${count})</option>`)}</select></label>`)}</header>
    <div class="table-frame"><table class="table stacks fixed">
      <thead><tr><th>Resource</th><th class="place">Of</th><th class="labels-column">Tags</th><th class="place">Facts</th></tr></thead>
      <tbody>${data.resources.map((each) => html`<${ResourceRow} key=${`${each.account} ${each.region} ${each.namespace} ${each.id} ${each.name}`} resource=${each} />`)}</tbody>
    </table></div>
    ${data.matched > data.resources.length && html`<p class="row"><span class="muted">${begin + 1} to ${end}</span>
      <button type="button" disabled=${begin === 0} onClick=${() => change({ begin: Math.max(0, begin - data.page) || "" })}>Earlier</button>
      <button type="button" disabled=${end >= data.matched} onClick=${() => change({ begin: end })}>Later</button></p>`}
  </section>`;
}

function Accounts({ data, words }) {
  const agents = data.agents.map((agent) => ({ ...agent, clippers: agent.clippers.filter((one) => matches(words, [one, agent.name])) }));
  const accounts = accountsOf(agents);
  if (!data.agents.length && !data.configurations.length)
    return html`<${Empty} title="No cloud is watched">
      Give an agent a <code>cloud</code> section with the keys, and put what is to be watched to <code>${ROOT}/configurations/NAME</code>.<//>`;
  return html`${accounts.map((account) => html`<${Account} key=${account.name} account=${account} />`)}
    ${words.length > 0 && !accounts.length && html`<${Empty} title="Nothing matches the filter">Clear it to see all accounts.<//>`}
    ${!words.length && html`<${Watchers} agents=${data.agents} configurations=${data.configurations} />`}`;
}

export function Page() {
  const { parameters } = useAddress();
  const { data, error } = usePoll(load, REFRESH_SECONDS, []);
  const view = parameters.get("view") ?? "";
  const search = parameters.get("search") ?? "";
  const change = (next) => go("/clouds", { ...Object.fromEntries(parameters), ...next }, true);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return html`<div class="head"><h1>Clouds</h1><span class="grow"></span>
      <${Choice} label="View" options=${VIEWS} value=${view} onChange=${(each) => go("/clouds", { view: each, search }, true)} />
      <${Filter} label=${view ? "Filter by id, name, tag" : "Filter by account, region"} value=${search} onChange=${(each) => change({ search: each, begin: "" })} /></div>
    ${!data && html`<${Failure} error=${error} />`}
    ${data && (view ? html`<${Resources} parameters=${parameters} change=${change} />` : html`<${Accounts} data=${data} words=${words} />`)}`;
}
