// The newest orders, the events of one order, and the state of the service.

import { element, json, request, show, token } from "/console/page.js";

const REFRESH_INTERVAL_MS = 2000;
const TRACES_KEY = "throughline.traces";
const traces = () => localStorage.getItem(TRACES_KEY) ?? `http://${location.hostname}:8100/traces/`;

const time = (text) => new Date(text).toLocaleTimeString();
const status = (value) => element("span", { class: value }, value.replace("_", " "));
const traceLink = (order, text) =>
  order.trace_id ? element("a", { href: traces() + order.trace_id, target: "_blank", rel: "noreferrer" }, text) : "";

let following = null;

function row(order) {
  return element("tr", {},
    element("td", {}, element("button", { class: "link", onclick: () => follow(order.id) }, time(order.created_at))),
    element("td", {}, order.product_name + (order.items.length > 1 ? ` +${order.items.length - 1}` : "")),
    element("td", { class: "number" }, `${order.amount} ${order.currency}`),
    element("td", {}, status(order.status), order.failure ? element("span", { class: "quiet" }, ` ${order.failure.code}`) : null),
    element("td", {}, order.payment_method ? status(order.payment_status) : element("span", { class: "quiet" }, "–")),
    element("td", { class: "number" }, String(order.attempt)),
    element("td", {}, traceLink(order, "trace")));
}

async function refresh() {
  try {
    const page = await json("/api/orders?limit=25");
    show("orders", ...page.data.map(row));
    show("error");
  } catch (error) {
    show("error", `— ${error.message}`);
  }
  try {
    const health = await json("/health/ready");
    const checks = Object.entries(health.checks).map(([name, result]) => `${name} ${result}`);
    show("health", element("span", { class: health.status }, health.status), ` (${checks.join(", ")})`);
  } catch {
    show("health", element("span", { class: "unavailable" }, "unavailable"));
  }
  try {
    const queue = await json("/console/status");
    const oldest = queue.oldest_ms === null ? "" : `, oldest ${(queue.oldest_ms / 1000).toFixed(1)} s`;
    const workers = element("span", { class: queue.workers === 0 ? "unavailable" : "" },
      queue.workers === 1 ? "1 worker" : `${queue.workers} workers`);
    show("queue", `queue ${queue.queue}: ${queue.waiting} waiting, ${queue.in_flight} in flight${oldest}, `, workers);
  } catch {
    show("queue");
  }
}

// An EventSource cannot send a token, so the events are read from a plain response.
async function follow(id) {
  following?.abort();
  following = new AbortController();
  document.getElementById("order").hidden = false;
  show("order-id", id);
  show("timeline");
  const detail = async () => {
    const order = await json(`/api/orders/${id}`);
    show("order-links", traceLink(order, "Trace of this order"));
    show("order-json", JSON.stringify(order, null, 2));
  };
  try {
    await detail();
    const response = await request(`/api/orders/${id}/events`, { signal: following.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const data of blocks.flatMap((block) => block.split("\n")).filter((line) => line.startsWith("data: "))) {
        const event = JSON.parse(data.slice(6));
        document.getElementById("timeline").append(element("li", {},
          `${new Date(event.updated_at).toISOString().slice(11, 23)} `, status(event.status),
          element("span", { class: "quiet" }, ` attempt ${event.attempt}${event.failure ? `: ${event.failure.detail}` : ""}`)));
      }
      await detail();
    }
  } catch (error) {
    if (error.name !== "AbortError") show("order-links", element("span", { class: "failed" }, error.message));
  }
}

const tokenField = document.getElementById("token");
tokenField.value = token();
tokenField.addEventListener("change", () => { token(tokenField.value); refresh(); });
const tracesField = document.getElementById("traces");
tracesField.value = traces();
tracesField.addEventListener("change", () => localStorage.setItem(TRACES_KEY, tracesField.value));

async function loop() {
  if (!document.hidden) await refresh();
  setTimeout(loop, REFRESH_INTERVAL_MS);
}
loop();
