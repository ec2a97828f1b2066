// What could stand at the caret of a PromQL text: metric names, functions, keywords, label names, label values.
import { read } from "../api.js";

const SUGGESTIONS_MAX = 40;
const FETCH_VALUES_MAX = 2000;
const FRESH_MS = 30000;
const KEYWORDS = ["by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "and", "or", "unless", "atan2"];
const CLOSERS = { "(": ")", "{": "}", "[": "]" };
const GROUPINGS = /\b(by|without|on|ignoring|group_left|group_right)\s*$/i;

const kept = new Map();

// An answer of the API, asked at most once in a while; a failure is an empty answer: completion is a convenience.
function fetchOnce(path, parameters) {
  const key = path + JSON.stringify(parameters);
  const found = kept.get(key);
  if (found && Date.now() - found.at < FRESH_MS) return found.answer;
  const answer = read(path, parameters).catch(() => []);
  kept.set(key, { at: Date.now(), answer });
  return answer;
}

// The open brackets before the caret, innermost last, each with where it stands; and the quote that is still open.
function openings(text) {
  const stack = [];
  let quote = null;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quote) {
      if (character === "\\" && quote.character !== "`") at += 1;
      else if (character === quote.character) quote = null;
    } else if (`"'\``.includes(character)) quote = { character, at };
    else if (character === "#") {
      const end = text.indexOf("\n", at);
      if (end < 0) return { stack, quote: null, isComment: true };
      at = end;
    } else if (CLOSERS[character]) stack.push({ character, at });
    else if (Object.values(CLOSERS).includes(character)) stack.pop();
  }
  return { stack, quote, isComment: false };
}

// What kind of word is being typed at the end of `text`, which word, and for labels of which metric.
export function contextOf(text) {
  const { stack, quote, isComment } = openings(text);
  const inner = stack.at(-1);
  if (isComment) return null;
  const metric = inner?.character === "{" ? (/([a-zA-Z_:][\w:]*)\s*$/.exec(text.slice(0, inner.at))?.[1] ?? "") : "";
  if (quote) {
    const label = inner?.character === "{" && /([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*$/.exec(text.slice(0, quote.at))?.[1];
    return label ? { kind: "value", label, metric, word: text.slice(quote.at + 1) } : null;
  }
  const word = /[a-zA-Z_:][\w:]*$/.exec(text)?.[0] ?? "";
  const before = text.slice(0, text.length - word.length);
  if (inner?.character === "{") return /[{,]\s*$/.test(before) ? { kind: "label", metric, word } : null;
  if (inner?.character === "[") return null;
  if (inner?.character === "(" && GROUPINGS.test(text.slice(0, inner.at))) {
    const metrics = [...text.matchAll(/[a-zA-Z_:][\w:]*(?=\s*[{[)])/g)].map(([name]) => name);
    return { kind: "label", metric: metrics.at(-1) ?? "", word };
  }
  if (/[\d.]$/.test(before)) return null;
  return word ? { kind: "name", word } : null;
}

// Prefix matches first, then matches inside, shorter first.
export function rank(candidates, word) {
  const wanted = word.toLowerCase();
  const scored = [];
  for (const candidate of candidates) {
    const at = candidate.text.toLowerCase().indexOf(wanted);
    if (at >= 0 && candidate.text !== word) scored.push([at === 0 ? 0 : 1, candidate.text.length, candidate]);
  }
  scored.sort((a, b) => a[0] - b[0] || a[1] - b[1] || (a[2].text < b[2].text ? -1 : 1));
  return scored.slice(0, SUGGESTIONS_MAX).map(([, , candidate]) => candidate);
}

const selectorOf = (metric) => (metric ? { "match[]": `{__name__=${JSON.stringify(metric)}}` } : {});

async function candidatesOf(context) {
  if (context.kind === "value") {
    const values = await fetchOnce(`/api/v1/label/${encodeURIComponent(context.label)}/values`, { ...selectorOf(context.metric), limit: FETCH_VALUES_MAX });
    return values.map((text) => ({ text, kind: "value" }));
  }
  if (context.kind === "label") {
    const names = await fetchOnce("/api/v1/labels", selectorOf(context.metric));
    return names.filter((name) => name !== "__name__").map((text) => ({ text, kind: "label" }));
  }
  const [metrics, functions, metadata] = await Promise.all([
    fetchOnce("/api/v1/label/__name__/values", {}),
    fetchOnce("/api/nunchi/v1/functions", {}),
    fetchOnce("/api/v1/metadata", {}),
  ]);
  return [
    ...metrics.map((text) => ({ text, kind: metadata[text]?.[0]?.type ?? "metric", help: metadata[text]?.[0]?.help })),
    ...(functions.functions ?? []).map(({ name, signature, documentation, is_python }) => ({
      text: name,
      kind: is_python ? "Python" : "function",
      help: documentation ? `${signature} — ${documentation.split("\n")[0]}` : signature,
      after: "(",
    })),
    ...(functions.aggregations ?? []).map((text) => ({ text, kind: "aggregation", after: "(" })),
    ...KEYWORDS.map((text) => ({ text, kind: "keyword" })),
  ];
}

// Suggestions for a text and caret: {word, items}, or null. `after` of an item follows it when it is accepted.
export async function complete(text, caret) {
  const context = contextOf(text.slice(0, caret));
  if (!context) return null;
  const items = rank(await candidatesOf(context), context.word);
  return items.length ? { word: context.word, items } : null;
}
