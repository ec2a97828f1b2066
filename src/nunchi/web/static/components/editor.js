// The PromQL input: grows with its text, suggests while typing, remembers what was run.
import { classes, html, memory, useEffect, useLayoutEffect, useRef, useState } from "../view.js";
import { complete } from "./completion.js";

const HISTORY_MAX = 50;
const DELAY_MS = 80;
let made = 0;

const history = () => memory.load("history", []);

export function remember(expression) {
  if (!expression.trim()) return;
  memory.save("history", [expression, ...history().filter((each) => each !== expression)].slice(0, HISTORY_MAX));
}

function Suggestions({ id, list, onChoose }) {
  const box = useRef(null);
  useEffect(() => box.current?.children[list.chosen]?.scrollIntoView({ block: "nearest" }), [list.chosen]);
  return html`<ul class="suggestions" id=${id} role="listbox" aria-label="Suggestions" ref=${box}>
    ${list.items.map(
      (item, index) => html`<li key=${`${item.kind} ${item.text}`} id=${`${id}-${index}`} role="option" aria-selected=${index === list.chosen}
        onMouseDown=${(event) => event.preventDefault()} onClick=${() => onChoose(index)}>
        <bdi class="suggestion-text">${item.text}</bdi><span class="muted suggestion-kind">${item.kind}</span>
        ${item.help && html`<span class="muted suggestion-help">${item.help}</span>`}
      </li>`,
    )}
  </ul>`;
}

// `onRun(text)` on Enter; Shift+Enter is a new line; the arrows walk through what was run when nothing is suggested.
export function Editor({ value, onChange, onRun, isInvalid }) {
  const input = useRef(null);
  const timer = useRef(0);
  const asked = useRef(0);
  const past = useRef({ at: -1, draft: "" });
  const [id] = useState(() => `suggestions-${(made += 1)}`);
  const [list, setList] = useState(null);

  useLayoutEffect(() => {
    input.current.style.height = "auto";
    input.current.style.height = `${input.current.scrollHeight + 2}px`;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);

  function close() {
    asked.current += 1;
    clearTimeout(timer.current);
    setList(null);
  }

  function suggest(delay = DELAY_MS) {
    clearTimeout(timer.current);
    const turn = (asked.current += 1);
    timer.current = setTimeout(async () => {
      const found = await complete(input.current.value, input.current.selectionStart);
      if (turn === asked.current && document.activeElement === input.current) setList(found && { ...found, chosen: 0 });
    }, delay);
  }

  function accept(index) {
    const { text, after = "" } = list.items[index];
    const caret = input.current.selectionStart;
    const start = caret - list.word.length;
    const rest = input.current.value.slice(caret);
    const inserted = text + (rest.startsWith(after) ? "" : after);
    input.current.setRangeText(inserted, start, caret, "end"); // at once: the next key may come before the next drawing
    close();
    onChange(input.current.value);
    input.current.focus();
  }

  function recall(direction) {
    const entries = history();
    const at = past.current.at + direction;
    if (at < -1 || at >= entries.length) return false;
    if (past.current.at === -1) past.current.draft = value;
    past.current.at = at;
    onChange(at === -1 ? past.current.draft : entries[at]);
    return true;
  }

  function press(event) {
    const isSingle = !value.includes("\n");
    if (list && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      const move = event.key === "ArrowDown" ? 1 : list.items.length - 1;
      setList({ ...list, chosen: (list.chosen + move) % list.items.length });
    } else if (list && (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey && !event.ctrlKey))) accept(list.chosen);
    else if (list && event.key === "Escape") close();
    else if (event.key === "Enter" && !event.shiftKey) {
      close();
      past.current = { at: -1, draft: "" };
      onRun(value);
    } else if (event.key === " " && event.ctrlKey) suggest(0);
    else if (!isSingle || !["ArrowUp", "ArrowDown"].includes(event.key) || !recall(event.key === "ArrowUp" ? 1 : -1)) return;
    event.preventDefault();
  }

  return html`<div class="editor">
    <textarea ref=${input} rows="1" class=${classes("code", isInvalid && "is-invalid")} value=${value} spellcheck="false" autocapitalize="off" autocomplete="off"
      placeholder="PromQL expression, for example  rate(node_cpu_seconds_total[1m])" aria-label="PromQL expression" aria-invalid=${isInvalid}
      role="combobox" aria-autocomplete="list" aria-expanded=${Boolean(list)} aria-controls=${id} aria-activedescendant=${list ? `${id}-${list.chosen}` : undefined}
      onInput=${(event) => {
        past.current.at = -1;
        onChange(event.target.value);
        suggest();
      }}
      onKeyDown=${press} onBlur=${close} onClick=${close}></textarea>
    ${list && html`<${Suggestions} id=${id} list=${list} onChoose=${accept} />`}
  </div>`;
}
