// The pictures of docs/console.md, of a console that runs: `node documented.mjs URL FOLDER`. The topic that needs attention most, and
// its first channel, are those that are shown.

import { join } from "node:path";
import { DESKTOP, PHONE, browser } from "./support.mjs";

const [url, folder] = process.argv.slice(2);
if (!url || !folder) {
  console.error("usage: node documented.mjs URL FOLDER, such as http://127.0.0.1:4171 docs/console");
  process.exit(2);
}

const overview = await (await fetch(`${url}/?format=json`)).json();
const topic = overview.tables.Topics[0].name;
const channels = (await (await fetch(`${url}/topics/${encodeURIComponent(topic)}?format=json`)).json()).tables.Channels;
const channel = `/topics/${encodeURIComponent(topic)}/${encodeURIComponent(channels[0].name)}`;
const busiest = overview.tables.Topics.toSorted((a, b) => (b.in ?? 0) - (a.in ?? 0))[0].name;

const chrome = await browser();
for (const [name, path, viewport, theme] of [
  ["overview", "/?t=15m", DESKTOP, "light"],
  ["topic", `/topics/${encodeURIComponent(busiest)}?t=15m`, DESKTOP, "light"],
  ["channel", channel, DESKTOP, "light"],
  ["nodes", "/nodes", DESKTOP, "light"],
  ["delete", `/topics/${encodeURIComponent(busiest)}?confirm=delete`, DESKTOP, "light"],
  ["overview-phone", "/?t=15m", PHONE, "dark"],
]) {
  const context = await chrome.newContext({ viewport, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(url + path, { waitUntil: "load" });
  const file = join(folder, `${name}.png`);
  await page.screenshot({ path: file });
  console.log(file);
  await context.close();
}
await chrome.close();
