// What both pages need: elements, and requests that carry the token. All text goes in as text, never as markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function show(id, ...children) {
  document.getElementById(id).replaceChildren(...children);
}

const TOKEN = "throughline.token";

export function token(value) {
  if (value !== undefined) sessionStorage.setItem(TOKEN, value.trim());
  return sessionStorage.getItem(TOKEN) ?? "";
}

export function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.authorization = `Bearer ${token()}`;
  return fetch(path, { ...options, headers });
}

// The answer's JSON; of a problem, its own words as an error.
export async function json(path, options) {
  const answer = await ask(path, options);
  const body = answer.status === 204 ? null : await answer.json();
  if (!answer.ok && !("checks" in (body ?? {}))) throw new Error(body?.detail ?? `${answer.status}`);
  return body;
}
