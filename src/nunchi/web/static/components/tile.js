// One number of now, with a meter where it is a share; its colour says only whether it is too much.
import { read, usePoll } from "../api.js";
import { format, parseValue } from "../units.js";
import { classes, html } from "../view.js";
import { legendOf } from "./matrix.js";

function toneOf(tile, value) {
  if (value === null || tile.warn === undefined) return "plain";
  return value >= tile.bad ? "bad" : value >= tile.warn ? "warn" : "good";
}

async function load(expression, at, signal) {
  const { result } = await read("/api/v1/query", { query: expression, time: at }, signal);
  return result.length ? { metric: result[0].metric, value: parseValue(result[0].value[1]) } : null;
}

export function TileCard({ tile, expression, at, interval }) {
  const { data } = usePoll((signal) => load(expression, at, signal), interval, [expression, at]);
  const value = data && Number.isFinite(data.value) ? data.value : null;
  const tone = toneOf(tile, value);
  const share = Math.max(0, Math.min(1, value ?? 0));
  return html`<article class=${classes("card", "tile", `tone-${tone}`)}>
    <h2>${tile.title}</h2>
    <p class="tile-value">${format(value, tile.unit)}</p>
    ${tile.meter && html`<div class="meter" role="meter" aria-label=${tile.title} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}><i style=${{ width: `${share * 100}%` }}></i></div>`}
    ${tile.legend && html`<p class="tile-note muted"><bdi>${data ? legendOf(data.metric, tile.legend) : ""}</bdi></p>`}
  </article>`;
}
