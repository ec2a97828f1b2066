// A live chart: plot, tooltip at the crosshair, legend whose entries switch series on and off.
import { momentText } from "../time.js";
import { format } from "../units.js";
import { classes, html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../view.js";
import { dashOf, readPalette, strokeOf, useThemeVersion } from "./palette.js";
import { PLOT_HEIGHT, bandsOf, drawnData, makePlot, plotOptions } from "./plot.js";

const TOOLTIP_ROWS_MAX = 12;
const ZOOM_PIXELS_MIN = 6;

function lastValue(values) {
  for (let at = values.length - 1; at >= 0; at -= 1) if (values[at] !== null) return values[at];
  return null;
}

function tooltipRows(series, hidden, at, focused) {
  const rows = series
    .map(({ label, values, colour }, index) => ({ label, index, colour, value: values[at] ?? null }))
    .filter(({ label, value }) => value !== null && !hidden.has(label))
    .sort((a, b) => b.value - a.value);
  const near = rows.findIndex(({ index }) => index === focused);
  if (near >= TOOLTIP_ROWS_MAX) rows.splice(TOOLTIP_ROWS_MAX - 1, 0, ...rows.splice(near, 1));
  return rows;
}

function Tooltip({ point, data, hidden, unit, palette }) {
  if (!point) return null;
  const rows = tooltipRows(data.series, hidden, point.at, point.focused);
  const rest = rows.length - TOOLTIP_ROWS_MAX;
  return html`<div class=${classes("tooltip", point.isRight && "tooltip-left")} style=${{ left: `${point.left}px` }}>
    <div class="tooltip-time">${momentText(data.times[point.at])}</div>
    ${rows.length === 0 && html`<div class="muted">no data here</div>`}
    ${rows.slice(0, TOOLTIP_ROWS_MAX).map(
      ({ label, index, colour, value }) => html`<div key=${label} class=${classes("tooltip-row", index === point.focused && "is-near")}>
        <i class="swatch" style=${{ background: strokeOf(palette, colour) }}></i>
        <bdi class="tooltip-label">${label}</bdi><b>${format(value, unit)}</b>
      </div>`,
    )}
    ${rest > 0 && html`<div class="muted">and ${rest} more</div>`}
  </div>`;
}

function Legend({ series, hidden, setHidden, unit, palette }) {
  function toggle(label, event) {
    const others = series.map((each) => each.label).filter((each) => each !== label);
    if (event.shiftKey || event.altKey) {
      setHidden(others.every((each) => hidden.has(each)) ? new Set() : new Set(others));
      return;
    }
    const next = new Set(hidden);
    if (!next.delete(label)) next.add(label);
    setHidden(next);
  }
  return html`<ul class="legend" aria-label="Series">
    ${series.map(
      ({ label, values, colour }) => html`<li key=${label}>
        <button type="button" aria-pressed=${!hidden.has(label)} title=${`${label.slice(0, 300)}\nClick: show or hide. Shift+click: only this one.`}
          onClick=${(event) => toggle(label, event)}>
          <i class=${classes("swatch", dashOf(colour).length > 0 && "swatch-dashed")} style=${{ background: strokeOf(palette, colour) }}></i>
          <bdi class="legend-label">${label}</bdi><span class="legend-value">${format(lastValue(values), unit)}</span>
        </button>
      </li>`,
    )}
  </ul>`;
}

// `data` is {times, series: [{label, values, colour}]}, values null where absent, colours by position; `span` [from, to]; `onZoom(from, to)`.
export function Chart({ title, data, unit = "", stacked = false, low, high, span, onZoom, height = PLOT_HEIGHT }) {
  const host = useRef(null);
  const plot = useRef(null);
  const now = useRef({});
  const [hidden, setHidden] = useState(() => new Set());
  const [point, setPoint] = useState(null);
  const themeVersion = useThemeVersion();
  const palette = useMemo(readPalette, [themeVersion]);
  const names = JSON.stringify(data.series.map(({ label }) => label));
  const isShown = (index) => !hidden.has(data.series[index]?.label);
  Object.assign(now.current, { span, onZoom, isHovered: now.current.isHovered ?? false, focused: now.current.focused ?? null });

  useLayoutEffect(() => {
    const element = host.current;
    const hooks = {
      setSeries: [(_plot, index, options) => options.focus && (now.current.focused = index === null ? null : index - 1)],
      setCursor: [
        (self) => {
          const { idx: at, left } = self.cursor;
          const isRight = left > self.over.clientWidth / 2;
          const x = self.over.offsetLeft + left;
          setPoint(now.current.isHovered && at != null && left >= 0 ? { at, isRight, left: x, focused: now.current.focused } : null);
        },
      ],
      setSelect: [
        (self) => {
          const { left, width } = self.select;
          if (width >= ZOOM_PIXELS_MIN) now.current.onZoom?.(self.posToVal(left, "x"), self.posToVal(left + width, "x"));
          self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        },
      ],
    };
    const width = Math.max(element.clientWidth, 120);
    const options = plotOptions({
      series: data.series, unit, stacked, low, high, palette, width, height, hooks, isShown, span: () => now.current.span,
    });
    const made = makePlot(options, drawnData(data, stacked, isShown), element);
    const enter = () => (now.current.isHovered = true);
    const leave = () => {
      now.current.isHovered = false;
      setPoint(null);
    };
    made.over.addEventListener("mouseenter", enter);
    made.over.addEventListener("mouseleave", leave);
    const observer = new ResizeObserver(() => element.clientWidth && made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    plot.current = made;
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [names, unit, stacked, low, high, palette, height]);

  useEffect(() => {
    const drawn = plot.current;
    if (!drawn) return;
    drawn.batch(() => {
      drawn.delBand(null);
      for (const band of bandsOf(data.series.length, stacked, isShown)) drawn.addBand(band);
      data.series.forEach((_, index) => {
        if (drawn.series[index + 1].show !== isShown(index)) drawn.setSeries(index + 1, { show: isShown(index) });
      });
      drawn.setData(drawnData(data, stacked, isShown));
    });
  }, [data, hidden, span[0], span[1]]);

  const summary = data.series.slice(0, 8).map(({ label, values }) => `${label} ${format(lastValue(values), unit)}`).join(", ");
  return html`<div class="chart">
    <div class="chart-plot" ref=${host} role="img" aria-label=${`${title}: ${summary || "no data"}`}></div>
    <${Tooltip} point=${point} data=${data} hidden=${hidden} unit=${unit} palette=${palette} />
    <${Legend} series=${data.series} hidden=${hidden} setHidden=${setHidden} unit=${unit} palette=${palette} />
  </div>`;
}
