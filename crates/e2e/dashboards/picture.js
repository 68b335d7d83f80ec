// Draws what a Prometheus answers to the panels of a dashboard, in the places where the dashboard has them: not Grafana, but the
// same queries over the same time. The pictures of docs/operating/dashboards.md are made by it (cargo xtask pictures).
// Usage: node picture.js ADDRESS SECONDS VARIABLES DASHBOARD PICTURE, with the variables as JSON.
'use strict';
const fs = require('fs');

const [address, seconds, variables, file, picture] = process.argv.slice(2);
const COLUMN = 52;
const ROW = 26;
const GAP = 8;
const COLOURS = ['#1f77b4', '#c2571a', '#2a8c4a', '#8a56b0', '#b8860b', '#c03548', '#3f8f9b', '#606870'];
const MOST_SERIES = 8;
const STEPS = 120;

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[c]);
const filled = (text) => Object.entries(JSON.parse(variables)).reduce((all, [name, value]) => all.replaceAll(`$${name}`, value), text);

async function ask(path, parameters) {
  const answer = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const {status, data, error} = await answer.json();
  if (status !== 'success') throw new Error(`${parameters.query}: ${error}`);
  return data.result;
}

const named = (legend, labels) => legend && legend !== '__auto'
  ? legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '')
  : Object.values(labels).join(' ');

async function seriesOf(panel, end) {
  const found = [];
  for (const {expr, legendFormat} of panel.targets ?? []) {
    const start = end - seconds;
    for (const {metric, values} of await ask('query_range', {query: filled(expr), start, end, step: seconds / STEPS})) {
      delete metric.__name__;
      const points = values.map(([at, value]) => [(at - start) / seconds, Number(value)]).filter(([, v]) => Number.isFinite(v));
      if (points.length > 0) found.push({name: named(legendFormat, metric), points});
    }
  }
  return found.slice(0, MOST_SERIES);
}

function shown(value, unit) {
  if (unit === 'bytes' || unit === 'decbytes') return `${scaled(value, 1024)}B`;
  if (unit === 'percentunit') return `${Number((value * 100).toPrecision(3))} %`;
  if (unit === 's') return value !== 0 && Math.abs(value) < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`;
  return scaled(value, 1000).trim();
}

function scaled(value, base) {
  const step = Math.min(4, Math.max(0, Math.floor(Math.log(Math.max(Math.abs(value), 1)) / Math.log(base))));
  return `${Number((value / base ** step).toPrecision(3))} ${['', 'k', 'M', 'G', 'T'][step]}`;
}

// A text that ends where its place does: about as many letters as fit.
const fitting = (text, width) => escaped(text.length * 6.8 > width ? `${text.slice(0, Math.max(1, Math.floor(width / 6.8) - 1))}…` : text);

function lines(series, box, unit) {
  const values = series.flatMap(({points}) => points.map(([, value]) => value));
  const low = Math.min(0, ...values);
  const high = Math.max(...values) > low ? Math.max(...values) : low + 1;
  const rows = Math.ceil(series.length / 2);
  const bottom = box.y + box.h - 8 - 15 * rows;
  const [left, top] = [box.x + 62, box.y + 30];
  const at = ([x, y]) => `${(left + x * (box.x + box.w - 10 - left)).toFixed(1)},${(bottom - ((y - low) / (high - low)) * (bottom - top)).toFixed(1)}`;
  const out = [low, (low + high) / 2, high].map((mark) => {
    const [, y] = at([0, mark]).split(',');
    return `<line class="g" x1="${left}" x2="${box.x + box.w - 10}" y1="${y}" y2="${y}"/><text class="s" text-anchor="end" x="${left - 5}" y="${Number(y) + 4}">${escaped(shown(mark, unit))}</text>`;
  });
  series.forEach(({name, points}, number) => {
    const colour = COLOURS[number % COLOURS.length];
    const [x, y] = [box.x + 10 + (number % 2) * (box.w / 2), bottom + 17 + 15 * Math.floor(number / 2)];
    out.push(`<polyline fill="none" stroke="${colour}" stroke-width="1.6" points="${points.map(at).join(' ')}"/>`);
    out.push(`<rect x="${x}" y="${y - 9}" width="9" height="9" fill="${colour}"/><text class="s" x="${x + 14}" y="${y}">${fitting(name, box.w / 2 - 30)}</text>`);
  });
  return out.join('');
}

function words(series, box, unit, type) {
  const one = series.length === 1 && type === 'stat';
  const room = Math.max(1, Math.floor((box.h - 30) / 17));
  const last = series.map(({name, points}) => [name, shown(points.at(-1)[1], unit)]);
  if (one) return `<text class="v" text-anchor="middle" x="${box.x + box.w / 2}" y="${box.y + box.h / 2 + 20}">${escaped(last[0][1])}</text>`;
  return last.slice(0, room).map(([name, value], number) =>
    `<text x="${box.x + 10}" y="${box.y + 44 + 17 * number}">${fitting(`${value}  ${name}`, box.w - 20)}</text>`).join('');
}

async function drawn(panel, end) {
  const {x, y, w, h} = panel.gridPos;
  const box = {x: x * COLUMN + GAP / 2, y: y * ROW + GAP / 2, w: w * COLUMN - GAP, h: h * ROW - GAP};
  if (panel.type === 'row') return `<text class="r" x="${box.x + 6}" y="${box.y + 16}">${escaped(panel.title)}</text>`;
  const series = await seriesOf(panel, end);
  const {unit} = panel.fieldConfig.defaults;
  let inside = `<text class="s" text-anchor="middle" x="${box.x + box.w / 2}" y="${box.y + box.h / 2 + 10}">nothing</text>`;
  if (series.length > 0) inside = (panel.type === 'timeseries' ? lines : words)(series, box, unit, panel.type);
  return `<rect class="p" rx="3" x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}"/><text class="t" x="${box.x + 10}" y="${box.y + 19}">${fitting(panel.title, box.w)}</text>${inside}`;
}

async function main() {
  const {title, panels} = JSON.parse(fs.readFileSync(file, 'utf8'));
  const end = Date.now() / 1000;
  const height = Math.max(...panels.map(({gridPos}) => gridPos.y + gridPos.h)) * ROW;
  const all = [];
  for (const panel of panels) all.push(await drawn(panel, end));
  fs.writeFileSync(picture, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${24 * COLUMN} ${height}" role="img"><title>${escaped(title)}</title>
<style>text{font:12px sans-serif;fill:#222}.t{font-weight:bold}.r{font-size:15px;font-weight:bold}.s{font-size:11px;fill:#666}.v{font-size:24px}.g{stroke:#ddd}.p{fill:#fff;stroke:#ddd}
@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#999}.g{stroke:#444}.p{fill:#16181c;stroke:#333}}</style>
${all.join('\n')}
</svg>
`);
}

main().catch((error) => {
  console.error(`${file}: ${error.message}`);
  process.exit(1);
});
