// What is scraped: state, labels, how long ago, how long it took, and why not.
import { go, link, useAddress } from "../address.js";
import { read, usePoll } from "../api.js";
import { Choice, Empty, Failure, Filter, LabelSet, Pill } from "../components/controls.js";
import { parseDuration, parseMoment } from "../time.js";
import { ago, duration } from "../units.js";
import { html } from "../view.js";

const REFRESH_SECONDS = 5;
const STATES = [["", "All"], ["up", "Up"], ["down", "Down"], ["unknown", "Unknown"]];

async function load(signal) {
  const targets = await read("/api/v1/targets", { state: "any" }, signal);
  return { active: targets.activeTargets, dropped: targets.droppedTargets ?? [] };
}

function matches(words, texts) {
  const text = texts.join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function grouped(targets) {
  const pools = new Map();
  for (const target of targets) pools.set(target.scrapePool, [...(pools.get(target.scrapePool) ?? []), target]);
  return [...pools];
}

const httpLink = (url) => (/^https?:\/\//.test(url) ? url : undefined);

function TargetRow({ target }) {
  return html`<tr>
    <td data-title="Target"><a href=${httpLink(target.globalUrl)} rel="noreferrer" target="_blank" class="url"><bdi>${target.scrapeUrl}</bdi></a>
      ${target.lastError && html`<div class="reason">${target.lastError}</div>`}</td>
    <td data-title="State"><${Pill} state=${target.health} /></td>
    <td data-title="Labels"><${LabelSet} labels=${target.labels} /></td>
    <td data-title="Last scrape" class="number">${ago(parseMoment(target.lastScrape))}</td>
    <td data-title="Took" class="number">${parseMoment(target.lastScrape) ? duration(target.lastScrapeDuration) : "–"}</td>
    <td data-title="Every" class="number">${duration(parseDuration(target.scrapeInterval))}</td>
  </tr>`;
}

function Pool({ name, targets }) {
  const up = targets.filter(({ health }) => health === "up").length;
  return html`<section class="card">
    <header class="card-head"><h2><bdi>${name}</bdi></h2><${Pill} state=${up === targets.length ? "up" : "down"} text=${`${up} of ${targets.length} up`} /></header>
    <div class="table-frame"><table class="table stacks fixed">
      <thead><tr><th>Target</th><th class="state">State</th><th class="labels-column">Labels</th><th class="number">Last scrape</th><th class="number">Took</th><th class="number">Every</th></tr></thead>
      <tbody>${targets.map((target) => html`<${TargetRow} key=${target.scrapeUrl + JSON.stringify(target.labels)} target=${target} />`)}</tbody>
    </table></div>
  </section>`;
}

function Dropped({ targets }) {
  return html`<details class="card"><summary>${targets.length} discovered, then dropped by relabelling</summary>
    <ul class="plain">${targets.slice(0, 200).map((target, index) => html`<li key=${index}><b>${target.scrapePool}</b> <${LabelSet} labels=${target.discoveredLabels} /></li>`)}</ul>
  </details>`;
}

export function Page() {
  const { parameters } = useAddress();
  const { data, error } = usePoll(load, REFRESH_SECONDS, []);
  const state = parameters.get("state") ?? "";
  const search = parameters.get("search") ?? "";
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const change = (next) => go("/targets", { state, search, ...next }, true);
  const targets = (data?.active ?? []).filter(
    (target) => (!state || target.health === state) && matches(words, [target.scrapePool, target.scrapeUrl, target.lastError, ...Object.values(target.labels)]),
  );
  const isEmpty = data && !targets.length;
  const hasAny = data && data.active.length;
  return html`<div class="head"><h1>Targets</h1><span class="grow"></span>
      <${Choice} label="State" options=${STATES} value=${state} onChange=${(each) => change({ state: each })} />
      <${Filter} label="Filter by URL, label, error" value=${search} onChange=${(each) => change({ search: each })} /></div>
    ${!data && html`<${Failure} error=${error} />`}
    ${grouped(targets).map(([name, each]) => html`<${Pool} key=${name} name=${name} targets=${each} />`)}
    ${isEmpty && html`<${Empty} title=${hasAny ? "Nothing matches the filter" : "Nothing is scraped"}>
      ${hasAny ? "Clear the filter to see all targets." : html`Add scrape_configs to the configuration file. Who pushes stands under <a href=${link("/agents")} data-page>Agents</a>.`}<//>`}
    ${data?.dropped.length > 0 && html`<${Dropped} targets=${data.dropped} />`}`;
}
