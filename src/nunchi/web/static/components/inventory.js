// What a host is made of, as its agent told: whatever the parts are, scalars become facts and lists tables.
import { format } from "../units.js";
import { html } from "../view.js";

const ROWS_MAX = 40;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const word = (name) => name.replaceAll("_", " ");

function text(name, value) {
  if (typeof value === "number") return format(value, name.endsWith("bytes") ? "bytes" : "");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? value : JSON.stringify(value);
}

const Facts = ({ part }) => html`<dl class="facts">${Object.entries(part).map(([name, value]) => html`<div key=${name}><dt>${word(name)}</dt><dd><bdi>${text(name, value)}</bdi></dd></div>`)}</dl>`;

function Rows({ rows }) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return html`<div class="table-frame"><table class="table">
    <thead><tr>${names.map((name) => html`<th key=${name}>${word(name)}</th>`)}</tr></thead>
    <tbody>${rows.slice(0, ROWS_MAX).map((row, index) => html`<tr key=${index}>${names.map((name) => html`<td key=${name}><bdi>${name in row ? text(name, row[name]) : ""}</bdi></td>`)}</tr>`)}</tbody>
  </table></div>${rows.length > ROWS_MAX && html`<p class="muted">and ${rows.length - ROWS_MAX} more</p>`}`;
}

export function Inventory({ inventory }) {
  return Object.entries(inventory).map(([name, part]) => {
    const rows = Array.isArray(part) ? part.filter(isObject) : [];
    if (!isObject(part) && !rows.length) return null;
    return html`<section key=${name} class="card"><header class="card-head"><h2 class="inventory-title">${word(name)}</h2></header>
      ${isObject(part) ? html`<${Facts} part=${part} />` : html`<${Rows} rows=${rows} />`}</section>`;
  });
}
