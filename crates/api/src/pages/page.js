// Shared by both pages: elements, and requests with the token. Text is inserted as text, never as markup.

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") node.addEventListener("click", value);
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function show(id, ...children) {
  document.getElementById(id).replaceChildren(...children);
}

const TOKEN_KEY = "throughline.token";

export function token(value) {
  if (value !== undefined) sessionStorage.setItem(TOKEN_KEY, value.trim());
  return sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export function request(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.authorization = `Bearer ${token()}`;
  return fetch(path, { ...options, headers });
}

// The JSON of the response. Throws a problem's detail, but returns the body of a failed readiness check.
export async function json(path, options) {
  const response = await request(path, options);
  const body = response.status === 204 ? null : await response.json();
  if (!response.ok && !("checks" in (body ?? {}))) throw new Error(body?.detail ?? `${response.status}`);
  return body;
}
