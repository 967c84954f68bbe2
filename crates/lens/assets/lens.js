// The waterfall: folding, finding, keys, and the way to a span. The pages work without it.

import "./ui.js";

// The console shows a trace inside its page of an order.
if (window.top !== window) document.documentElement.classList.add("embedded");

const nodes = () => [...document.querySelectorAll("#waterfall .node")];
const visible = () => nodes().filter((node) => !node.hidden);
const depth = (node) => Number(node.dataset.depth);
const summary = (node) => node.querySelector("summary");
const spanId = (node) => node.querySelector("details").id;

// What the reader chose; it survives the replacement of the waterfall by a newer one.
const folded = new Set();
let needle = "";
let onlyCritical = false;

function below(node) {
  const found = [];
  for (let next = node.nextElementSibling; next && depth(next) > depth(node); next = next.nextElementSibling) found.push(next);
  return found;
}

function arrange() {
  let hiddenBelow = Infinity;
  let matches = 0;
  for (const node of nodes()) {
    const isFolded = folded.has(spanId(node));
    node.querySelector(".fold")?.setAttribute("aria-expanded", String(!isFolded));
    const isMatch = needle !== "" && node.textContent.toLowerCase().includes(needle);
    matches += isMatch;
    node.classList.toggle("match", isMatch);
    const isHidden = depth(node) > hiddenBelow;
    if (!isHidden) hiddenBelow = isFolded ? depth(node) : Infinity;
    node.hidden = isHidden || (needle !== "" && !isMatch) || (onlyCritical && !node.classList.contains("critical"));
  }
  const found = document.getElementById("found");
  if (found) found.textContent = needle === "" ? "" : matches === 1 ? "1 span found" : `${matches} spans found`;
}

function fold(node, isFolded) {
  if (!node?.querySelector(".fold")) return;
  if (isFolded) folded.add(spanId(node)); else folded.delete(spanId(node));
  arrange();
}

function foldAll(isFolded) {
  folded.clear();
  if (isFolded) for (const node of nodes()) if (node.querySelector(".fold") && depth(node) > 0) folded.add(spanId(node));
  arrange();
}

function showCritical() {
  onlyCritical = !onlyCritical;
  document.getElementById("only-critical").setAttribute("aria-pressed", String(onlyCritical));
  arrange();
}

function move(step, wanted = () => true) {
  const all = visible();
  const place = all.findIndex((node) => node.contains(document.activeElement));
  const rest = step > 0 ? all.slice(place + 1) : all.slice(0, Math.max(place, 0)).reverse();
  const next = rest.find(wanted);
  if (next) summary(next).focus();
}

// Opens the span of the address, also inside folded ones.
function reveal() {
  const id = location.hash.slice(1) || `span-${new URLSearchParams(location.search).get("span")}`;
  const details = document.getElementById(id);
  if (!details?.closest("#waterfall")) return;
  for (const node of nodes()) if (below(node).includes(details.closest(".node"))) folded.delete(spanId(node));
  arrange();
  details.open = true;
  details.scrollIntoView({ block: "center" });
}

function waterfall() {
  const find = document.getElementById("find");
  find.addEventListener("input", () => { needle = find.value.trim().toLowerCase(); arrange(); });
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (visible()[0]) summary(visible()[0]).focus();
  });
  document.getElementById("only-critical").addEventListener("click", showCritical);
  document.getElementById("fold-all").addEventListener("click", () => foldAll(true));
  document.getElementById("unfold-all").addEventListener("click", () => foldAll(false));
  addEventListener("click", (event) => {
    const button = event.target.closest(".fold");
    if (button) fold(button.closest(".node"), button.getAttribute("aria-expanded") === "true");
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (document.querySelector("dialog[open]")) return;
    const node = document.activeElement.closest(".node");
    const actions = {
      j: () => move(1), k: () => move(-1), ArrowDown: () => node && move(1), ArrowUp: () => node && move(-1),
      h: () => fold(node, true), l: () => fold(node, false),
      e: () => move(1, (next) => next.querySelector(".failed")),
      c: showCritical, f: () => find.focus(),
    };
    const action = actions[event.key];
    if (!action || (event.key.startsWith("Arrow") && !node)) return;
    event.preventDefault();
    action();
  });
  addEventListener("replaced", (event) => { if (event.target.id === "waterfall") arrange(); });
  addEventListener("hashchange", reveal);
  reveal();
}

if (document.getElementById("waterfall")) waterfall();
