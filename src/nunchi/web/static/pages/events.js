// What happened, newest first, and how services say they fare: what programs tell the agents' StatsD beside numbers.
import { go, useAddress } from "../address.js";
import { readPlain, usePoll } from "../api.js";
import { Choice, Empty, Failure, Filter, LabelSet, Pill } from "../components/controls.js";
import { momentText } from "../time.js";
import { ago } from "../units.js";
import { html } from "../view.js";

const REFRESH_SECONDS = 5;
const EVENTS_MAX = 200;
const VIEWS = [["", "Events"], ["checks", "Service checks"]];
const KINDS = [["", "All"], ["error", "Errors"], ["warning", "Warnings"], ["success", "Successes"], ["info", "Infos"]];
const STATES = [["", "All"], ["critical", "Critical"], ["warning", "Warning"], ["unknown", "Unknown"], ["ok", "OK"]];

const tagsOf = (tags) => Object.fromEntries(tags.map(([name, value], index) => [tags.findIndex(([other]) => other === name) === index ? name : `${name} (${index + 1})`, value]));
const placeOf = ({ instance, host }) => (host && host !== instance ? `${host} via ${instance}` : instance);

function EventRow({ event }) {
  const about = [event.source, event.aggregation_key, event.priority === "low" ? "low priority" : ""].filter(Boolean).join(", ");
  return html`<tr>
    <td data-title="When" class="number" title=${momentText(event.at_ms / 1000)}>${ago(event.at_ms / 1000)}</td>
    <td data-title="Type"><${Pill} state=${event.alert_type} /></td>
    <td data-title="Event"><div><bdi class="event-title">${event.title}</bdi>${about && html` <span class="muted"><bdi>${about}</bdi></span>`}
      ${event.text && html`<div class="event-text"><bdi>${event.text}</bdi></div>`}</div></td>
    <td data-title="Where"><bdi>${placeOf(event)}</bdi></td>
    <td data-title="Tags"><${LabelSet} labels=${tagsOf(event.tags)} /></td>
  </tr>`;
}

function Events({ search, kind }) {
  const parameters = { search, alert_type: kind, limit: EVENTS_MAX };
  const { data, error } = usePoll((signal) => readPlain("/api/nunchi/v1/events", parameters, signal), REFRESH_SECONDS, [search, kind]);
  if (!data) return html`<${Failure} error=${error} />`;
  if (!data.events.length) {
    const isAll = !search && !kind;
    return html`<${Empty} title=${isAll ? "Nothing has happened yet" : "Nothing matches the filter"}>
      ${isAll ? "Programs tell events to an agent's StatsD, as in _e{6,4}:deploy|shop." : "Clear the filter to see all events."}<//>`;
  }
  return html`<section class="card">
    <div class="table-frame"><table class="table stacks fixed events">
      <thead><tr><th class="number">When</th><th class="state">Type</th><th>Event</th><th class="place">Where</th><th class="labels-column">Tags</th></tr></thead>
      <tbody>${data.events.map((event, index) => html`<${EventRow} key=${`${event.at_ms} ${event.title} ${index}`} event=${event} />`)}</tbody>
    </table></div>
    ${data.events.length === EVENTS_MAX && html`<p class="muted below">The newest ${EVENTS_MAX}; filter to see others.</p>`}
  </section>`;
}

function CheckRow({ check }) {
  return html`<tr>
    <td data-title="Service"><div><bdi class="event-title">${check.name}</bdi>${check.message && html`<div class="event-text"><bdi>${check.message}</bdi></div>`}</div></td>
    <td data-title="State"><${Pill} state=${check.state} /></td>
    <td data-title="Since" class="number" title=${momentText(check.since_ms / 1000)}>${ago(check.since_ms / 1000)}</td>
    <td data-title="Heard" class="number">${ago(check.heard_ms / 1000)}</td>
    <td data-title="Where"><bdi>${placeOf(check)}</bdi></td>
    <td data-title="Tags"><${LabelSet} labels=${tagsOf(check.tags)} /></td>
  </tr>`;
}

function Checks({ search, state }) {
  const { data, error } = usePoll((signal) => readPlain("/api/nunchi/v1/service-checks", {}, signal), REFRESH_SECONDS, []);
  if (!data) return html`<${Failure} error=${error} />`;
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (check) => [check.name, check.message, placeOf(check), ...check.tags.map((pair) => pair.join(":"))].join(" ").toLowerCase();
  const checks = data.service_checks.filter((check) => (!state || check.state === state) && words.every((word) => text(check).includes(word)));
  if (!checks.length) {
    const hasAny = data.service_checks.length > 0;
    return html`<${Empty} title=${hasAny ? "Nothing matches the filter" : "No service tells how it fares"}>
      ${hasAny ? "Clear the filter to see all service checks." : "Programs tell service checks to an agent's StatsD, as in _sc|shop.db|0. One that is silent for a day is forgotten."}<//>`;
  }
  return html`<section class="card">
    <div class="table-frame"><table class="table stacks fixed checks">
      <thead><tr><th>Service</th><th class="state">State</th><th class="number">Since</th><th class="number">Heard</th><th class="place">Where</th><th class="labels-column">Tags</th></tr></thead>
      <tbody>${checks.map((check) => html`<${CheckRow} key=${JSON.stringify([check.agent, check.name, check.host, check.tags])} check=${check} />`)}</tbody>
    </table></div>
  </section>`;
}

export function Page() {
  const { parameters } = useAddress();
  const [view, search, kind] = ["view", "search", "kind"].map((name) => parameters.get(name) ?? "");
  const change = (next) => go("/events", { view, search, kind, ...next }, true);
  const isChecks = view === "checks";
  return html`<div class="head"><h1>Events</h1>
      <${Choice} label="View" options=${VIEWS} value=${view} onChange=${(each) => change({ view: each, kind: "" })} />
      <span class="grow"></span>
      <${Choice} label=${isChecks ? "State" : "Type"} options=${isChecks ? STATES : KINDS} value=${kind} onChange=${(each) => change({ kind: each })} />
      <${Filter} label="Filter by text, host, tag" value=${search} onChange=${(each) => change({ search: each })} /></div>
    ${isChecks ? html`<${Checks} search=${search} state=${kind} />` : html`<${Events} search=${search} kind=${kind} />`}`;
}
