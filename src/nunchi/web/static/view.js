// What every component needs: `html` for markup, and the hooks. Texts in `html` become text nodes, never markup.
import { Fragment, h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
export { Fragment, render };
export const html = htm.bind(h);

// Class names out of words and conditions: `classes("pill", isBad && "bad")`.
export const classes = (...words) => words.filter(Boolean).join(" ");

// A value kept in this browser; anything unreadable or refused reads as `fallback`.
export const memory = {
  load(key, fallback) {
    try {
      return JSON.parse(localStorage.getItem(`nunchi.${key}`)) ?? fallback;
    } catch {
      return fallback;
    }
  },
  save(key, value) {
    try {
      localStorage.setItem(`nunchi.${key}`, typeof value === "string" ? value : JSON.stringify(value));
    } catch {
      // Private windows may refuse to store; the page works without.
    }
  },
};
