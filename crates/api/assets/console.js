// Confirmations in place, and the selection of orders. The pages work without it.

import { prepare } from "./ui.js";

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
  const boxes = [...form.querySelectorAll("input[name=id]:enabled")];
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

addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  confirm(link.href);
});

for (const form of document.querySelectorAll("form[data-select]")) select(form);
