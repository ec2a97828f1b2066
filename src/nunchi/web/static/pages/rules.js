// Every rule group: what its rules compute, whether they work, when they last ran and how long that took.
import { go, link, useAddress } from "../address.js";
import { read, usePoll } from "../api.js";
import { Choice, Empty, Failure, Filter, LabelSet, Pill } from "../components/controls.js";
import { parseMoment } from "../time.js";
import { ago, duration } from "../units.js";
import { html } from "../view.js";

const REFRESH_SECONDS = 5;
const KINDS = [["", "All"], ["alerting", "Alerting"], ["recording", "Recording"], ["err", "Failing"]];

function RuleRow({ rule }) {
  const isAlerting = rule.type === "alerting";
  return html`<tr>
    <td data-title="Rule"><b><bdi>${rule.name}</bdi></b>
      <a class="expression" href=${link("/query", { "g0.expr": rule.query, "g0.tab": 1 })} data-page title="Open in Query"><code>${rule.query}</code></a>
      ${Object.keys(rule.labels ?? {}).length > 0 && html`<${LabelSet} labels=${rule.labels} />`}
      ${isAlerting && rule.duration > 0 && html`<p class="muted">must hold for ${duration(rule.duration)}${rule.keepFiringFor > 0 ? `, keeps firing for ${duration(rule.keepFiringFor)}` : ""}</p>`}
      ${rule.lastError && html`<div class="reason">${rule.lastError}</div>`}</td>
    <td data-title="State">${isAlerting ? html`<a class="quiet" href=${link("/alerts", { state: "all", search: rule.name })} data-page><${Pill} state=${rule.state} text=${rule.alerts.length ? `${rule.state} (${rule.alerts.length})` : rule.state} /></a>` : html`<span class="muted">records</span>`}</td>
    <td data-title="Health"><${Pill} state=${rule.health} text=${{ err: "failing", unknown: "not run yet" }[rule.health]} /></td>
    <td data-title="Last run" class="number">${ago(parseMoment(rule.lastEvaluation))}</td>
    <td data-title="Took" class="number">${parseMoment(rule.lastEvaluation) ? duration(rule.evaluationTime) : "–"}</td>
  </tr>`;
}

function Group({ group }) {
  return html`<section class="card">
    <header class="card-head"><h2><bdi>${group.name}</bdi></h2><span class="muted card-note"><bdi>${group.file}</bdi></span><span class="grow"></span>
      <span class="muted">every ${duration(group.interval)}, ${parseMoment(group.lastEvaluation) ? `last ${ago(parseMoment(group.lastEvaluation))}, took ${duration(group.evaluationTime)}` : "not run yet"}</span></header>
    <div class="table-frame"><table class="table stacks fixed">
      <thead><tr><th>Rule</th><th class="state-wide">State</th><th class="state">Health</th><th class="number">Last run</th><th class="number">Took</th></tr></thead>
      <tbody>${group.rules.map((rule, index) => html`<${RuleRow} key=${`${rule.name} ${index}`} rule=${rule} />`)}</tbody>
    </table></div>
  </section>`;
}

export function Page() {
  const { parameters } = useAddress();
  const { data, error } = usePoll((signal) => read("/api/v1/rules", {}, signal), REFRESH_SECONDS, []);
  const kind = parameters.get("kind") ?? "";
  const search = parameters.get("search") ?? "";
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const change = (next) => go("/rules", { kind, search, ...next }, true);
  const chooses = (rule, group) =>
    (!kind || rule.type === kind || rule.health === kind) && words.every((word) => `${rule.name} ${rule.query} ${group.name}`.toLowerCase().includes(word));
  const groups = (data?.groups ?? []).map((group) => ({ ...group, rules: group.rules.filter((rule) => chooses(rule, group)) })).filter(({ rules }) => rules.length);
  return html`<div class="head"><h1>Rules</h1><span class="grow"></span>
      <${Choice} label="Kind" options=${KINDS} value=${kind} onChange=${(each) => change({ kind: each })} />
      <${Filter} label="Filter by name or expression" value=${search} onChange=${(each) => change({ search: each })} /></div>
    ${!data && html`<${Failure} error=${error} />`}
    ${groups.map((group) => html`<${Group} key=${`${group.file} ${group.name}`} group=${group} />`)}
    ${data && !groups.length && html`<${Empty} title=${data.groups.length ? "Nothing matches the filter" : "There are no rules"}>
      ${data.groups.length ? "Clear the filter to see all rules." : "Name rule files under rule_files in the configuration file."}<//>`}`;
}
