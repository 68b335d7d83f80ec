// What open pages do by themselves (console spec 5 and 11): values, notices, pauses, and what happens when something breaks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { channel, eventually, proxy, topic } from "./fakes.mjs";
import { f2, f3 } from "./fixtures.mjs";
import { browser, open } from "./support.mjs";

let chrome;
let incident;
/** Ended also when a test fails. */
const others = [];

before(async () => {
  [chrome, incident] = await Promise.all([browser(), f3()]);
  await known(incident);
});

after(async () => {
  await chrome?.close();
  for (const own of [incident, ...others]) own?.stop();
});

async function known(own) {
  others.push(own);
  await eventually(async () => (await (await fetch(`${own.url}/?format=json`)).json()).generation > 2, `${own.url} knows its cluster`);
}

const chip = (page) => page.locator("#live").textContent();
const says = (page, words, limit) => eventually(async () => words.test(await chip(page)), `the chip says ${words}`, limit);

/** A tab that somebody leaves, or comes back to. */
const hide = (page, hidden) => page.evaluate((is) => {
  Object.defineProperty(document, "hidden", { value: is, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

const streams = async (url) => Number(/^nsqadmin_streams (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())[1]);

/** UI-100 */
test("ui_100 values change within an interval and a second, and nothing moves", async () => {
  const visitor = await open(chrome, incident.url);
  const { page } = visitor;
  await visitor.at("/topics/orders");
  const messages = page.locator("tbody tr:has(a:text-is('billing')) td").nth(7);
  const link = page.locator("#main-table tbody a").nth(1);
  await link.hover();
  const under = () => page.evaluate(() => [...document.querySelectorAll(":hover")].at(-1).textContent);
  const [first, below] = [await messages.textContent(), await under()];
  const order = await page.locator("#main-table tbody th").allTextContents();
  // asked every second: two seconds, and one for a busy machine
  await eventually(async () => await messages.textContent() !== first, "a new value", 3000);
  assert.deepEqual(await page.locator("#main-table tbody th").allTextContents(), order);
  assert.equal(await under(), below);
  await visitor.close();
});

/** UI-101 */
test("ui_101 a new topic is told, and comes when it is asked for", async () => {
  const names = Array.from({ length: 60 }, (_, at) => `topic-${String(at).padStart(2, "0")}`);
  const own = await f2(() => names.map((name) => topic(name, [channel("c")])));
  await known(own);
  const visitor = await open(chrome, own.url);
  const { page } = visitor;
  await visitor.at("/topics");
  await page.check("input[value='topic-40']");
  await page.evaluate(() => scrollTo(0, 300));
  names.push("a-new-one");
  const notice = page.locator("#apply");
  await notice.waitFor();
  assert.match(await notice.textContent(), /^1 new/);
  assert.equal(await page.locator("a:text-is('a-new-one')").count(), 0);
  await page.evaluate(() => scrollTo(0, 300));
  await page.keyboard.press(".");
  await page.locator("a:text-is('a-new-one')").waitFor();
  assert.ok(await page.isChecked("input[value='topic-40']"));
  assert.ok(Math.abs(await page.evaluate(() => scrollY) - 300) < 60);
  await notice.waitFor({ state: "detached" });
  await visitor.close();
});

/** UI-102 */
test("ui_102 a pause is a pause, also in a tab that comes back", async () => {
  const visitor = await open(chrome, incident.url);
  const { page } = visitor;
  await page.clock.install();
  let asked = 0;
  page.on("request", () => { asked += 1; });
  await visitor.at("/topics/orders");
  await says(page, /Live/);
  const messages = page.locator("tbody tr:has(a:text-is('billing')) td").nth(7);
  await page.click("#live");
  assert.match(await chip(page), /Paused/);
  const [paused, before] = [await messages.textContent(), asked];
  await page.clock.runFor(30000);
  await hide(page, true);
  await page.clock.runFor(31000);
  await hide(page, false);
  await page.clock.runFor(60000);
  assert.equal(asked, before);
  assert.equal(await messages.textContent(), paused);
  await page.click("#live");
  await eventually(async () => await messages.textContent() !== paused, "live again", 4000);
  await visitor.close();
});

/** UI-103: a browser opens six connections to a host, and streams of forgotten tabs would hold them. */
test("ui_103 hidden tabs let their streams go, so that eight tabs still navigate", async () => {
  const own = await f2(() => [topic("t1", [channel("c1")])]);
  await known(own);
  const context = await chrome.newContext();
  const pages = [];
  for (let at = 0; at < 8; at += 1) {
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(`${own.url}/topics`);
    await says(page, /Live \d/);
    pages.push(page);
    if (at < 7) {
      await hide(page, true);
      await page.clock.runFor(30000);
    }
  }
  await eventually(async () => await streams(own.url) === 1, "only the tab that is seen has a stream");
  for (const page of pages) {
    await page.click("a:text-is('Nodes')");
    await page.waitForURL("**/nodes");
    await page.close();
  }
  await context.close();
});

/** UI-104 */
test("ui_104 a broken connection is taken up again, and another process offers to load the page anew", async () => {
  const own = await f2(() => [topic("t1", [channel("c1")])]);
  await known(own);
  const between = await proxy(own.url);
  others.push(between);
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.goto(`${between.url}/topics`);
  await says(page, /Live \d/);
  between.cut();
  await says(page, /Reconnecting/);
  between.mode = "open";
  await says(page, /Live \d/, 15000);
  own.admin.stop();
  await says(page, /Reconnecting/);
  own.admin = await own.admin.again();
  await says(page, /Console was updated – reload/, 30000);
  await page.click("#live");
  await says(page, /Live \d/);
  await context.close();
});

/** UI-107: what is answered to a stream too many is a test over HTTP. */
test("ui_107 without a place for a stream the page asks every 15 s", async () => {
  let depth = 7;
  const own = await f2(() => [topic("t1", [channel("c1", { depth })])], ["--live-max-streams=0"]);
  await known(own);
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(`${own.url}/topics`);
  const cell = page.locator("tbody tr:has(a:text-is('t1')) td").nth(1);
  assert.equal(await cell.textContent(), "7");
  depth = 8;
  await eventually(async () => {
    await page.clock.runFor(5000);
    return await cell.textContent() === "8";
  }, "the value comes without a stream");
  await context.close();
});

/** UI-110 */
test("ui_110 behind a proxy that keeps streams back the page asks instead", async () => {
  let depth = 7;
  const own = await f2(() => [topic("t1", [channel("c1", { depth })])]);
  await known(own);
  const between = await proxy(own.url);
  others.push(between);
  between.mode = "hold";
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(`${between.url}/topics`);
  depth = 8;
  await eventually(async () => (await (await fetch(`${own.url}/topics?format=csv`)).text()).includes(",8,"), "nsqadmin knows it");
  const cell = page.locator("tbody tr:has(a:text-is('t1')) td").nth(1);
  assert.equal(await cell.textContent(), "7");
  await page.clock.runFor(15000);
  await eventually(async () => await cell.textContent() === "8", "within 15 s", 5000);
  await context.close();
});

/** UI-111 */
test("ui_111 what is selected stays until it is let go", async () => {
  const own = await f2(() => [topic("t1", [channel("c1", { paused: true })])]);
  await known(own);
  const visitor = await open(chrome, own.url);
  const { page } = visitor;
  await visitor.at("/topics/t1/c1");
  const text = page.locator("[data-f=notices] p").first();
  const first = await text.textContent();
  assert.match(first, /paused/);
  await page.evaluate(() => getSelection().selectAllChildren(document.querySelector("[data-f=notices] p")));
  await says(page, /updating/, 5000);
  assert.equal(await text.textContent(), first);
  await page.evaluate(() => getSelection().removeAllRanges());
  await eventually(async () => await text.textContent() !== first, "it comes after all", 5000);
  await visitor.close();
});

/** UI-052 */
test("ui_052 old values say how old they are until somebody answers", async () => {
  const own = await f2(() => [topic("t1", [channel("c1", { depth: 7 })])]);
  await known(own);
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.goto(`${own.url}/topics`);
  await says(page, /Live \d/);
  const silent = Date.now();
  own.nodes[0].state.answer = 500;
  await says(page, /▲ Stale \d+ s/);
  assert.ok(Date.now() - silent >= 2000, "not before three intervals of a second");
  assert.ok(await page.locator("body.late").count());
  own.nodes[0].state.answer = undefined;
  const { state } = own.nodes[0];
  const before = state.told;
  await eventually(() => state.told > before, "it is asked again");
  await says(page, /● Live \d/, 2500);
  assert.equal(await page.locator("body.late").count(), 0);
  await context.close();
});

/** UI-040, and case 65 of nsqadmin.md, na_065. */
test("ui_040 the counter runs through restarts and outages and never back", async () => {
  let [base, began] = [5000, Date.now()];
  const count = () => base + Math.floor((Date.now() - began) / 5);
  const own = await f2(() => [topic("t1", [channel("c1", { message_count: count() })])]);
  await known(own);
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.goto(`${own.url}/counter`);
  const number = async () => Number((await page.locator(".tile.big dd").textContent()).replaceAll(",", ""));
  let last = await number();
  const runs = async (what) => {
    const from = last;
    const end = Date.now() + 3000;
    while (Date.now() < end) {
      const now = await number();
      assert.ok(now >= last, `${what}: ${now} after ${last}`);
      last = now;
      await page.waitForTimeout(50);
    }
    assert.ok(last > from + 100, `${what}: it stands at ${last}`);
  };
  await eventually(async () => await number() > last + 100, "it runs");
  await runs("with answers");
  own.nodes[0].state.answer = 500;
  await eventually(async () => /Stale/.test(await chip(page)), "nobody answers");
  await runs("in an outage");
  // another process: from 0
  [base, began] = [0, Date.now()];
  own.nodes[0].state.answer = undefined;
  await eventually(async () => /Live/.test(await chip(page)), "somebody answers");
  await runs("after a restart");
  const still = await chrome.newContext({ javaScriptEnabled: false });
  const plain = await still.newPage();
  await plain.goto(`${own.url}/counter`);
  assert.match(await plain.locator(".tile.big dd").textContent(), /^[\d,]+$/);
  await still.close();
  await context.close();
});
