// Compares dashboards with Grafana's own types, as JSON schemas that were made of them, and their text with the one form that
// JSON has here: unknown fields, wrong types and another layout of the text are told, and the exit code is 1.
// Usage: node check.js FOLDER_OF_SCHEMAS FILE...
'use strict';
const fs = require('fs');
const path = require('path');

const [folder, ...files] = process.argv.slice(2);
const Ajv = require(path.join(folder, 'node_modules', 'ajv'));
const ajv = new Ajv({allErrors: true, strict: false});
const read = (file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'));
const ofDashboard = ajv.compile(read('dashboard.json'));
const panels = read('panels.json').definitions.Panels.properties;
const ofPanel = Object.fromEntries(Object.entries(panels).map(([type, schema]) => [type, ajv.compile(schema)]));

function differences(validate, value, place) {
  if (validate(value)) return [];
  return validate.errors.map((e) => `${place}${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
}

function ofOnePanel({type, title, options, fieldConfig}) {
  const own = {options, custom: fieldConfig.defaults.custom || {}};
  return ofPanel[type] ? differences(ofPanel[type], own, `${title} `) : [`${title}: no type of ${type} is looked at`];
}

let bad = 0;
for (const file of files) {
  const text = fs.readFileSync(file, 'utf8');
  const dashboard = JSON.parse(text);
  const told = differences(ofDashboard, dashboard, '');
  told.push(...dashboard.panels.filter((panel) => panel.type !== 'row').flatMap(ofOnePanel));
  if (JSON.stringify(dashboard, null, 2) + '\n' !== text) told.push('is not written with two spaces of indent');
  for (const line of told) console.log(`${file}: ${line}`);
  bad += told.length;
}
process.exit(bad ? 1 : 0);
