// Chromium of the system, driven by Playwright. Every page is watched: what it logs, what its policy refuses, what it loads.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const DESKTOP = { width: 1280, height: 720 };
export const PHONE = { width: 390, height: 844 };

export async function browser() {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A page that fails its test if anything is logged, refused by the policy, or loaded from elsewhere. */
export async function open(chrome, url, { viewport = DESKTOP, theme = "light", script = true } = {}) {
  const context = await chrome.newContext({ viewport, colorScheme: theme, javaScriptEnabled: script, bypassCSP: false });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`error: ${error}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`foreign: ${request.url()}`);
  });
  return {
    page,
    complaints,
    /** Goes to a path and waits until it is there. */
    async at(path) {
      const answer = await page.goto(url + path, { waitUntil: "load" });
      return answer;
    },
    async close() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}

/** What axe says of the page as it is. Its script is put in by the debugger, not by the page. */
export async function violations(chrome, url, path, options) {
  const context = await chrome.newContext({ bypassCSP: true, viewport: DESKTOP, ...options });
  const page = await context.newPage();
  await page.goto(url + path, { waitUntil: "load" });
  await page.evaluate(axe);
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  await context.close();
  return result.violations.map((own) => `${path}: ${own.id}: ${own.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`);
}

/** Every page, of a cluster that has the topics of F3. */
export function paths(cluster) {
  const node = encodeURIComponent(cluster.nodes[0].key);
  return ["/", "/topics", "/topics/orders", "/topics/orders/billing", "/topics/orders/billing?tab=clients", "/nodes", `/nodes/${node}`,
    "/lookup", "/cluster", "/counter", "/search?q=o", "/settings", "/help", "/topics/orders?confirm=delete", "/audit",
    "/topics/orders?tab=publish", "/topics/orders?tab=messages", "/topics/orders/billing?tab=timers",
    "/topics?confirm=delete&topic=orders&topic=audit", "/topics/nope"];
}
