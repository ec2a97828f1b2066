// How a query was evaluated: its plan, and what each node yielded, read and took.
import { read, usePoll } from "../api.js";
import { gridOf, parseDuration } from "../time.js";
import { format } from "../units.js";
import { html } from "../view.js";
import { QueryFailure } from "./result.js";

const NODE_ROWS_MAX = 200;
const INDENT = 18;

// The tree as rows with a depth, parents first.
function rowsOf(node, depth = 0) {
  return [{ ...node, depth }, ...node.children.flatMap((child) => rowsOf(child, depth + 1))];
}

const count = (number) => (number === null ? "" : number.toLocaleString("en-GB"));
const time = (milliseconds) => (milliseconds === null ? "" : `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`);

function Row({ row, total }) {
  const share = row.own_milliseconds && total ? Math.round((100 * row.own_milliseconds) / total) : 0;
  return html`<tr><td class="plan-node" style=${{ paddingLeft: `${row.depth * INDENT}px` }}><code title=${row.note || undefined}>${row.text}</code></td>
    <td class="number" data-title="Series">${count(row.series)}</td><td class="number" data-title="Samples read">${count(row.samples)}</td>
    <td class="number" data-title="Memory">${row.bytes === null ? "" : format(row.bytes, "bytes")}</td>
    <td class="number" data-title="Time">${time(row.milliseconds)}</td>
    <td class="number plan-own" data-title="Own time">${row.own_milliseconds !== null && html`${time(row.own_milliseconds)}<span class="plan-share" title=${`${share} % of the time`}><i style=${{ width: `${share}%` }}></i></span>`}</td></tr>`;
}

export function PlanResult({ expression, span, step, turn }) {
  const chosen = parseDuration(step) || Number(step) || undefined;
  const load = (signal) => read("/api/nunchi/v1/query/profile", { query: expression, ...gridOf(span, chosen) }, signal);
  const { data, error, isLoading } = usePoll(load, 0, [expression, span.range, span.end, step, turn]);
  if (error) return html`<${QueryFailure} error=${error} expression=${expression} />`;
  if (!data) return html`<div class="blank blank-short" aria-busy="true"></div>`;
  const rows = rowsOf(data.plan);
  const { timings, samples } = data.stats;
  return html`<div class=${isLoading ? "is-loading" : ""}>
    <p class="muted taken">${count(data.series)} series out of ${count(samples.totalQueryableSamples)} samples in ${time(timings.execTotalTime * 1000)},
      of which ${time(timings.queryPreparationTime * 1000)} to plan and ${time(timings.execQueueTime * 1000)} waiting</p>
    <div class="table-frame"><table class="table plan stacks"><thead><tr><th>Step of the plan</th><th class="number">Series</th>
      <th class="number">Samples read</th><th class="number">Memory</th><th class="number">Time</th><th class="number">Own time</th></tr></thead>
      <tbody>${rows.slice(0, NODE_ROWS_MAX).map((row, at) => html`<${Row} key=${at} row=${row} total=${data.plan.milliseconds} />`)}</tbody></table></div>
    ${rows.length > NODE_ROWS_MAX && html`<p class="muted">the first ${NODE_ROWS_MAX} of ${rows.length} steps</p>`}
  </div>`;
}
