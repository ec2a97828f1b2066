// uPlot as these pages use it: options, stacking, axes. Plain functions over `{times, series: [{label, values, colour}]}`.
import uPlot from "../vendor/uplot.js";
import { timeTicks } from "../time.js";
import { BYTE_STEPS, SECOND_STEPS, format } from "../units.js";
import { dashOf, fade, strokeOf } from "./palette.js";

export const PLOT_HEIGHT = 190;
const AXIS_FONT = "11px system-ui, sans-serif";
const NEAR_PIXELS = 24;

// Values as they are drawn: the visible series of a stack on top of each other, absent ones as nothing.
function stack(series, isShown) {
  const sum = new Array(series[0]?.values.length ?? 0).fill(0);
  return series.map(({ values }, index) => {
    if (!isShown(index)) return values;
    return values.map((value, at) => {
      if (value === null) return null;
      sum[at] += value;
      return sum[at];
    });
  });
}

export function drawnData({ times, series }, stacked, isShown) {
  return [times, ...(stacked ? stack(series, isShown) : series.map(({ values }) => values))];
}

// Which pairs of neighbouring visible series enclose a coloured band.
export function bandsOf(count, stacked, isShown) {
  if (!stacked) return [];
  const shown = Array.from({ length: count }, (_, index) => index).filter(isShown);
  return shown.slice(1).map((upper, at) => ({ series: [upper + 1, shown[at] + 1] }));
}

// Samples without neighbours would be invisible lines: they are drawn as points.
function lonePoints(plot, index) {
  const values = plot.data[index];
  const lone = [];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] !== null && values[at - 1] == null && values[at + 1] == null) lone.push(at);
  }
  return lone.length ? lone : null;
}

function valueRange(low, high) {
  return (_plot, least, most) => {
    if (least === null || most === null) return [low ?? 0, high ?? 1];
    const bottom = low ?? (least >= 0 ? 0 : least * 1.08);
    const top = high !== undefined && most <= high ? high : most <= 0 ? 0 : most * 1.08;
    return top > bottom ? [bottom, top] : [bottom, bottom + 1];
  };
}

function axes(unit, palette) {
  const common = { stroke: palette.axis, font: AXIS_FONT, grid: { stroke: palette.grid, width: 1 }, ticks: { show: false } };
  const steps = unit.startsWith("bytes") ? BYTE_STEPS : unit === "seconds" ? SECOND_STEPS : null;
  return [
    { ...common, values: timeTicks, space: 70, size: 26, gap: 6 },
    {
      ...common,
      size: 68,
      gap: 6,
      space: 34,
      ...(steps ? { incrs: steps } : {}),
      values: (_plot, splits) => splits.map((value) => format(value, unit)),
    },
  ];
}

// Options of a plot. `span()` gives [from, to] of the time axis; `hooks` are uPlot's.
export function plotOptions({ series, unit = "", stacked, low, high, palette, span, width, height, hooks, isShown }) {
  return {
    width,
    height,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    focus: { alpha: stacked ? 1 : 0.35 },
    cursor: {
      sync: { key: "time", setSeries: false },
      focus: { prox: NEAR_PIXELS },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
    },
    scales: { x: { time: true, range: span }, y: { range: valueRange(low, high) } },
    axes: axes(unit, palette),
    series: [
      {},
      ...series.map(({ label, colour }, index) => ({
        label,
        show: isShown(index),
        stroke: strokeOf(palette, colour),
        dash: stacked ? [] : dashOf(colour),
        width: stacked ? 1 : 1.6,
        fill: stacked ? fade(strokeOf(palette, colour), 0.42) : undefined,
        points: { filter: lonePoints, show: false, size: 5, fill: strokeOf(palette, colour) },
      })),
    ],
    bands: bandsOf(series.length, stacked, isShown),
    hooks,
  };
}

export const makePlot = (options, data, element) => new uPlot(options, data, element);
