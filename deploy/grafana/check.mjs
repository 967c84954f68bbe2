// Checks the dashboards against the types of @grafana/schema: no field that Grafana does not know, none missing, none of
// another type. In an empty folder:
//
//   npm install @grafana/schema@12.1.0 typescript@5.9.3
//   node PATH/deploy/grafana/check.mjs > check.ts
//   npx tsc --noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler --target es2022 check.ts

import { readdirSync, readFileSync } from "node:fs";

const FOLDER = new URL("dashboards/", import.meta.url);
const TYPES = "./node_modules/@grafana/schema/dist/types";
const PANELS = { timeseries: "TimeSeries", stat: "Stat", table: "Table" };
// Fields of annotations, and of their queries, that the datasource of Prometheus reads.
const OF_DATASOURCE = ["titleFormat", "tagKeys", "expr", "interval"];

console.log(`import type { Dashboard, Panel, RowPanel } from "${TYPES}/veneer/dashboard.types";`);
for (const [kind, name] of Object.entries(PANELS)) {
  const file = `${TYPES}/raw/composable/${kind}/panelcfg/x/${name}PanelCfg_types.gen`;
  console.log(`import type * as ${name} from "${file}";`);
}
// JSON has the values of enumerations as texts.
console.log(
  "type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[]" +
    " : T extends object ? { [K in keyof T]: Json<T[K]> } : T;",
);

let count = 0;
function is(type, value) {
  console.log(`export const _${count++}: Json<${type}> = ${JSON.stringify(value)};`);
}

for (const file of readdirSync(FOLDER)) {
  const { panels, ...board } = JSON.parse(readFileSync(new URL(file, FOLDER)));
  for (const annotation of board.annotations.list) {
    for (const field of OF_DATASOURCE) {
      delete annotation[field];
      delete annotation.target[field];
    }
  }
  is("Dashboard", board);
  for (const panel of panels) {
    const name = PANELS[panel.type];
    is(name ? "Panel" : "RowPanel", panel);
    if (name) is(`${name}.Options`, panel.options);
    if (panel.fieldConfig?.defaults.custom) is(`${name}.FieldConfig`, panel.fieldConfig.defaults.custom);
  }
}
