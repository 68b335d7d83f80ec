// Pictures of every page for a person to look at (console spec 9 and 11): `CONSOLE_PICTURES` is the folder that they are put into.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "./fakes.mjs";
import { f1, f3, f4 } from "./fixtures.mjs";
import { DESKTOP, PHONE, browser, paths } from "./support.mjs";

const kept = process.env.CONSOLE_PICTURES;
const folder = kept ?? mkdtempSync(join(tmpdir(), "console-"));

function name(path) {
  return path.replace(/^\/$/, "overview").replace(/nodes\/.*/, "nodes-one").replace(/[^a-z]+/gi, "-").replace(/^-|-$/g, "");
}

/** UI-152 */
test("ui_152 every page is there as a picture, in both themes and sizes", async () => {
  mkdirSync(folder, { recursive: true });
  const [chrome, empty, incident, broken] = await Promise.all([browser(), f1(), f3(), f4()]);
  for (const own of [empty, incident, broken]) {
    await eventually(async () => (await (await fetch(`${own.url}/?format=json`)).json()).generation > 8, `${own.url} knows its cluster`);
  }
  broken.break();
  await eventually(async () => /of 5 nodes not answering/.test(await (await fetch(`${broken.url}/`)).text()), "nodes are missed");
  const views = [
    ...paths(incident).map((path) => [incident, path, name(path)]),
    [empty, "/", "empty"], [broken, "/", "broken"], [broken, "/nodes", "broken-nodes"],
  ];
  for (const theme of ["light", "dark"]) {
    for (const [size, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
      const context = await chrome.newContext({ viewport, colorScheme: theme, reducedMotion: "reduce" });
      const page = await context.newPage();
      for (const [own, path, called] of views) {
        await page.goto(own.url + path, { waitUntil: "load" });
        const file = join(folder, `${called}-${theme}-${size}.png`);
        await page.screenshot({ path: file, fullPage: true });
        assert.ok(statSync(file).size > 4000, file);
      }
      await context.close();
    }
  }
  await chrome.close();
  for (const own of [empty, incident, broken]) own.stop();
  if (!kept) rmSync(folder, { recursive: true });
});
