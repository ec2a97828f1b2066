// Colours of the present theme, resolved for canvases; and the theme itself.
import { memory, useEffect, useState } from "../view.js";

export const SERIES_COLOURS = 8;
const CHANGED = "nunchi:theme";
const THEMES = ["auto", "light", "dark"];
const DASHES = [[], [6, 3], [2, 3]];

// The computed colour of a custom property of style.css.
function resolve(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  probe.hidden = true;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

export function readPalette() {
  return {
    series: Array.from({ length: SERIES_COLOURS }, (_, index) => resolve(`series-${index + 1}`)),
    axis: resolve("muted"),
    grid: resolve("grid"),
    ground: resolve("surface"),
  };
}

// Colour, and for the series beyond the palette a dash, by position.
export const strokeOf = (palette, index) => palette.series[index % SERIES_COLOURS];
export const dashOf = (index) => DASHES[Math.floor(index / SERIES_COLOURS) % DASHES.length];
export const fade = (colour, alpha) => colour.replace(/^rgba?\(([^)]+)\)$/, (_, parts) => `rgba(${parts.split(",").slice(0, 3).join(",")}, ${alpha})`);

// A number that changes whenever colours do.
export function useThemeVersion() {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const update = () => setVersion((before) => before + 1);
    addEventListener(CHANGED, update);
    system.addEventListener("change", update);
    return () => {
      removeEventListener(CHANGED, update);
      system.removeEventListener("change", update);
    };
  }, []);
  return version;
}

export const themeChoice = () => document.documentElement.dataset.theme ?? "auto";

export function nextTheme() {
  const choice = THEMES[(THEMES.indexOf(themeChoice()) + 1) % THEMES.length];
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  memory.save("theme", choice);
  dispatchEvent(new Event(CHANGED));
  return choice;
}
