// Shows the OpenAPI document: each operation with its parameters, bodies and responses, and each schema.

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const show = (id, ...children) => document.getElementById(id).replaceChildren(...children);

const nameOf = (reference) => reference.split("/").pop();

// A short description of a schema, with links to named ones.
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return element("a", { href: `#schema-${nameOf(schema.$ref)}` }, nameOf(schema.$ref));
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return element("span", {}, ...either.flatMap((option, index) => (index ? [" or ", kind(option)] : [kind(option)])));
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return element("span", {}, "array of ", kind(schema.items));
  const bounds = ["minimum", "maximum", "minLength", "maxLength", "pattern"].filter((name) => name in schema);
  return [[schema.type].flat().join(" | "), schema.format, ...bounds.map((name) => `${name} ${schema[name]}`)].filter(Boolean).join(", ");
}

function table(head, rows) {
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {}, text)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", { class: "text" }, cell ?? "")))))));
}

function body(content) {
  return Object.entries(content ?? {}).flatMap(([type, media], index) => [index ? "; " : "", element("code", {}, type), " ", kind(media.schema)]);
}

function operation(path, method, op) {
  const scopes = (op.security ?? []).flatMap((requirement) => Object.values(requirement).flat());
  const parameters = (op.parameters ?? []).map((parameter) => [
    element("code", {}, parameter.name), parameter.in + (parameter.required ? ", required" : ""),
    kind(parameter.schema), parameter.description]);
  const responses = Object.entries(op.responses).map(([status, response]) => [
    element("code", {}, status), response.description, element("span", {}, ...body(response.content)),
    Object.keys(response.headers ?? {}).join(", ")]);
  return element("details", { class: "card", id: op.operationId },
    element("summary", {}, element("span", { class: "badge" }, method.toUpperCase()), element("code", {}, path),
      element("span", { class: "muted" }, ` ${op.summary ?? ""}`)),
    op.description ? element("p", {}, op.description) : null,
    scopes.length ? element("p", { class: "muted" }, `Scope: ${scopes.join(", ")}`) : null,
    parameters.length ? table(["Parameter", "In", "Type", ""], parameters) : null,
    op.requestBody ? element("p", {}, "Body: ", ...body(op.requestBody.content)) : null,
    table(["Status", "When", "Body", "Headers"], responses));
}

function schema(name, definition) {
  const required = new Set(definition.required ?? []);
  const fields = Object.entries(definition.properties ?? {}).map(([field, type]) => [
    element("code", {}, field), required.has(field) ? "required" : "", kind(type), type.description]);
  return element("details", { class: "card", id: `schema-${name}` },
    element("summary", {}, element("code", {}, name), element("span", { class: "muted" }, ` ${definition.description ?? ""}`)),
    fields.length ? table(["Field", "", "Type", ""], fields) : element("pre", {}, JSON.stringify(definition, null, 2)));
}

// Opens the section that the address links to.
function open() {
  const section = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (section?.tagName === "DETAILS") section.open = true;
}

const api = await (await fetch("/api/openapi.json")).json();
show("title", `${api.info.title} API`);
show("version", api.info.version);
show("about", api.info.description);
show("operations", ...Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, op]) => operation(path, method, op))));
show("schemas", ...Object.entries(api.components.schemas).map(([name, definition]) => schema(name, definition)));
addEventListener("hashchange", open);
open();
