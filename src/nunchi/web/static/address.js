// The page's state in the URL: paths without a reload, parameters that survive sharing the address.
import { base } from "./api.js";
import { useEffect, useState } from "./view.js";

const CHANGED = "nunchi:address";

function present() {
  const { href, pathname, search } = location;
  return { href, path: pathname.slice(base.length) || "/", parameters: new URLSearchParams(search) };
}

// Go to a path of ours with these parameters (empty ones are left out); `replace` leaves no step to go back to.
export function go(path, parameters = {}, replace = false) {
  const url = link(path, parameters);
  if (url !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", url);
  dispatchEvent(new Event(CHANGED));
}

// The same as an address, for `href`.
export function link(path, parameters = {}) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(kept).toString();
  return base + path + (query && `?${query}`);
}

export function useAddress() {
  const [address, setAddress] = useState(present);
  useEffect(() => {
    const update = () => setAddress(present());
    addEventListener(CHANGED, update);
    addEventListener("popstate", update);
    if (location.href !== address.href) update(); // it changed between the first drawing and now
    return () => {
      removeEventListener(CHANGED, update);
      removeEventListener("popstate", update);
    };
  }, []);
  return address;
}

// Lets a click on a link of ours change the page without a reload; anything special is the browser's.
export function follow(event) {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const url = new URL(anchor.href);
  if (url.origin !== location.origin || anchor.target || url.hash || !anchor.hasAttribute("data-page")) return;
  event.preventDefault();
  history.pushState(null, "", url);
  dispatchEvent(new Event(CHANGED));
  scrollTo(0, 0);
}
