// How people get about and act (console spec 2.3, 2.4, 3.13 and 11): suggestions, keys, the page that asks, forms without script.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { channel, eventually, topic } from "./fakes.mjs";
import { f2, f3, f7, f8 } from "./fixtures.mjs";
import { DESKTOP, browser, open } from "./support.mjs";

let chrome;
let incident;
let quick;
let many;
let queues;

before(async () => {
  [chrome, incident, many, queues] = await Promise.all([browser(), f3(), f7(250), f8()]);
  let count = 0;
  quick = await f2(() => [topic("orders", [channel("billing", { depth: 7, message_count: count += 1, client_count: 2 })])], ["--stats-poll-interval=200ms"]);
  for (const own of [incident, quick, many, queues]) {
    await eventually(async () => (await (await fetch(`${own.url}/?format=json`)).json()).generation > 2, `${own.url} knows its cluster`);
  }
});

after(async () => {
  await chrome?.close();
  for (const own of [incident, quick, many, queues]) own?.stop();
});

const focused = (page, attribute) => page.evaluate((name) => document.activeElement.getAttribute(name), attribute);

/** UI-131 */
test("ui_131 suggestions come while one types, and lead there", async () => {
  const visitor = await open(chrome, incident.url);
  const { page } = visitor;
  await visitor.at("/");
  const field = page.locator(".search input");
  const options = page.locator("#found [role=option]");
  await page.keyboard.press("/");
  await page.keyboard.type("bill");
  await options.first().waitFor();
  assert.equal(await field.getAttribute("aria-expanded"), "true");
  assert.match(await page.locator("#found-many").textContent(), /^\d+ suggestions?$/);
  assert.equal(Number.parseInt(await page.locator("#found-many").textContent(), 10), await options.count());
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#found").isHidden());
  assert.equal(await field.inputValue(), "bill");
  await field.fill("orders");
  await page.locator("#found [role=option]:has-text('orders/mail')").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await field.getAttribute("aria-activedescendant"), "found-2");
  const chosen = await options.nth(1).getAttribute("data-url");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  assert.equal(await field.getAttribute("aria-activedescendant"), `found-${await options.count()}`);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**${chosen}`);
  // a verb leads to the page that asks, and does nothing
  await page.keyboard.press("Control+k");
  await page.keyboard.type("pause orders/billing");
  await options.first().waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/topics/orders/billing?confirm=pause");
  await page.locator("button:has-text('Pause channel')").waitFor();
  assert.ok(!(await (await fetch(`${incident.url}/audit?format=csv`)).text()).includes("pause"));
  await visitor.close();
});

/** UI-132 */
test("ui_132 keys lead, are silent in text fields, and can be switched off", async () => {
  const visitor = await open(chrome, many.url);
  const { page } = visitor;
  await visitor.at("/settings");
  const go = { n: "/nodes", c: "/cluster", d: "/dead", t: "/topics", o: "/" };
  for (const [key, path] of Object.entries(go)) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForURL((url) => url.pathname === path);
  }
  await page.keyboard.press("?");
  await page.waitForURL("**/help");
  await page.goto(`${many.url}/topics`);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  assert.equal(await focused(page, "href"), "/topics/topic-0000");
  await page.keyboard.press("x");
  assert.ok(await page.isChecked("input[value=topic-0000]"));
  await page.keyboard.press("k");
  assert.equal(await focused(page, "href"), "/topics/dead");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/topics/topic-0000");
  await page.keyboard.press("t");
  await page.waitForURL("**/topics/topic-0000?t=2h");
  await page.keyboard.press("p");
  await eventually(async () => /Paused/.test(await page.locator("#live").textContent()), "it is paused");
  await page.goto(`${many.url}/topics`);
  await page.keyboard.press("]");
  await page.waitForURL("**/topics?page=2");
  await page.keyboard.press("[");
  await page.waitForURL("**/topics?page=1");
  await page.keyboard.press("/");
  await page.keyboard.type("gt?pj[x.");
  assert.equal(await page.inputValue(".search input"), "gt?pj[x.");
  assert.ok(page.url().endsWith("/topics?page=1"));
  await page.goto(`${many.url}/settings`);
  await page.selectOption("#f-keys", "off");
  await page.click("button:has-text('Save settings')");
  await page.keyboard.press("g");
  await page.keyboard.press("n");
  await page.keyboard.press("?");
  await page.keyboard.press("Control+k");
  assert.ok(page.url().endsWith("/settings"));
  assert.equal(await focused(page, "name"), "q");
  await visitor.close();
});

/** UI-069 */
test("ui_069 the page that asks is a dialog that patches do not touch", async () => {
  const visitor = await open(chrome, quick.url);
  const { page } = visitor;
  await visitor.at("/topics/orders/billing");
  await page.click("a:text-is('Delete channel')");
  const dialog = page.locator("dialog[open]");
  await dialog.waitFor();
  assert.equal(await focused(page, "name"), "name");
  await page.keyboard.type("orders/b");
  // thirty seconds at the usual interval are six patches
  const messages = page.locator(".tile:has(dt:text-is('Messages')) dd");
  let last = await messages.textContent();
  for (let patch = 0; patch < 6; patch += 1) {
    await eventually(async () => await messages.textContent() !== last, "a patch behind the dialog");
    last = await messages.textContent();
  }
  assert.equal(await focused(page, "name"), "name");
  await page.keyboard.type("illing");
  assert.equal(await dialog.locator("input[name=name]").inputValue(), "orders/billing");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal(await focused(page, "href"), "/topics/orders/billing?confirm=delete");
  await page.click("a:text-is('Pause channel')");
  await dialog.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await dialog.locator("button").click();
  await page.waitForURL("**/audit/*");
  await visitor.close();
});

/** UI-061 */
test("ui_061 pausing takes two clicks without script, and is seen at once", async () => {
  let paused = false;
  const own = await f2(() => [topic("t1", [channel("c1", { paused })])]);
  const visitor = await open(chrome, own.url, { script: false });
  const { page } = visitor;
  await eventually(async () => (await (await visitor.at("/topics/t1/c1")).text()).includes("Pause channel"), "the page is there");
  paused = true;
  await page.click("a:text-is('Pause channel')");
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === "POST"),
    page.click("button:has-text('Pause channel')"),
  ]);
  assert.equal(answer.status(), 303);
  assert.match(page.url(), /\/audit\//);
  assert.deepEqual(await page.locator("#main-table tbody th").allTextContents(), [own.nodes[0].key]);
  await page.click("text=On to channel");
  assert.match(await page.locator(".title .chip").textContent(), /paused/);
  await page.context().close();
  own.stop();
});

/** UI-041 */
test("ui_041 inactive topics can be deleted and made without script", async () => {
  const visitor = await open(chrome, incident.url, { script: false });
  const { page } = visitor;
  await visitor.at("/lookup");
  const inactive = page.locator("section[aria-label='Inactive topics'] tbody th");
  assert.deepEqual(await inactive.allTextContents(), ["dead"]);
  await page.click("section[aria-label='Inactive topics'] a:has-text('Delete')");
  assert.match(await page.locator("h1").textContent(), /Delete topic dead\?/);
  await visitor.at("/lookup");
  await page.fill("#f-topic", "no name");
  await page.click("button:has-text('Create')");
  assert.match(await page.locator(".refusal").textContent(), /no name for a topic, so nothing was done/);
  assert.match(await page.locator(".form").textContent(), /1 to 64 letters, digits/);
  await page.fill("#f-topic", "made-here");
  await page.click("button:has-text('Create')");
  assert.match(await page.locator("main").textContent(), /Create topic made-here/);
  await page.context().close();
});

/** UI-142 */
test("ui_142 the keyboard alone is enough to pause, to delete and to redrive", async () => {
  const visitor = await open(chrome, quick.url, { viewport: DESKTOP });
  const { page } = visitor;
  await visitor.at("/topics/orders/billing");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page, "class"), "skip");
  /** Tabs on until `words` have focus, and looks whether focus is seen and goes on in the order of the page. */
  const tab = async (words) => {
    for (let at = 0; at < 80; at += 1) {
      await page.keyboard.press("Tab");
      const now = await page.evaluate(() => {
        const element = document.activeElement;
        return { text: element.textContent.trim(), outline: getComputedStyle(element).outlineStyle };
      });
      assert.equal(now.outline, "solid", `focus on “${now.text}” is seen`);
      if (now.text === words) return;
    }
    assert.fail(`“${words}” is never reached`);
  };
  await tab("Pause channel");
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/audit/*");
  await visitor.at("/topics/orders/billing");
  await tab("Delete channel");
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  await page.keyboard.type("orders/billing");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/audit/*");
  assert.match(await page.locator("h1").textContent(), /Delete channel orders\/billing/);
  await page.goto(`${queues.url}/topics/orders/billing?tab=dead`);
  await tab("Redrive one");
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/audit/*");
  assert.match(await page.locator("h1").textContent(), /Redrive/);
  await visitor.page.context().close();
  assert.deepEqual(visitor.complaints.filter((text) => !text.includes(queues.url)), []);
});
