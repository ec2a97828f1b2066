// What is wrong now: alerts by rule, worst first, with labels, annotations, since when, and the value.
import { go, link, useAddress } from "../address.js";
import { read, usePoll } from "../api.js";
import { Choice, Empty, Failure, Filter, LabelSet, Pill } from "../components/controls.js";
import { momentText, parseMoment } from "../time.js";
import { duration, format, parseValue } from "../units.js";
import { html } from "../view.js";

const REFRESH_SECONDS = 5;
const STATES = [["active", "Active"], ["firing", "Firing"], ["pending", "Pending"], ["inactive", "Inactive"], ["all", "All"]];
const ORDER = ["firing", "pending", "inactive", "unknown"];

const isShown = (state, choice) => choice === "all" || choice === state || (choice === "active" && ["firing", "pending"].includes(state));

function Alert({ alert }) {
  const since = parseMoment(alert.activeAt);
  return html`<li class="alert">
    <div class="row"><${Pill} state=${alert.state} /><${LabelSet} labels=${alert.labels} without=${["alertname"]} /></div>
    ${Object.entries(alert.annotations).map(([name, text]) => html`<p key=${name} class="annotation"><span class="muted">${name}</span> <bdi>${text}</bdi></p>`)}
    <p class="muted">since <time datetime=${alert.activeAt}>${momentText(since)}</time> (${duration(Math.max(0, Math.round(Date.now() / 1000 - since)))}), value ${format(parseValue(alert.value))}</p>
  </li>`;
}

function Rule({ rule, choice }) {
  const alerts = rule.alerts.filter(({ state }) => isShown(state, choice));
  return html`<article class="card">
    <header class="card-head"><h2><bdi>${rule.name}</bdi></h2><${Pill} state=${rule.state} />
      ${rule.labels.severity && html`<${Pill} state="severity" text=${rule.labels.severity} />`}
      <span class="grow"></span><span class="muted card-note">${rule.group}${rule.duration > 0 ? `, must hold for ${duration(rule.duration)}` : ""}</span></header>
    <a class="expression" href=${link("/query", { "g0.expr": rule.query, "g0.tab": 1 })} data-page title="Open in Query"><code>${rule.query}</code></a>
    ${rule.lastError && html`<div class="notice tone-bad">${rule.lastError}</div>`}
    ${alerts.length > 0 && html`<ul class="plain">${alerts.map((alert) => html`<${Alert} key=${JSON.stringify(alert.labels)} alert=${alert} />`)}</ul>`}
  </article>`;
}

function rulesOf(data, choice, words) {
  const rules = data.groups.flatMap((group) => group.rules.map((rule) => ({ ...rule, group: group.name })));
  return rules
    .filter((rule) => isShown(rule.state, choice) || rule.alerts.some(({ state }) => isShown(state, choice)))
    .filter((rule) => {
      const text = JSON.stringify([rule.name, rule.group, rule.labels, rule.alerts.map(({ labels }) => labels)]).toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
}

export function Page() {
  const { parameters } = useAddress();
  const { data, error } = usePoll((signal) => read("/api/v1/rules", { type: "alert" }, signal), REFRESH_SECONDS, []);
  const choice = parameters.get("state") ?? "active";
  const search = parameters.get("search") ?? "";
  const change = (next) => go("/alerts", { state: choice, search, ...next }, true);
  const rules = data ? rulesOf(data, choice, search.toLowerCase().split(/\s+/).filter(Boolean)) : [];
  const total = data ? data.groups.reduce((sum, group) => sum + group.rules.length, 0) : 0;
  return html`<div class="head"><h1>Alerts</h1><span class="grow"></span>
      <${Choice} label="State" options=${STATES} value=${choice} onChange=${(each) => change({ state: each })} />
      <${Filter} label="Filter by name or label" value=${search} onChange=${(each) => change({ search: each })} /></div>
    ${!data && html`<${Failure} error=${error} />`}
    ${rules.map((rule) => html`<${Rule} key=${`${rule.group} ${rule.name} ${rule.query}`} rule=${rule} choice=${choice} />`)}
    ${data && !rules.length && html`<${Empty} title=${search ? "Nothing matches the filter" : choice === "active" ? "All is quiet" : "No rule is in this state"}>
      ${total} alerting rule${total === 1 ? "" : "s"} watch. See <a href=${link("/rules")} data-page>all rules</a>.<//>`}`;
}
