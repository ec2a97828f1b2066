// What a query answered: a table of now, a graph over time, warnings, and errors at their place in the text.
import { ask, usePoll } from "../api.js";
import { gridOf, momentText, parseDuration } from "../time.js";
import { classes, html, useState } from "../view.js";
import { Chart } from "./chart.js";
import { Choice, Empty, LabelSet } from "./controls.js";
import { SERIES_MAX, chartData } from "./matrix.js";

const ROWS_MAX = 500;
const SAMPLES_MAX = 60;
const GRAPH_HEIGHT = 340;

// An error with its position as `line:column`, shown under the text it is about.
export function QueryFailure({ error, expression }) {
  const [, line, column] = /(\d+):(\d+): parse error/.exec(error.message) ?? [];
  const text = line && expression.split("\n")[line - 1];
  return html`<div class="notice tone-bad" role="alert">
    <p>${error.message}</p>
    ${text !== undefined && text !== "" && html`<pre class="place"><span>${text.slice(0, column - 1)}</span><mark>${text.slice(column - 1, column) || " "}</mark><span>${text.slice(column)}</span></pre>`}
  </div>`;
}

function Notices({ warnings = [], infos = [] }) {
  return html`${[...warnings.map((text) => ["warn", text]), ...infos.map((text) => ["plain", text])].map(
    ([tone, text]) => html`<div key=${text} class=${classes("notice", `tone-${tone}`)} role="status">${text}</div>`,
  )}`;
}

function Series({ metric }) {
  const { __name__: name, ...labels } = metric;
  if (!name && !Object.keys(labels).length) return html`<span class="muted">{}</span>`;
  return html`${name && html`<b><bdi>${name}</bdi></b> `}<${LabelSet} labels=${labels} />`;
}

// A native histogram in words: how many, how much, and the populated buckets with their bounds.
function histogramText({ count, sum, buckets = [] }) {
  const brackets = [["(", "]"], ["[", ")"], ["(", ")"], ["[", "]"]];
  const parts = buckets.map(([kind, lower, upper, held]) => `${brackets[kind][0]}${lower}, ${upper}${brackets[kind][1]}: ${held}`);
  return [`count ${count}`, `sum ${sum}`, ...parts].join(" · ");
}

function Samples({ values: numbers = [], histograms = [] }) {
  const values = [...numbers, ...histograms.map(([time, value]) => [time, histogramText(value)])].sort((left, right) => left[0] - right[0]);
  const shown = values.slice(-SAMPLES_MAX);
  return html`<ul class="samples">${shown.map(([time, value]) => html`<li key=${time}><span class="muted">${momentText(time)}</span> ${value}</li>`)}</ul>
    ${values.length > shown.length && html`<span class="muted">the last ${SAMPLES_MAX} of ${values.length}</span>`}`;
}

function Table({ data }) {
  const [isWhole, setWhole] = useState(false);
  if (["scalar", "string"].includes(data.resultType)) {
    return html`<table class="table"><tbody><tr><td class="muted">${data.resultType}</td><td class="number"><bdi>${data.result[1]}</bdi></td></tr></tbody></table>`;
  }
  const rows = isWhole ? data.result : data.result.slice(0, ROWS_MAX);
  if (!rows.length) return html`<${Empty} title="No series">The expression is right, and no series answers it at this time.<//>`;
  return html`<div class="table-frame"><table class="table result"><thead><tr><th>Series</th><th class="number">Value</th></tr></thead>
    <tbody>${rows.map(({ metric, value, values, histogram, histograms }) => html`<tr key=${JSON.stringify(metric)}><td><${Series} metric=${metric} /></td>
      <td class="number">${value ? value[1] : histogram ? histogramText(histogram[1]) : html`<${Samples} values=${values} histograms=${histograms} />`}</td></tr>`)}</tbody></table></div>
    ${data.result.length > rows.length && html`<button type="button" onClick=${() => setWhole(true)}>Show all ${data.result.length} rows</button>`}`;
}

function Took({ taken }) {
  return html`<p class="muted taken">${taken.rows} series, ${taken.milliseconds} ms</p>`;
}

async function timed(path, parameters, signal) {
  const began = performance.now();
  const answer = await ask(path, parameters, signal);
  return { answer, milliseconds: Math.round(performance.now() - began) };
}

export function TableResult({ expression, end, turn }) {
  const load = (signal) => timed("/api/v1/query", { query: expression, time: end }, signal);
  const { data, error, isLoading } = usePoll(load, 0, [expression, end, turn]);
  if (error) return html`<${QueryFailure} error=${error} expression=${expression} />`;
  if (!data) return html`<div class="blank blank-short" aria-busy="true"></div>`;
  const { result, resultType } = data.answer.data;
  const rows = ["scalar", "string"].includes(resultType) ? 1 : result.length;
  return html`<div class=${isLoading ? "is-loading" : ""}><${Notices} ...${data.answer} /><${Took} taken=${{ rows, milliseconds: data.milliseconds }} /><${Table} data=${data.answer.data} /></div>`;
}

export function GraphResult({ expression, span, step, turn, interval, onZoom }) {
  const [stacked, setStacked] = useState(false);
  const chosen = parseDuration(step) || Number(step) || undefined;
  async function load(signal) {
    const grid = gridOf(span, chosen);
    const { answer, milliseconds } = await timed("/api/v1/query_range", { query: expression, ...grid }, signal);
    return { answer, milliseconds, grid, chart: chartData([{ result: answer.data.result }], grid) };
  }
  const { data, error, isLoading } = usePoll(load, interval, [expression, span.range, span.end, step, turn]);
  if (error) return html`<${QueryFailure} error=${error} expression=${expression} />`;
  if (!data) return html`<div class="blank" aria-busy="true"></div>`;
  const { chart, grid } = data;
  return html`<div class=${isLoading ? "is-loading" : ""}><${Notices} ...${data.answer} />
    <div class="row"><${Took} taken=${{ rows: data.answer.data.result.length, milliseconds: data.milliseconds }} /><span class="grow"></span>
      <${Choice} label="Drawing" options=${[[false, "Lines"], [true, "Stacked"]]} value=${stacked} onChange=${setStacked} /></div>
    ${chart.omitted > 0 && html`<div class="notice tone-warn" role="status">Only the first ${SERIES_MAX} of ${SERIES_MAX + chart.omitted} series are drawn: aggregate, or use topk.</div>`}
    ${chart.series.length
      ? html`<${Chart} title=${expression} data=${chart} span=${[grid.start, grid.end]} stacked=${stacked} height=${GRAPH_HEIGHT} onZoom=${onZoom} />`
      : html`<${Empty} title="No series">The expression is right, and no series answers it in this range.<//>`}</div>`;
}
