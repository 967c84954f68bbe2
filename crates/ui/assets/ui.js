// What console and lens share: times in the reader's zone, keys, and live parts. The pages work without it.
// A page declares its keys by data-key at the links of its navigation, and its live parts by data-live.

const pad = (number, width = 2) => String(number).padStart(width, "0");
const clock = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
const day = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;

function recent(at) {
  const seconds = Math.round((Date.now() - at) / 1000);
  if (seconds >= 0 && seconds < 60) return `${seconds} s ago`;
  if (seconds >= 60 && seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return day(at) === day(new Date()) ? clock(at) : `${day(at)} ${clock(at)}`;
}

function localize(root) {
  for (const time of root.querySelectorAll("time[data-format]")) {
    const at = new Date(time.dateTime);
    const text = time.dataset.format === "precise" ? `${clock(at)}.${pad(at.getMilliseconds(), 3)}` : recent(at);
    if (time.textContent !== text) time.textContent = text;
  }
  for (const text of root.querySelectorAll("text[data-time]")) text.textContent = clock(new Date(text.dataset.time)).slice(0, text.textContent.length);
}

// What needs a script is hidden without one.
export function prepare(root) {
  for (const hidden of root.querySelectorAll("[data-script][hidden]")) hidden.hidden = false;
  localize(root);
}

// What the server sent, before times are localized: a part that did not change is left alone.
const shown = new Map();

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// A part is not replaced while a reader selects its text or clicks in it: a click that began in a part
// that is gone does nothing. Its latest state waits for the end of that.
let pressed = null;
const waiting = new Map();

const isInUse = (element) => {
  const selection = getSelection();
  return element.contains(pressed) || (!selection.isCollapsed && element.contains(selection.anchorNode));
};

const CONTROLS = "a, button, input, select, [tabindex]";
const scrollers = (part) => [...part.querySelectorAll(".scroll, .output")];

function replaceWaiting() {
  const parts = [...waiting.values()];
  waiting.clear();
  for (const html of parts) replace(html);
}

function replace(html) {
  const next = parsed(html);
  const present = next && document.getElementById(next.id);
  if (!present) return;
  waiting.delete(next.id);
  if (shown.get(next.id) === next.outerHTML) return;
  if (isInUse(present)) return void waiting.set(next.id, html);
  shown.set(next.id, next.outerHTML);
  prepare(next);
  const open = [...present.querySelectorAll("details[open][id]")].map((details) => details.id);
  const focused = present.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [...present.querySelectorAll(CONTROLS)].indexOf(focused);
  const places = scrollers(present).map((one) => [one.scrollLeft, one.scrollTop]);
  present.replaceWith(next);
  scrollers(next).forEach((one, index) => one.scrollTo(...(places[index] ?? [0, 0])));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  next.dispatchEvent(new CustomEvent("replaced", { bubbles: true }));
  if (focused) {
    const href = focused.getAttribute("href");
    const details = focused.matches("summary") && focused.closest("details[id]");
    const same = href ? next.querySelector(`a[href="${CSS.escape(href)}"]`) : details && next.querySelector(`#${CSS.escape(details.id)} > summary`);
    (same || next.querySelectorAll(CONTROLS)[place])?.focus({ preventScroll: true });
  }
}

// A button with data-pause stops the live parts, and starts them again.
function follow(path) {
  const state = document.getElementById("live-state");
  const pause = document.querySelector("[data-pause]");
  const say = (text) => { if (state) state.textContent = text; };
  let events;
  const open = () => {
    events = new EventSource(path);
    events.onopen = () => say("live");
    events.onmessage = (event) => replace(event.data);
    events.onerror = () => say(events.readyState === EventSource.CLOSED ? "not live: reload the page" : "reconnecting…");
  };
  open();
  pause?.addEventListener("click", () => {
    const isPaused = pause.getAttribute("aria-pressed") === "true";
    pause.setAttribute("aria-pressed", String(!isPaused));
    pause.textContent = isPaused ? "Pause" : "Resume";
    if (isPaused) return open();
    events.close();
    say("paused");
  });
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");
let last = "";

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key === "/") { event.preventDefault(); document.getElementById("search").select(); }
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (last === "g") document.querySelector(`.nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
  last = event.key;
});

addEventListener("pointerdown", (event) => { pressed = event.target; }, true);
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => {
  pressed = null;
  // The click comes after the release.
  setTimeout(replaceWaiting);
}, true);
document.addEventListener("selectionchange", () => { if (getSelection().isCollapsed) setTimeout(replaceWaiting); });

addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  const source = document.getElementById(copy.dataset.copy);
  await navigator.clipboard.writeText(source.textContent);
  const before = copy.textContent;
  copy.textContent = "Copied";
  setTimeout(() => { copy.textContent = before; }, 1500);
});

for (const element of document.querySelectorAll("[id]")) shown.set(element.id, element.outerHTML);
prepare(document);
setInterval(() => localize(document), 5000);
if (document.body.dataset.live) follow(document.body.dataset.live);
