// The frame around every page: navigation, the state of the connection, the theme; and which page an address means.
import { follow, link, useAddress } from "./address.js";
import { connection, read, usePoll } from "./api.js";
import { Icon } from "./components/controls.js";
import { nextTheme, themeChoice } from "./components/palette.js";
import { classes, html, render, useEffect, useState } from "./view.js";

const PAGES = [
  { path: "/", title: "Overview", load: () => import("./pages/overview.js") },
  { path: "/query", title: "Query", load: () => import("./pages/query.js") },
  { path: "/agents", title: "Agents", load: () => import("./pages/agents.js"), count: (summary) => summary.agents.down },
  { path: "/targets", title: "Targets", load: () => import("./pages/targets.js"), count: (summary) => summary.targets.down },
  { path: "/alerts", title: "Alerts", load: () => import("./pages/alerts.js"), count: (summary) => summary.alerts.firing },
  { path: "/events", title: "Events", load: () => import("./pages/events.js") },
  { path: "/rules", title: "Rules", load: () => import("./pages/rules.js") },
  { path: "/clouds", title: "Clouds", load: () => import("./pages/clouds.js") },
  { path: "/status", title: "Status", load: () => import("./pages/status.js") },
];
// Where links of Prometheus and Alertmanager lead.
const ALIASES = { "/graph": "/query" };
// Pages that another leads to.
const INNER = [{ path: "/agent", title: "Agent", above: "/agents", load: () => import("./pages/agent.js") }];
const MISSING = { path: "", title: "Not found", load: () => import("./pages/missing.js") };
const SUMMARY_SECONDS = 10;

const pageOf = (path) => [...PAGES, ...INNER].find((page) => page.path === (ALIASES[path] ?? path)) ?? MISSING;

// What the connection says comes first: it explains why nothing else is known.
function Banner({ notifications }) {
  const [state, setState] = useState({ state: connection.state, reason: connection.reason });
  useEffect(() => {
    connection.listeners.add(setState);
    return () => connection.listeners.delete(setState);
  }, []);
  const texts = { lost: "Connection lost, retrying …", starting: `The server is starting: ${state.reason}`, loading: `Not everything can be shown yet: ${state.reason}` };
  const text = texts[state.state] ?? notifications.join(" ");
  return html`<div class="banner" role="status" aria-live="polite" hidden=${!text}>${text}</div>`;
}

function ThemeButton() {
  const [choice, setChoice] = useState(themeChoice());
  return html`<button type="button" class="only-icon" aria-label=${`Theme: ${choice}`} title=${`Theme: ${choice}`} onClick=${() => setChoice(nextTheme())}>
    <${Icon} name=${choice} />
  </button>`;
}

function Bar({ page, summary }) {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(false), [page]);
  return html`<header class="bar">
    <a class="brand" href=${link("/")} data-page><img src=${new URL("favicon.svg", import.meta.url)} alt="" width="22" height="22" />nunchi</a>
    <nav id="pages" class=${classes("pages", isOpen && "is-open")} aria-label="Pages">
      ${PAGES.map(({ path, title, count }) => {
        const number = summary && count ? count(summary) : 0;
        return html`<a key=${path} href=${link(path)} data-page aria-current=${path === (page.above ?? page.path) ? "page" : undefined}>
          ${title}${number > 0 && html`<span class="badge" aria-label=${`${number} need attention`}>${number}</span>`}
        </a>`;
      })}
    </nav>
    <span class="grow"></span>
    <${ThemeButton} />
    <button type="button" class="only-icon menu" aria-label="Pages" aria-controls="pages" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
      <${Icon} name=${isOpen ? "close" : "menu"} />
    </button>
  </header>`;
}

function App() {
  const { path } = useAddress();
  const page = pageOf(path);
  const [shown, setShown] = useState(null);
  const { data: summary } = usePoll((signal) => read("/api/nunchi/v1/summary", {}, signal), SUMMARY_SECONDS, []);
  useEffect(() => {
    let isCurrent = true;
    document.title = `${page.title} · nunchi`;
    page.load().then(
      ({ Page }) => isCurrent && setShown({ page, Page }),
      () => isCurrent && connection.set("lost"),
    );
    return () => (isCurrent = false);
  }, [page]);
  return html`<${Bar} page=${page} summary=${summary} /><${Banner} notifications=${summary?.notifications ?? []} />
    <main id="main" class="page" tabindex="-1">${shown && html`<${shown.Page} key=${shown.page.title} />`}</main>`;
}

const root = document.getElementById("app");
document.addEventListener("click", follow);
root.replaceChildren();
render(html`<${App} />`, root);
