// The console in a browser (console spec 9 and 11).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "./fakes.mjs";
import { f1, f3, f4, f6, f7 } from "./fixtures.mjs";
import { DESKTOP, PHONE, browser, open, paths, violations } from "./support.mjs";

let chrome;
let empty;
let incident;
let broken;
let hostile;
let many;

before(async () => {
  [chrome, empty, incident, broken, hostile, many] = await Promise.all([browser(), f1(), f3(), f4(), f6(), f7()]);
  for (const own of [empty, incident, broken, hostile, many]) {
    await eventually(async () => (await (await fetch(`${own.url}/?format=json`)).json()).generation > 2, `${own.url} knows its cluster`);
  }
  broken.break();
});

after(async () => {
  await chrome?.close();
  for (const own of [empty, incident, broken, hostile, many]) own?.stop();
});

/** UI-004, with both sizes and both themes: open() fails on a console message, a policy report or a foreign request. */
for (const theme of ["light", "dark"]) {
  for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    test(`ui_004 every page is quiet, ${theme}, ${name}`, async () => {
      const visitor = await open(chrome, incident.url, { theme, viewport });
      for (const path of paths(incident)) {
        // a missing topic is a 404, which the browser logs by itself
        if (path === "/topics/nope") continue;
        await visitor.at(path);
        const wide = await visitor.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${path} scrolls sideways by ${wide} px`);
      }
      await visitor.close();
    });
  }
}

/** UI-140 */
for (const theme of ["light", "dark"]) {
  test(`ui_140 axe finds nothing on any page, ${theme}`, async () => {
    const found = [];
    for (const path of paths(incident)) {
      found.push(...await violations(chrome, incident.url, path, { colorScheme: theme }));
    }
    for (const own of [empty, broken, hostile]) found.push(...await violations(chrome, own.url, "/", { colorScheme: theme }));
    assert.deepEqual(found, []);
  });
}

/** UI-005 */
test("ui_005 everything works without script", async () => {
  const visitor = await open(chrome, many.url, { script: false });
  const { page } = visitor;
  await visitor.at("/topics");
  await page.click("thead th:nth-child(3) a");
  assert.match(page.url(), /sort=-depth/);
  const depths = await page.locator("tbody td:nth-child(3)").allTextContents();
  const numbers = depths.map((text) => Number(text.replaceAll(",", "")));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
  await page.click(".pager a:has-text('Next')");
  assert.match(page.url(), /page=2/);
  await page.fill(".filter input[name=q]", "topic-000");
  await page.click(".filter button");
  assert.match(await page.locator("caption").first().textContent(), /10 \(filtered from 1,025\)/);
  await visitor.at("/topics/topic-0001");
  await page.click("text=Pause topic");
  await page.click("button:has-text('Pause topic')");
  assert.match(page.url(), /\/audit\//);
  await page.click("text=On to topic topic-0001");
  await page.click("text=Delete topic");
  await page.fill("input[name=name]", "topic-0002");
  await page.click("button:has-text('Delete topic')");
  assert.match(await page.locator(".refusal").textContent(), /nothing was done/);
  await page.fill("input[name=name]", "topic-0001");
  await page.click("button:has-text('Delete topic')");
  await visitor.at("/lookup");
  await page.fill("#f-topic", "created");
  await page.click("button:has-text('Create')");
  await visitor.at("/settings");
  await page.selectOption("#f-theme", "dark");
  await page.click("button:has-text('Save settings')");
  assert.equal(await page.evaluate("1").catch(() => "no script"), 1);
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await page.context().close();
});

/** UI-053: F4 */
test("ui_053 what is broken is said on every page, and nothing says 0 for unknown", async () => {
  const visitor = await open(chrome, broken.url);
  await eventually(async () => {
    await visitor.at("/");
    return /4 of 5 nodes not answering/.test(await visitor.page.locator(".strip").textContent({ timeout: 500 }));
  }, "all four are missed", 20000);
  for (const path of ["/", "/topics", "/topics/orders", "/nodes", "/cluster", "/lookup", "/counter"]) {
    await visitor.at(path);
    assert.match(await visitor.page.locator(".strip").textContent(), /not answering/);
    for (const text of await visitor.page.locator(".unknown").allTextContents()) assert.doesNotMatch(text, /0/, path);
  }
  await visitor.close();
});

test("names that want to be markup are text", async () => {
  const visitor = await open(chrome, hostile.url);
  const node = encodeURIComponent(hostile.nodes[0].key);
  const long = "n".repeat(64);
  for (const path of ["/", "/topics", `/topics/${long}/${long}`, "/nodes", `/nodes/${node}`, "/cluster"]) {
    await visitor.at(path);
    assert.equal(await visitor.page.locator("img, b").count(), 0, path);
  }
  await visitor.close();
});

/** UI-025 */
test("ui_025 on a phone only tables scroll sideways and the first column stays", async () => {
  const visitor = await open(chrome, incident.url, { viewport: PHONE });
  const { page } = visitor;
  await visitor.at("/topics/orders");
  const box = page.locator("#main-table .scroll");
  const name = page.locator("#main-table tbody th").first();
  const before = (await name.boundingBox()).x;
  await box.evaluate((element) => { element.scrollLeft = 300; });
  assert.ok(await box.evaluate((element) => element.scrollLeft) > 0);
  assert.equal((await name.boundingBox()).x, before);
  await visitor.close();
});

/** UI-095 */
test("ui_095 the pointer and the arrow keys show exact values on all charts", async () => {
  const visitor = await open(chrome, incident.url);
  const { page } = visitor;
  await visitor.at("/topics/orders/billing");
  const charts = page.locator("svg[role=img]");
  await charts.first().hover();
  assert.equal(await page.locator(".exact").count(), await charts.count());
  await page.mouse.move(1, 1);
  await charts.nth(1).focus();
  await page.keyboard.press("ArrowLeft");
  assert.match(await page.locator(".exact").nth(1).textContent(), /depth [\d,]+/);
  await visitor.close();
});
