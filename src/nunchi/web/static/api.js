// The one way to the server: abortable requests, one error type, polling that never overlaps and backs off.
import { useEffect, useRef, useState } from "./view.js";

const BACKOFF_SECONDS_MAX = 15;
const STARTING_SECONDS = 1;
const GET_CHARACTERS_MAX = 2000;
export const base = document.getElementById("app").dataset.base;

// A request without an answer worth having; `type` is the API's errorType, "connection" or "starting".
export class ApiError extends Error {
  constructor(type, message) {
    super(message);
    this.type = type;
  }
}

// "ok", "lost", "starting" or "loading" (answers are missing until what is stored is loaded), with the server's reason.
// The banner listens.
export const connection = {
  state: "ok",
  reason: "",
  listeners: new Set(),
  set(state, reason = "") {
    if (state === this.state && reason === this.reason) return;
    Object.assign(this, { state, reason });
    for (const listener of this.listeners) listener({ state, reason });
  },
};

function encode(parameters) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) if (each !== undefined && each !== null && each !== "") form.append(name, each);
  }
  return form;
}

async function send(path, form, signal) {
  const query = form.toString();
  const isLong = query.length > GET_CHARACTERS_MAX;
  try {
    return await (isLong
      ? fetch(base + path, { method: "POST", body: form, signal })
      : fetch(base + path + (query && `?${query}`), { signal }));
  } catch (error) {
    if (signal?.aborted) throw error;
    connection.set("lost");
    throw new ApiError("connection", "The server does not answer.");
  }
}

// Follows how far the server is with loading, until every question can be answered.
async function watchLoading(reason) {
  if (connection.state === "loading") return;
  connection.set("loading", reason);
  while (connection.state === "loading") {
    await new Promise((resolve) => setTimeout(resolve, STARTING_SECONDS * 1000));
    try {
      const response = await fetch(`${base}/-/ready`);
      const text = (await response.text()).trim().replace(/^Service Unavailable:\s*/, "");
      if (response.ok) connection.set("ok");
      else connection.set("loading", text);
    } catch {
      connection.set("lost");
    }
  }
}

// An answer and its JSON, whatever its status; raises ApiError, or the abort's own error.
async function answered(path, parameters, signal) {
  const response = await send(path, encode(parameters), signal);
  const text = await response.text();
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    const reason = text.trim().slice(0, 300) || response.statusText;
    if (response.status === 503) connection.set("starting", reason.replace(/^Service Unavailable:\s*/, ""));
    throw new ApiError(response.status === 503 ? "starting" : "http", `${response.status}: ${reason}`);
  }
  if (response.status === 503 && answer.errorType === "unavailable") watchLoading(answer.error);
  else if (connection.state !== "loading") connection.set("ok");
  return { response, answer };
}

// The whole answer, `{data, warnings, infos}`, of one endpoint of Prometheus's kind.
export async function ask(path, parameters = {}, signal = undefined) {
  const { answer } = await answered(path, parameters, signal);
  if (answer.status !== "success") throw new ApiError(answer.errorType ?? "http", answer.error ?? "The answer is not understood.");
  return answer;
}

// The JSON of an endpoint that answers plainly: a body, or `{error}` and a status.
export async function readPlain(path, parameters = {}, signal = undefined) {
  const { response, answer } = await answered(path, parameters, signal);
  if (!response.ok) throw new ApiError("http", answer.error ?? `${response.status}: ${response.statusText}`);
  return answer;
}

// Only the data of one endpoint.
export const read = async (path, parameters, signal) => (await ask(path, parameters, signal)).data;

// Changes something at an endpoint that answers plainly: `body` is sent as JSON.
export async function change(method, path, body = {}) {
  let response;
  try {
    response = await fetch(base + path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    connection.set("lost");
    throw new ApiError("connection", "The server does not answer.");
  }
  const text = await response.text();
  if (response.ok) return;
  let reason = text.trim().slice(0, 300) || response.statusText;
  try {
    reason = JSON.parse(text).error ?? reason;
  } catch {
    // A refusal of the server itself is one line of text.
  }
  throw new ApiError("http", `${response.status}: ${reason}`);
}

// Asks `load(signal)` now, whenever `dependencies` change, and `interval` seconds after each answer (0: once).
// Rests while the page is hidden. While the server is away it waits longer each time, until anybody reaches it again.
// Old data stays beside a new error.
export function usePoll(load, interval, dependencies) {
  const [state, setState] = useState({ data: null, error: null, isLoading: true });
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    let failures = 0;
    let isResting = false;
    async function turn() {
      timer = 0;
      if (document.hidden && interval) {
        isResting = true;
        return;
      }
      try {
        const data = await latest.current(controller.signal);
        if (controller.signal.aborted) return;
        failures = 0;
        setState({ data, error: null, isLoading: false });
      } catch (error) {
        if (controller.signal.aborted) return;
        failures += 1;
        setState((before) => ({ ...before, error, isLoading: false }));
      }
      const isAway = failures && connection.state !== "ok";
      const backoff = connection.state === "starting" || connection.state === "loading" ? STARTING_SECONDS : Math.min(2 ** (failures - 1), BACKOFF_SECONDS_MAX);
      const wait = isAway ? backoff : interval;
      if (wait) timer = setTimeout(turn, wait * 1000);
    }
    function resume({ state }) {
      if (state !== "ok" || !failures || !timer) return;
      clearTimeout(timer);
      turn();
    }
    function wake() {
      if (!document.hidden && isResting) {
        isResting = false;
        turn();
      }
    }
    setState((before) => ({ ...before, isLoading: true }));
    document.addEventListener("visibilitychange", wake);
    connection.listeners.add(resume);
    turn();
    return () => {
      controller.abort();
      connection.listeners.delete(resume);
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
    };
  }, [interval, ...dependencies]);
  return state;
}
