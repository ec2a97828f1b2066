// Small controls that several pages share: range, refresh, filter, segmented choice, state pill, labels, notices.
import { RANGES, durationText, inputTime, momentText, parseDuration, parseInputTime } from "../time.js";
import { classes, html, useState } from "../view.js";

const REFRESHES = [[0, "Off"], [1, "1 s"], [5, "5 s"], [10, "10 s"], [30, "30 s"], [60, "1 min"]];
const ICONS = {
  earlier: "M10 3 5 8l5 5",
  later: "m6 3 5 5-5 5",
  close: "m4 4 8 8m0-8-8 8",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  auto: "M8 2.5a5.5 5.5 0 0 1 0 11Z",
  light: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6Zm0-4v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1m8 8 1 1m0-10-1 1m-8 8-1 1",
  dark: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z",
  query: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9Zm3.3 7.8L14 14",
  plus: "M8 3v10M3 8h10",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
  ${name === "auto" && html`<circle cx="8" cy="8" r="5.5" />`}<path class=${name === "auto" ? "filled" : ""} d=${ICONS[name]} /></svg>`;

// One of a few; `options` are [value, text].
export function Choice({ label, options, value, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>
    ${options.map(([each, text]) => html`<button key=${each} type="button" aria-pressed=${each === value} onClick=${() => onChange(each)}>${text}</button>`)}
  </div>`;
}

function CustomSpan({ span, onChange, close }) {
  const end = span.end ?? Math.floor(Date.now() / 1000);
  const [from, setFrom] = useState(inputTime(end - span.range));
  const [to, setTo] = useState(inputTime(end));
  const range = parseInputTime(to) - parseInputTime(from);
  function apply(event) {
    event.preventDefault();
    onChange({ range, end: parseInputTime(to) });
    close();
  }
  return html`<form class="popover" onSubmit=${apply}>
    <label>From <input type="datetime-local" step="1" value=${from} onInput=${(event) => setFrom(event.target.value)} /></label>
    <label>To <input type="datetime-local" step="1" value=${to} onInput=${(event) => setTo(event.target.value)} /></label>
    ${!(range > 0) && html`<p class="field-error" role="alert">The end must come after the start.</p>`}
    <div class="row"><button type="submit" class="primary" disabled=${!(range > 0)}>Apply</button>
    <button type="button" onClick=${close}>Cancel</button></div>
  </form>`;
}

// `span` is {range, end}; end null means up to now.
export function SpanPicker({ span, onChange }) {
  const [isOpen, setOpen] = useState(false);
  const preset = span.end === null && RANGES.find((text) => parseDuration(text) === span.range);
  const end = span.end ?? Math.floor(Date.now() / 1000);
  const move = (share) => {
    const moved = Math.round(end + span.range * share);
    onChange({ ...span, end: moved >= Date.now() / 1000 ? null : moved });
  };
  const text = span.end === null ? `Last ${durationText(span.range)}` : `${momentText(span.end - span.range)} – ${momentText(span.end)}`;
  return html`<div class="picker">
    <div class="segments" role="group" aria-label="Time range">
      <button type="button" class="only-icon" aria-label="Earlier" title="Earlier" onClick=${() => move(-0.5)}><${Icon} name="earlier" /></button>
      ${RANGES.map((each) => html`<button key=${each} type="button" aria-pressed=${each === preset} onClick=${() => onChange({ range: parseDuration(each), end: null })}>${each}</button>`)}
      <button type="button" aria-pressed=${!preset} aria-expanded=${isOpen} title=${text} onClick=${() => setOpen(!isOpen)}>${preset ? "Custom" : text}</button>
      <button type="button" class="only-icon" aria-label="Later" title="Later" disabled=${span.end === null} onClick=${() => move(0.5)}><${Icon} name="later" /></button>
    </div>
    ${isOpen && html`<${CustomSpan} span=${span} onChange=${onChange} close=${() => setOpen(false)} />`}
  </div>`;
}

export function RefreshPicker({ seconds, onChange, isHeld }) {
  return html`<label class="field-inline">Refresh
    <select value=${seconds} disabled=${isHeld} title=${isHeld ? "A range that ended in the past does not change" : ""} onChange=${(event) => onChange(Number(event.target.value))}>
      ${REFRESHES.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
    </select></label>`;
}

export function Filter({ value, onChange, label }) {
  return html`<input class="filter" type="search" value=${value} placeholder=${label} aria-label=${label} onInput=${(event) => onChange(event.target.value)} />`;
}

const TONES = {
  critical: "bad", error: "bad", warning: "warn", success: "good",
  up: "good", ok: "good", inactive: "good", running: "good", healthy: "good",
  firing: "bad", down: "bad", err: "bad", failing: "bad", unhealthy: "bad",
  pending: "warn", late: "warn", degraded: "warn", waiting: "warn",
};

// A state in words; its colour only repeats them.
export const Pill = ({ state, text }) => html`<span class=${classes("pill", `tone-${TONES[state] ?? "plain"}`)}>${text ?? state}</span>`;

// Labels as name="value"; values are text whatever they contain, and long ones are folded.
export function LabelSet({ labels, without = [] }) {
  const shown = Object.entries(labels).filter(([name]) => !without.includes(name));
  return html`<span class="labels">${shown.map(
    ([name, value]) => html`<span key=${name} class="label"><span class="label-name">${name}</span>=<bdi class="label-value" title=${value.length > 80 ? value : undefined}>"${value}"</bdi></span>`,
  )}</span>`;
}

export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p><p>${children}</p></div>`;

export const Failure = ({ error }) => error && html`<div class="notice tone-bad" role="alert">${error.message}</div>`;
