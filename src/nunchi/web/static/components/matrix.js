// From the API's matrices to what a chart draws: one array of times, one array of values a series.
import { parseValue } from "../units.js";

export const SERIES_MAX = 100;

// `{{label}}` in a legend template stands for the label's value; without a template, the whole series.
export function legendOf(metric, template) {
  if (template) return template.replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, name) => metric[name] ?? "");
  return seriesText(metric);
}

export function seriesText({ __name__: name = "", ...labels }) {
  const inner = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return inner.length || !name ? `${name}{${inner.join(", ")}}` : name;
}

// Results of several queries over one grid, as {times, series}. Equal legends are told apart by a number.
export function chartData(results, { start, end, step }) {
  const times = Array.from({ length: Math.round((end - start) / step) + 1 }, (_, index) => start + index * step);
  const seen = new Map();
  const series = [];
  for (const { result, legend, colour } of results) {
    for (const { metric, values = [] } of result) {
      const name = legendOf(metric, legend);
      const repeated = (seen.get(name) ?? 0) + 1;
      seen.set(name, repeated);
      const row = new Array(times.length).fill(null);
      for (const [seconds, text] of values) {
        const value = parseValue(text);
        const at = Math.round((seconds - start) / step);
        if (Number.isFinite(value) && at >= 0 && at < row.length) row[at] = value;
      }
      series.push({ label: repeated > 1 ? `${name} (${repeated})` : name, values: row, colour: colour === undefined ? series.length : colour - 1 });
    }
  }
  return { times, series: series.slice(0, SERIES_MAX), omitted: Math.max(0, series.length - SERIES_MAX) };
}
