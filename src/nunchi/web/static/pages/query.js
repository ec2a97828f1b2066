// PromQL by hand: several expressions, each as table or graph. The URL is the state, in the words of Prometheus's links.
import { go, useAddress } from "../address.js";
import { Choice, Icon, SpanPicker } from "../components/controls.js";
import { Editor, remember } from "../components/editor.js";
import { PlanResult } from "../components/plan.js";
import { GraphResult, TableResult } from "../components/result.js";
import { durationText, inputTime, parseDuration, parseInputTime } from "../time.js";
import { html, useEffect, useRef, useState } from "../view.js";

const PANELS_MAX = 12;
const RANGE_SECONDS = 3600;
const GRAPH = "0";
const TABLE = "1";
const PLAN = "2";
const NEW = { expr: "", tab: TABLE, range: RANGE_SECONDS, end: null, step: "" };

// A time of a link: seconds since the epoch, or "2026-01-31 12:00:00" in UTC as Prometheus writes it.
function readEnd(text) {
  if (!text) return null;
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(`${text.replace(" ", "T")}Z`) / 1000;
  return seconds > 0 ? seconds : null;
}

function readPanels(parameters) {
  const panels = [];
  for (let at = 0; at < PANELS_MAX && parameters.has(`g${at}.expr`); at += 1) {
    const of = (name) => parameters.get(`g${at}.${name}`) ?? "";
    const range = parseDuration(of("range_input"));
    panels.push({ expr: of("expr"), tab: [GRAPH, PLAN].includes(of("tab")) ? of("tab") : TABLE, range: range > 0 ? range : RANGE_SECONDS, end: readEnd(of("end_input")), step: of("step_input") });
  }
  return panels.length ? panels : [NEW];
}

function writePanels(panels) {
  const parameters = {};
  panels.forEach(({ expr, tab, range, end, step }, at) => {
    Object.assign(parameters, { [`g${at}.expr`]: expr, [`g${at}.tab`]: tab, [`g${at}.range_input`]: durationText(range), [`g${at}.end_input`]: end, [`g${at}.step_input`]: step });
    if (!expr) delete parameters[`g${at}.expr`];
  });
  return parameters;
}

function EvaluationTime({ end, onChange }) {
  return html`<label class="field-inline">At <input type="datetime-local" step="1" value=${end ? inputTime(end) : ""} aria-label="Evaluation time; empty means now"
    onChange=${(event) => onChange(event.target.value ? parseInputTime(event.target.value) : null)} /></label>
    ${end && html`<button type="button" onClick=${() => onChange(null)}>Now</button>`}`;
}

function Panel({ panel, onChange, onRemove }) {
  const [draft, setDraft] = useState(panel.expr);
  const [turn, setTurn] = useState(0);
  const own = useRef(panel.expr);
  useEffect(() => {
    if (panel.expr !== own.current) setDraft(panel.expr);
    own.current = panel.expr;
  }, [panel.expr]);
  function run(text = draft) {
    const expr = text.trim();
    own.current = expr;
    remember(expr);
    setTurn(turn + 1);
    onChange({ expr });
  }
  const span = { range: panel.range, end: panel.end };
  return html`<section class="card query">
    <div class="row query-row"><${Editor} value=${draft} onChange=${setDraft} onRun=${run} />
      <button type="button" class="primary" onClick=${() => run()}>Run</button>
      ${onRemove && html`<button type="button" class="only-icon" aria-label="Remove this expression" title="Remove" onClick=${onRemove}><${Icon} name="close" /></button>`}</div>
    <div class="row"><${Choice} label="Result as" options=${[[TABLE, "Table"], [GRAPH, "Graph"], [PLAN, "Plan"]]} value=${panel.tab} onChange=${(tab) => onChange({ tab })} /><span class="grow"></span>
      ${panel.tab === TABLE
        ? html`<${EvaluationTime} end=${panel.end} onChange=${(end) => onChange({ end })} />`
        : html`<${SpanPicker} span=${span} onChange=${onChange} />
          <label class="field-inline">Step <input class="step" value=${panel.step} placeholder="auto" aria-label="Step; empty means automatic" onChange=${(event) => onChange({ step: event.target.value.trim() })} /></label>`}</div>
    ${panel.expr
      ? panel.tab === TABLE
        ? html`<${TableResult} expression=${panel.expr} end=${panel.end} turn=${turn} />`
        : panel.tab === PLAN
          ? html`<${PlanResult} expression=${panel.expr} span=${span} step=${panel.step} turn=${turn} />`
          : html`<${GraphResult} expression=${panel.expr} span=${span} step=${panel.step} turn=${turn} interval=${0}
            onZoom=${(from, to) => onChange({ range: Math.max(1, Math.round(to - from)), end: Math.round(to) })} />`
      : html`<p class="muted hint">Enter runs the expression, Shift+Enter starts a new line, Ctrl+Space suggests, the arrow keys recall what was run before.</p>`}
  </section>`;
}

export function Page() {
  const { parameters } = useAddress();
  const [panels, setPanels] = useState(() => readPanels(parameters).map((panel, id) => ({ ...panel, id })));
  const next = useRef(panels.length);
  const written = useRef(null);
  const text = parameters.toString();
  useEffect(() => {
    if (written.current !== null && written.current !== text) {
      setPanels(readPanels(parameters).map((panel) => ({ ...panel, id: (next.current += 1) })));
    }
    written.current = text;
  }, [text]);
  function keep(changed) {
    setPanels(changed);
    const address = writePanels(changed);
    const kept = Object.entries(address).filter(([, value]) => value !== undefined && value !== null && value !== "");
    written.current = new URLSearchParams(kept).toString();
    go("/query", address);
  }
  return html`<div class="head"><h1>Query</h1></div>
    ${panels.map((panel, at) => html`<${Panel} key=${panel.id} panel=${panel}
      onChange=${(change) => keep(panels.map((each, index) => (index === at ? { ...each, ...change } : each)))}
      onRemove=${panels.length > 1 ? () => keep(panels.filter((_, index) => index !== at)) : null} />`)}
    ${panels.length < PANELS_MAX && html`<button type="button" class="add" onClick=${() => setPanels([...panels, { ...NEW, id: (next.current += 1) }])}><${Icon} name="plus" /> Add expression</button>`}`;
}
