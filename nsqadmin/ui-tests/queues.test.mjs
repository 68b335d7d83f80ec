// What is in queues, as a browser shows it (console spec 3.5 to 3.8 and 11).

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { eventually } from "./fakes.mjs";
import { BODIES, f8 } from "./fixtures.mjs";
import { DESKTOP, PHONE, browser, open, violations } from "./support.mjs";

let chrome;
let queues;

before(async () => {
  [chrome, queues] = await Promise.all([browser(), f8()]);
  await eventually(async () => (await (await fetch(`${queues.url}/?format=json`)).json()).generation > 2, "the console knows its cluster");
});

after(async () => {
  await chrome?.close();
  queues?.stop();
});

const CHANNEL = "/topics/orders/billing";
const TABS = ["messages", "messages&state=in_flight", "messages&node=all", "timers", "dead", "policy"].map((tab) => `${CHANNEL}?tab=${tab}`);
const opened = (at) => `${CHANNEL}?tab=messages&state=ready&id=${String(at + 1).padStart(16, "0")}&node=${queues.nodes[0].key}`;

/** UI-081: JSON, text, hex, invalid UTF-8, 5 MB: shown as text, and how to get the rest; markup never becomes elements. */
test("ui_081 bodies are text whatever is in them, and all of them can be had", async () => {
  const visitor = await open(chrome, queues.url);
  await visitor.at(`${CHANNEL}?tab=messages`);
  const row = (at) => visitor.page.locator("#main-table tbody tr").nth(at).locator("td").last();
  assert.match(await row(0).textContent(), /"note":"<b>bold<\/b>"/);
  assert.match(await row(1).textContent(), /<img src=x onerror=alert\(1\)>␛\[31m red/);
  assert.equal(await row(2).textContent(), "ff fe 00 3c 62 3e");
  const markup = () => visitor.page.locator("#main-table td :is(b, i, img), .body pre *").count();
  assert.equal(await markup(), 0);
  const wanted = [/"sku": "A-7",\n/, /␛\[31m red\nsecond line \\u\{202e\}reversed/, /^00000000 {2}ff fe 00 3c 62 3e .*\.\.\.<b>/, /^x<i>y<\/i>/];
  for (const [at, [name, body]] of BODIES.entries()) {
    await visitor.at(opened(at));
    const text = await visitor.page.locator(".body pre").textContent();
    assert.match(text, wanted[at], name);
    assert.equal(await markup(), 0, name);
    const said = await visitor.page.locator(".body .hint").textContent();
    assert.match(said, body.length > 65536 ? /The first 64\.0 KiB of 5\.0 MiB are shown\./ : /All of it is shown\./, name);
    // the rest, byte by byte
    const [download] = await Promise.all([visitor.page.waitForEvent("download"), visitor.page.getByRole("link", { name: /^Download/ }).click()]);
    const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
    assert.equal(digest(readFileSync(await download.path())), digest(body), name);
  }
  // JSON can be shown as text and as bytes too
  await visitor.at(opened(0));
  await visitor.page.getByRole("link", { name: "hex", exact: true }).click();
  assert.match(await visitor.page.locator(".body pre").textContent(), /^00000000 {2}7b 22 6f 72/);
  await visitor.close();
});

for (const theme of ["light", "dark"]) {
  test(`tabs that look into queues are quiet, fit, and axe finds nothing, ${theme}`, async () => {
    const confirm = `${CHANNEL}?confirm=redrive&all=true`;
    for (const viewport of [DESKTOP, PHONE]) {
      const visitor = await open(chrome, queues.url, { theme, viewport });
      for (const path of [...TABS, opened(0), opened(1), confirm]) {
        await visitor.at(path);
        const wide = await visitor.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${path} scrolls sideways by ${wide} px`);
      }
      await visitor.close();
    }
    const found = [];
    for (const path of [...TABS, opened(0), confirm]) {
      found.push(...await violations(chrome, queues.url, path, { colorScheme: theme }));
    }
    assert.deepEqual(found, []);
  });
}
