// Forms act without leaving the page: the live parts show what happened. The page works without it.

import "./ui.js";

const message = document.getElementById("message");

function complain(text) {
  message.textContent = text;
  message.hidden = !text;
}

async function act(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  try {
    const response = await fetch(form.action, { method: "POST", body, redirect: "manual" });
    complain(response.ok || response.type === "opaqueredirect" ? "" : await response.text());
  } catch {
    complain("The control room does not respond: `cargo xtask up` may have ended.");
  }
}

addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  event.preventDefault();
  act(event.target, event.submitter);
});

const rate = document.getElementById("rate");
const shown = document.getElementById("rate-value");
rate.form.querySelector("button").hidden = true;
rate.addEventListener("input", () => { shown.textContent = `${rate.value} orders/s`; });
rate.addEventListener("change", () => act(rate.form));

// The walk sets the load, too.
addEventListener("replaced", (event) => {
  const load = event.target.id === "load" && event.target.dataset.rate;
  if (load && document.activeElement !== rate) {
    rate.value = load;
    shown.textContent = `${load} orders/s`;
  }
});
