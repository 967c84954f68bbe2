// Shows the OpenAPI document: every operation with its parameters, bodies and answers, and every schema.

import { element, json, show } from "/console/page.js";

const nameOf = (reference) => reference.split("/").pop();

// What a schema is, in a few words; links lead to those with a name.
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return element("a", { href: `#schema-${nameOf(schema.$ref)}` }, nameOf(schema.$ref));
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return element("span", {}, ...either.flatMap((one, index) => (index ? [" or ", kind(one)] : [kind(one)])));
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return element("span", {}, "array of ", kind(schema.items));
  const bounds = ["minimum", "maximum", "minLength", "maxLength", "pattern"].filter((name) => name in schema);
  return [[schema.type].flat().join(" | "), schema.format, ...bounds.map((name) => `${name} ${schema[name]}`)].filter(Boolean).join(", ");
}

function table(head, rows) {
  return element("table", {},
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {}, text)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell ?? ""))))));
}

function body(content) {
  return Object.entries(content ?? {}).flatMap(([type, media], index) => [index ? "; " : "", element("code", {}, type), " ", kind(media.schema)]);
}

function operation(path, method, op) {
  const scopes = (op.security ?? []).flatMap((one) => Object.values(one).flat());
  const parameters = (op.parameters ?? []).map((one) => [
    element("code", {}, one.name), one.in + (one.required ? ", required" : ""), kind(one.schema), one.description]);
  const responses = Object.entries(op.responses).map(([status, one]) => [
    element("code", {}, status), one.description, element("span", {}, ...body(one.content)),
    Object.keys(one.headers ?? {}).join(", ")]);
  return element("details", { id: op.operationId },
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path),
      element("span", { class: "quiet" }, ` ${op.summary ?? ""}`)),
    op.description ? element("p", {}, op.description) : null,
    scopes.length ? element("p", { class: "quiet" }, `Scope: ${scopes.join(", ")}`) : null,
    parameters.length ? table(["Parameter", "In", "Takes", ""], parameters) : null,
    op.requestBody ? element("p", {}, "Body: ", ...body(op.requestBody.content)) : null,
    table(["Status", "When", "Body", "Headers"], responses));
}

function schema(name, one) {
  const required = new Set(one.required ?? []);
  const fields = Object.entries(one.properties ?? {}).map(([field, of]) => [
    element("code", {}, field), required.has(field) ? "required" : "", kind(of), of.description]);
  return element("details", { id: `schema-${name}` },
    element("summary", {}, element("code", {}, name), element("span", { class: "quiet" }, ` ${one.description ?? ""}`)),
    fields.length ? table(["Field", "", "Is", ""], fields) : element("pre", {}, JSON.stringify(one, null, 2)));
}

// A link to a part that is folded opens it.
function open() {
  const part = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part?.tagName === "DETAILS") part.open = true;
}

const api = await json("/api/openapi.json");
show("title", `${api.info.title} API`);
show("version", api.info.version);
show("about", api.info.description);
show("operations", ...Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, op]) => operation(path, method, op))));
show("schemas", ...Object.entries(api.components.schemas).map(([name, one]) => schema(name, one)));
addEventListener("hashchange", open);
open();
