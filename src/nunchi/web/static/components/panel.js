// One chart of a dashboard: asks its queries over the range, again and again, and says why when there is nothing to draw.
import { link } from "../address.js";
import { ask, usePoll } from "../api.js";
import { durationText, gridOf } from "../time.js";
import { html } from "../view.js";
import { Chart } from "./chart.js";
import { Icon } from "./controls.js";
import { PLOT_HEIGHT } from "./plot.js";
import { chartData } from "./matrix.js";

// `$name` in an expression becomes the variable's value, safe inside double quotes.
export function fill(expression, variables) {
  return expression.replace(/\$([a-z]+)/g, (whole, name) =>
    name in variables ? variables[name].replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n") : whole,
  );
}

async function load(panel, variables, span, signal) {
  const grid = gridOf(span);
  const answers = await Promise.all(
    panel.queries.map(({ expression }) => ask("/api/v1/query_range", { query: fill(expression, variables), ...grid }, signal)),
  );
  const results = answers.map(({ data }, index) => ({ ...panel.queries[index], result: data.result }));
  return { chart: chartData(results, grid), range: [grid.start, grid.end] };
}

// The address of the query page with a panel's expressions as graphs.
function queryLink(panel, variables, span) {
  const parameters = {};
  panel.queries.forEach(({ expression }, index) => {
    parameters[`g${index}.expr`] = fill(expression, variables);
    parameters[`g${index}.tab`] = 0;
    parameters[`g${index}.range_input`] = durationText(span.range);
    if (span.end) parameters[`g${index}.end_input`] = span.end;
  });
  return link("/query", parameters);
}

function Blank({ isLoading, error, reason }) {
  const height = `${PLOT_HEIGHT}px`;
  if (isLoading && !error) return html`<div class="blank" style=${{ height }} aria-busy="true"></div>`;
  return html`<div class="blank" style=${{ height }} role="note">
    <p class="empty-title">${error ? "This panel cannot be drawn" : "No data in this range"}</p>
    <p>${error ? error.message : reason}</p>
  </div>`;
}

// `silence` says that the machine as a whole has sent nothing; else the panel knows why it alone may be empty.
export function PanelCard({ panel, variables, span, interval, silence, onZoom }) {
  const { data, error, isLoading } = usePoll((signal) => load(panel, variables, span, signal), interval, [JSON.stringify(variables), span]);
  const isDrawn = data && data.chart.series.length > 0;
  return html`<article class="card panel">
    <header class="card-head"><h2>${panel.title}</h2>
      ${panel.description && html`<span class="muted card-note">${panel.description}</span>`}
      <span class="grow"></span>
      ${isDrawn && error && html`<span class="muted card-note" role="status">not up to date</span>`}
      <a class="only-icon" href=${queryLink(panel, variables, span)} data-page aria-label=${`Open ${panel.title} in Query`} title="Open in Query"><${Icon} name="query" /></a>
    </header>
    ${isDrawn
      ? html`<${Chart} title=${panel.title} data=${data.chart} unit=${panel.unit} stacked=${panel.stacked} low=${panel.low} high=${panel.high} span=${data.range} onZoom=${onZoom} />`
      : html`<${Blank} isLoading=${isLoading && !data} error=${error} reason=${silence || panel.absent} />`}
  </article>`;
}
