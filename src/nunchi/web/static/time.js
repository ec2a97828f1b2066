// Time as people read and choose it. Seconds since the epoch everywhere; local time on the screen.
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 604800];
export const RANGES = ["5m", "15m", "1h", "6h", "24h"];

// Seconds of a duration like `1h30m`; NaN where it is none.
export function parseDuration(text) {
  const parts = [...String(text).trim().matchAll(/(\d+)(ms|[smhdwy])/g)];
  if (!parts.length || parts.map(([whole]) => whole).join("") !== String(text).trim()) return NaN;
  return parts.reduce((sum, [, number, unit]) => sum + number * UNITS[unit], 0);
}

// A duration as a parameter, in the largest unit that divides it.
export function durationText(seconds) {
  const unit = ["d", "h", "m"].find((each) => seconds % UNITS[each] === 0 && (each !== "d" || seconds > 86400)) ?? "s";
  return `${seconds / UNITS[unit]}${unit}`;
}

// The step of a graph: the smallest of the usual ones that makes at most `points` of them.
export function niceStep(range, points = 240) {
  return STEPS.find((step) => range / step <= points) ?? Math.ceil(range / points);
}

// What a range picker chose, out of URL parameters: `end` is null while it is now.
export function readSpan(parameters, fallback = "15m") {
  const range = parseDuration(parameters.get("range") ?? fallback);
  const end = Number(parameters.get("end"));
  return { range: range > 0 ? range : parseDuration(fallback), end: end > 0 ? end : null };
}

// The same as parameters.
export const writeSpan = ({ range, end }) => ({ range: durationText(range), end: end ?? "" });

// Start, end and step of a query, on multiples of the step, so that a moving graph does not flicker.
export function gridOf({ range, end }, step = niceStep(range)) {
  const last = Math.floor((end ?? Date.now() / 1000) / step) * step;
  return { start: last - Math.floor(range / step) * step, end: last, step };
}

const two = (number) => String(number).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function clockText(seconds, withSeconds = true) {
  const date = new Date(seconds * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}${withSeconds ? `:${two(date.getSeconds())}` : ""}`;
}

export function dayText(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

export const momentText = (seconds) => `${dayText(seconds)} ${clockText(seconds)}`;

// For `<input type="datetime-local">`, and back.
export function inputTime(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${clockText(seconds)}`;
}

export const parseInputTime = (text) => Math.floor(new Date(text).getTime() / 1000);

// Seconds of an API time; 0 for "never", the year 1.
export function parseMoment(text) {
  const seconds = Date.parse(text) / 1000;
  return seconds > 0 ? seconds : 0;
}

// Ticks of a time axis: seconds only where they differ, the day at midnight.
export function timeTicks(_plot, splits, _axis, _space, increment) {
  return splits.map((seconds) => {
    const date = new Date(seconds * 1000);
    const isMidnight = !date.getHours() && !date.getMinutes() && !date.getSeconds();
    return increment >= 86400 || isMidnight ? dayText(seconds) : clockText(seconds, increment < 60);
  });
}
