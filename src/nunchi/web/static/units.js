// Numbers for people. A unit is "bytes", "bytes/s", "percent" (of fractions), "seconds", "count", "/s" or "" (as it is).
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const SI = ["", "k", "M", "G", "T", "P", "E"];
const SMALL = ["", "m", "µ", "n"];
// What an axis of durations may count in: decimal below a second, then what clocks have.
export const SECOND_STEPS = [
  ...[-6, -5, -4, -3, -2, -1].flatMap((power) => [1, 2, 5].map((step) => Number(`${step}e${power}`))),
  ...[1, 2, 5, 10, 15, 30].flatMap((step) => [step, step * 60]),
  ...[1, 2, 3, 6, 12].map((step) => step * 3600),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((step) => step * 86400),
].sort((left, right) => left - right);
export const BYTE_STEPS = Array.from({ length: 62 }, (_, power) => 2 ** power);

// At most three significant digits, never an exponent within the usual sizes.
function digits(number) {
  const size = Math.abs(number);
  return Number(number.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)).toString();
}

function scaled(value, step, names) {
  let rank = 0;
  let rest = value;
  while (Math.abs(rest) >= step * 0.9995 && rank < names.length - 1) {
    rest /= step;
    rank += 1;
  }
  return `${digits(rest)} ${names[rank]}`.trim();
}

function count(value) {
  const size = Math.abs(value);
  if (size >= 10000) return scaled(value, 1000, SI).replace(" ", " ");
  if (size === 0 || size >= 0.01) return digits(value);
  let rank = 0;
  let rest = value;
  while (Math.abs(rest) < 1 && rank < SMALL.length - 1) {
    rest *= 1000;
    rank += 1;
  }
  return Math.abs(rest) < 0.005 ? value.toExponential(1) : `${digits(rest)} ${SMALL[rank]}`;
}

// A duration: two units at most from a minute on.
export function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1e-3) return `${digits(seconds * 1e6)} µs`;
  if (size < 1) return `${digits(seconds * 1e3)} ms`;
  if (size < 60) return `${digits(seconds)} s`;
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = parts.findIndex(([length]) => size >= length);
  let rest = Math.round(size / (parts[first + 1]?.[0] ?? 1)) * (parts[first + 1]?.[0] ?? 1);
  const words = parts.slice(first, first + 2).map(([length, name]) => {
    const whole = Math.floor(rest / length);
    rest -= whole * length;
    return whole ? `${whole} ${name}` : "";
  });
  return (seconds < 0 ? "-" : "") + words.filter(Boolean).join(" ");
}

// A value with its unit.
export function format(value, unit = "") {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  switch (unit) {
    case "bytes": return scaled(value, 1024, IEC);
    case "bytes/s": return `${scaled(value, 1024, IEC)}/s`;
    case "percent": return `${digits(value * 100)} %`;
    case "seconds": return duration(value);
    case "/s": return `${count(value)}/s`;
    case "count": return count(value);
    default: return Math.abs(value) >= 1e6 || (value && Math.abs(value) < 1e-3) ? count(value) : String(Number(value.toPrecision(6)));
  }
}

// How long ago a time (seconds since the epoch) was, short.
export function ago(seconds, now = Date.now() / 1000) {
  if (!seconds) return "never";
  const age = now - seconds;
  if (age < 0.95) return "just now";
  return `${age < 10 ? `${age.toFixed(1)} s` : duration(Math.round(age))} ago`;
}

// A sample value of the API ("NaN", "+Inf", "1.5") as a number.
export const parseValue = (text) => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));
