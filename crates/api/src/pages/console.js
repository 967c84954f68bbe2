// Orders as they come, one order's way to its end, and how the service is.

import { ask, element, json, show, token } from "/console/page.js";

const EVERY = 2000;
const TRACES = "throughline.traces";
const traces = () => localStorage.getItem(TRACES) ?? `http://${location.hostname}:8100/traces/`;

const time = (text) => new Date(text).toLocaleTimeString();
const status = (word) => element("span", { class: word }, word.replace("_", " "));
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
    show("trouble");
  } catch (error) {
    show("trouble", `— ${error.message}`);
  }
  try {
    const health = await json("/health/ready");
    const checks = Object.entries(health.checks).map(([name, word]) => `${name} ${word}`);
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

// An EventSource cannot send a token, so the events are read from a plain answer.
async function follow(id) {
  following?.abort();
  following = new AbortController();
  document.getElementById("one").hidden = false;
  show("one-id", id);
  show("timeline");
  const detail = async () => {
    const order = await json(`/api/orders/${id}`);
    show("one-links", traceLink(order, "Its trace"));
    show("one-json", JSON.stringify(order, null, 2));
  };
  try {
    await detail();
    const answer = await ask(`/api/orders/${id}/events`, { signal: following.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const data of blocks.flatMap((block) => block.split("\n")).filter((line) => line.startsWith("data: "))) {
        const seen = JSON.parse(data.slice(6));
        document.getElementById("timeline").append(element("li", {},
          `${new Date(seen.updated_at).toISOString().slice(11, 23)} `, status(seen.status),
          element("span", { class: "quiet" }, ` attempt ${seen.attempt}${seen.failure ? `: ${seen.failure.detail}` : ""}`)));
      }
      await detail();
    }
  } catch (error) {
    if (error.name !== "AbortError") show("one-links", element("span", { class: "failed" }, error.message));
  }
}

const tokenField = document.getElementById("token");
tokenField.value = token();
tokenField.addEventListener("change", () => { token(tokenField.value); refresh(); });
const tracesField = document.getElementById("traces");
tracesField.value = traces();
tracesField.addEventListener("change", () => localStorage.setItem(TRACES, tracesField.value));

async function loop() {
  if (!document.hidden) await refresh();
  setTimeout(loop, EVERY);
}
loop();
