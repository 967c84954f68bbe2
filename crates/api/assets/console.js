// Times in the reader's zone, keys, live parts, and confirmations in place. The pages work without it.

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
  for (const text of root.querySelectorAll("text[data-time]")) text.textContent = clock(new Date(text.dataset.time)).slice(0, 5);
}

// What needs a script is hidden without one.
function prepare(root) {
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

// A part is not replaced during a click or a selection in it: a click that began in a part that is gone does
// nothing. Its latest state waits for the end.
let pressed = null;
const waiting = new Map();

const isInUse = (element) => {
  const selection = getSelection();
  return element.contains(pressed) || (!selection.isCollapsed && element.contains(selection.anchorNode));
};

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
  const place = focused && [...present.querySelectorAll("a, button, input, select")].indexOf(focused);
  present.replaceWith(next);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) {
    const same = focused.getAttribute("href") && next.querySelector(`a[href="${CSS.escape(focused.getAttribute("href"))}"]`);
    (same ?? next.querySelectorAll("a, button, input, select")[place])?.focus();
  }
}

function follow(path) {
  const state = document.getElementById("live-state");
  const say = (text) => { if (state) state.textContent = text; };
  const events = new EventSource(path);
  events.onopen = () => say("live");
  events.onmessage = (event) => replace(event.data);
  events.onerror = () => say(events.readyState === EventSource.CLOSED ? "not live: reload the page" : "reconnecting…");
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

// A link with data-dialog leads to a page with a confirmation; here it is shown in a dialog. Any other page, such
// as an error or the sign-in, is opened.
async function confirm(url) {
  const page = await fetch(url).then((response) => response.text()).catch(() => "");
  const content = new DOMParser().parseFromString(page, "text/html").getElementById("confirmation");
  if (!content) return location.assign(url);
  const dialog = document.createElement("dialog");
  dialog.id = "dialog";
  dialog.setAttribute("aria-labelledby", "confirmation-title");
  dialog.append(document.adoptNode(content));
  document.body.append(dialog);
  const opener = document.activeElement;
  dialog.addEventListener("close", () => { dialog.remove(); opener?.focus(); });
  dialog.querySelector("[data-cancel]")?.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  dialog.addEventListener("submit", () => { for (const button of dialog.querySelectorAll("button")) button.disabled = true; });
  prepare(dialog);
  dialog.showModal();
}

function select(form) {
  const boxes = [...form.querySelectorAll("input[name=id]")];
  const all = form.querySelector("[data-all]");
  const update = () => {
    const count = boxes.filter((box) => box.checked).length;
    for (const output of form.querySelectorAll("[data-selected]")) output.textContent = `${count} selected`;
    for (const button of form.querySelectorAll("button[formaction]")) button.disabled = count === 0;
    if (all) { all.checked = count > 0 && count === boxes.length; all.indeterminate = count > 0 && count < boxes.length; }
  };
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes) box.checked = all.checked;
    update();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = new URLSearchParams(new FormData(form));
    confirm(`${event.submitter.formAction}?${query}`);
  });
  update();
}

const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");
let last = "";

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const pages = { o: "/orders", f: "/failures", q: "/queue", h: "/" };
  if (event.key === "/") { event.preventDefault(); document.getElementById("search").focus(); }
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (last === "g" && pages[event.key]) location.assign(pages[event.key]);
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
  const link = event.target.closest("a[data-dialog]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    confirm(link.href);
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    await navigator.clipboard.writeText(source.textContent);
    const before = copy.textContent;
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = before; }, 1500);
  }
});

for (const element of document.querySelectorAll("[id]")) shown.set(element.id, element.outerHTML);
prepare(document);
setInterval(() => localize(document), 5000);
for (const form of document.querySelectorAll("form[data-select]")) select(form);
if (document.body.dataset.live) follow(document.body.dataset.live);
