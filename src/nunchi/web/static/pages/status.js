// The server about itself: build, process, storage, flags, configuration.
import { read, usePoll } from "../api.js";
import { Failure } from "../components/controls.js";
import { momentText, parseMoment } from "../time.js";
import { ago, format } from "../units.js";
import { html, useState } from "../view.js";

const REFRESH_SECONDS = 10;
const COPIED_MS = 1500;

async function load(signal) {
  const ask = (name) => read(`/api/v1/status/${name}`, {}, signal);
  const [build, runtime, flags, config] = await Promise.all(["buildinfo", "runtimeinfo", "flags", "config"].map(ask));
  return { build, runtime, flags, config };
}

function Facts({ title, facts }) {
  return html`<section class="card"><header class="card-head"><h2>${title}</h2></header>
    <dl class="facts">${facts.filter(([, value]) => value !== "" && value !== undefined).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd><bdi>${value}</bdi></dd></div>`)}</dl></section>`;
}

const count = (selector, signal) => read("/api/v1/status/tsdb", selector ? { "match[]": selector } : {}, signal);

/* Who has most series, of all or of those that a selector matches. */
function Cardinality({ tsdb, error, onSelect }) {
  const head = tsdb?.headStats;
  return html`<section class="card wide"><header class="card-head"><h2>Cardinality</h2>
      <span class="muted card-note">${head ? `${format(head.numSeries, "count")} series being written, ${format(head.numLabelPairs, "count")} label pairs` : ""}</span><span class="grow"></span>
      <form onSubmit=${(event) => { event.preventDefault(); onSelect(new FormData(event.target).get("selector").trim()); }}>
        <input name="selector" type="search" placeholder='only {job="node"}' aria-label="Selector of the series to count" size="32" spellcheck="false" /></form></header>
    <${Failure} error=${error} /></section>
    ${tsdb && html`<div class="wide quarters"><${Top} title="Metric names with most series" rows=${tsdb.seriesCountByMetricName} />
    <${Top} title="Labels with most values" rows=${tsdb.labelValueCountByLabelName} />
    <${Top} title="Label pairs in most series" rows=${tsdb.seriesCountByLabelValuePair} />
    <${Top} title="Labels whose values take most room" rows=${tsdb.memoryInBytesByLabelName} unit="bytes" /></div>`}`;
}

function Top({ title, rows, unit = "count" }) {
  return html`<section class="card"><header class="card-head"><h2>${title}</h2></header>
    <table class="table"><tbody>${rows.map(({ name, value }) => html`<tr key=${name}><td><bdi class="cut">${name}</bdi></td><td class="number">${format(value, unit)}</td></tr>`)}</tbody></table></section>`;
}

function Configuration({ yaml }) {
  const [isCopied, setCopied] = useState(false);
  async function copy() {
    try {
      await navigator.clipboard.writeText(yaml);
      setCopied(true);
      setTimeout(() => setCopied(false), COPIED_MS);
    } catch {
      setCopied(false);
    }
  }
  return html`<section class="card wide"><header class="card-head"><h2>Configuration in force</h2><span class="muted card-note">secrets are redacted</span><span class="grow"></span>
    <button type="button" onClick=${copy}>${isCopied ? "Copied" : "Copy"}</button></header>
    <pre class="code" tabindex="0" aria-label="Configuration">${yaml || "The server runs without a configuration file."}</pre></section>`;
}

const moment = (text) => (parseMoment(text) ? `${momentText(parseMoment(text))} (${ago(parseMoment(text))})` : "never");
const sampleTime = (milliseconds, series) => (series ? momentText(milliseconds / 1000) : "no samples yet");

export function Page() {
  const { data, error } = usePoll(load, REFRESH_SECONDS, []);
  const [selector, setSelector] = useState("");
  const stored = usePoll((signal) => count("", signal), REFRESH_SECONDS, []);
  const counted = usePoll((signal) => (selector ? count(selector, signal) : null), selector ? REFRESH_SECONDS : 0, [selector]);
  if (!data) return html`<div class="head"><h1>Status</h1></div><${Failure} error=${error} />`;
  const { build, runtime, flags, config } = data;
  const head = stored.data?.headStats;
  return html`<div class="head"><h1>Status</h1></div><div class="columns">
    <${Facts} title="Build" facts=${[["Version", build.version], ["Revision", build.revision], ["Branch", build.branch], ["Built", build.buildDate], ["Built by", build.buildUser], ["Python", build.goVersion.replace(/^python/, "")]]} />
    <${Facts} title="Process" facts=${[
      ["Started", moment(runtime.startTime)], ["Host", runtime.hostname], ["Working directory", runtime.CWD],
      ["Memory", format(runtime.memoryBytes, "bytes")], ["Cores", runtime.GOMAXPROCS], ["Threads", runtime.threads], ["Tasks", runtime.goroutineCount],
      ["Configuration loaded", moment(runtime.lastConfigTime)], ["Last reload", runtime.reloadConfigSuccess ? "succeeded" : "failed: the previous configuration stays in force"],
    ]} />
    ${head && html`<${Facts} title="Storage" facts=${[
      ["Series", format(head.numSeries, "count")], ["Samples", format(head.numSamples, "count")], ["Distinct label pairs", format(head.numLabelPairs, "count")],
      ["Head begins", sampleTime(head.minTime, head.numSamples)], ["Newest sample", sampleTime(head.maxTime, head.numSamples)], ["Retention", runtime.storageRetention],
    ]} />`}
    <${Cardinality} tsdb=${selector ? counted.data : stored.data} error=${selector ? counted.error : stored.error} onSelect=${setSelector} />
    <section class="card wide"><header class="card-head"><h2>Flags</h2></header><div class="table-frame">
      <table class="table"><tbody>${Object.entries(flags).map(([name, value]) => html`<tr key=${name}><td><code>--${name}</code></td><td>${value ? html`<bdi class="cut">${value}</bdi>` : html`<span class="muted">not set</span>`}</td></tr>`)}</tbody></table></div></section>
    <${Configuration} yaml=${config.yaml} />
  </div>`;
}
