// What a page does beyond HTML: live values, keys, search, exact values of charts. Nothing here is needed to read or to act.

const root = document.documentElement;
const html = window.trustedTypes
  ? window.trustedTypes.createPolicy("nsqadmin", { createHTML: (text) => text })
  : { createHTML: (text) => text };
const CLASSES = ["number", "zero", "unknown", "partial"];
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const HELD = 10000;
const FADE = 5000;
const home = root.dataset.home.replace(/\/$/, "");

// ---- Live values ----

const live = {
  chip: document.getElementById("live"),
  source: null,
  paused: false,
  failures: 0,
  at: 0,
  timer: 0,
  silence: 0,
  once: false,
  asking: null,
  isOpen: false,
};

function say(text, state) {
  live.chip.textContent = text;
  live.chip.dataset.state = state;
}

function age() {
  if (live.paused || !live.at) return;
  for (const [element, own] of held) put(element, own.markup);
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - live.at));
  const late = seconds > 3 * Number(root.dataset.every);
  if (late) say(`▲ Stale ${seconds} s`, "stale");
  else if (live.isOpen) say(held.size ? "● Live, updating…" : `● Live ${seconds} s`, "live");
  document.body.classList.toggle("late", late);
}

/** Somebody reads or uses it: a chart under the pointer, a control with focus, selected text. */
function isUsed(element) {
  const selection = document.getSelection();
  const focus = document.activeElement;
  return element.matches(":hover") && element.querySelector("svg[role=img]")
    || (element.contains(focus) && focus.matches("input, select, textarea, svg"))
    || (selection && !selection.isCollapsed && element.contains(selection.anchorNode));
}

const held = new Map();

/** New content now, or a little later while the old is used. Open details and focus stay. */
function put(element, markup) {
  const since = held.get(element)?.since ?? Date.now();
  if (isUsed(element) && Date.now() - since < HELD) {
    held.set(element, { markup, since });
    return;
  }
  held.delete(element);
  const open = [...element.querySelectorAll("details")].map((details) => details.open);
  const focusable = "a, button, input, select, summary, svg";
  const focus = [...element.querySelectorAll(focusable)].indexOf(document.activeElement);
  element.innerHTML = html.createHTML(markup);
  element.querySelectorAll("details").forEach((details, at) => { details.open = Boolean(open[at]); });
  if (focus >= 0) element.querySelectorAll(focusable)[focus]?.focus({ preventScroll: true });
}

function look(element, classes, title) {
  if (classes !== undefined) {
    for (const name of CLASSES) element.classList.toggle(name, classes.split(" ").includes(name));
  }
  if (title !== undefined) element.title = title;
}

const faded = new WeakMap();

function fade(element) {
  if (Date.now() - (faded.get(element) ?? 0) < FADE) return;
  faded.set(element, Date.now());
  element.classList.add("changed");
  setTimeout(() => element.classList.remove("changed"), 700);
}

function apply(patch) {
  live.at = Date.now() / 1000 - patch.age;
  for (const [key, text, classes, title] of patch.c) {
    const element = document.querySelector(`[data-k="${key}"]`);
    if (!element) continue;
    if (element === counter.element) counter.title = title;
    if (element === counter.element || element.textContent === text) continue;
    element.textContent = text;
    if (element.tagName === "TD") look(element, classes, title);
    fade(element);
  }
  for (const [name, markup, classes, title] of patch.f) {
    const element = document.querySelector(`[data-f="${name}"]`) || document.querySelector(`[data-k="${name}"]`);
    if (element && element === counter.element) counter.title = title;
    if (!element || element === counter.element || element.innerHTML === markup) continue;
    put(element, markup);
    if (element.tagName === "TD") look(element, classes, title);
  }
  rows(patch.p, patch.reload);
  // a number that a patch does not name is what it was
  if (counter.element) count();
  age();
}

function rows(change, reload) {
  const parts = [];
  if (change.new) parts.push(`${change.new} new`);
  if (change.gone) parts.push(`${change.gone} gone`);
  if (change.order) parts.push("order changed");
  if (reload) parts.push("much changed");
  let button = document.getElementById("apply");
  if (!parts.length) {
    if (button) button.remove();
    return;
  }
  const table = document.getElementById("main-table");
  if (!table) return;
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    button.id = "apply";
    button.addEventListener("click", reorder);
    table.querySelector(".top").after(button);
  }
  button.textContent = `${parts.join(", ")} — apply`;
}

/** A page of ours as a document; nothing if it cannot be had. */
async function load(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    return answer.ok ? new DOMParser().parseFromString(html.createHTML(await answer.text()), "text/html") : null;
  } catch {
    return null;
  }
}

async function reorder() {
  const page = await load(location.href);
  if (!page) return;
  const now = document.querySelector("#main-table tbody");
  const next = page.querySelector("#main-table tbody");
  if (now && next) {
    const ticked = new Set([...now.querySelectorAll("input:checked")].map((box) => box.value));
    now.replaceWith(document.adoptNode(next));
    for (const box of next.querySelectorAll("input[type=checkbox]")) box.checked = ticked.has(box.value);
  }
  const button = document.getElementById("apply");
  if (button) button.remove();
  connect();
}

function close() {
  clearTimeout(live.timer);
  clearTimeout(live.silence);
  if (live.source) live.source.close();
  live.source = null;
  live.isOpen = false;
  live.asking?.abort();
}

function again() {
  close();
  if (live.paused) return;
  live.failures += 1;
  live.once = live.once || live.failures >= 3;
  say("↻ Reconnecting", "stale");
  const wait = Math.min(30000, 1000 * 2 ** Math.min(live.failures - 1, 5));
  live.timer = setTimeout(connect, wait * (0.8 + 0.4 * Math.random()));
}

function url(once) {
  return `${root.dataset.stream}${once ? "&once=1" : ""}`;
}

async function fetchOnce() {
  live.asking = new AbortController();
  try {
    const answer = await fetch(url(true), { signal: live.asking.signal });
    if (answer.ok) {
      live.isOpen = true;
      live.failures = 0;
      apply(await answer.json());
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    live.isOpen = false;
    say("↻ Reconnecting", "stale");
  }
  live.timer = setTimeout(fetchOnce, 15000);
}

function connect() {
  close();
  if (live.paused || document.hidden) return;
  if (live.once) {
    fetchOnce();
    return;
  }
  const source = new EventSource(url(false));
  live.source = source;
  // a proxy that keeps everything back lets no byte through
  live.silence = setTimeout(() => { live.once = true; connect(); }, 10000);
  source.addEventListener("hello", (event) => {
    clearTimeout(live.silence);
    live.failures = 0;
    live.isOpen = true;
    const hello = JSON.parse(event.data);
    if (hello.boot !== root.dataset.boot) {
      live.paused = true;
      close();
      say("Console was updated – reload", "stale");
      live.chip.removeEventListener("click", pause);
      live.chip.addEventListener("click", () => location.reload());
    }
  });
  source.addEventListener("patch", (event) => apply(JSON.parse(event.data)));
  source.addEventListener("bye", () => again());
  source.addEventListener("error", () => again());
}

function pause() {
  live.paused = !live.paused;
  if (live.paused) {
    close();
    say("Ⅱ Paused", "paused");
  } else {
    connect();
    age();
  }
}

if (root.dataset.stream && live.chip) {
  live.chip.disabled = false;
  live.chip.addEventListener("click", pause);
  say("● Live", "live");
  connect();
  setInterval(age, 1000);
  let hiding = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(close, 30000);
    else if (!live.source && !live.paused) connect();
  });
}

// ---- The counter: it runs at the last speed between answers, through restarts and outages too, and never back ----

const counter = { element: document.querySelector(".tile.big dd"), title: "", shown: 0, carried: 0, last: 0, at: 0, speed: 0 };

function count() {
  // the sum of some nodes, or of none, says nothing about the speed
  if (!/^\d+$/.test(counter.title)) return;
  const value = Number(counter.title);
  const now = Date.now();
  // a picture may come before its node has answered again
  if (value === counter.last && now - counter.at < 2500 * Number(root.dataset.every)) return;
  // other processes count from 0: what they had counted stays counted
  if (value < counter.last) counter.carried += counter.last - value;
  else if (counter.at && now > counter.at) counter.speed = (value - counter.last) / (now - counter.at);
  counter.last = value;
  counter.at = now;
  if (STILL.matches) draw(value + counter.carried);
}

function draw(value) {
  counter.shown = Math.max(counter.shown, Math.floor(value));
  const text = counter.shown.toLocaleString("en");
  if (counter.element.textContent !== text) counter.element.textContent = text;
}

if (counter.element) {
  counter.title = counter.element.closest(".tile").title;
  count();
  setInterval(() => {
    if (!counter.at || live.paused || STILL.matches) return;
    draw(counter.last + counter.carried + counter.speed * (Date.now() - counter.at));
  }, 100);
}

// ---- Charts: exact values at the pointer, or with the arrow keys ----

function points(line) {
  const from = Number(line.ownerSVGElement.dataset.from);
  return line.dataset.y.split(" ").map((point) => {
    const [time, value] = point.split(":");
    return { time: from + Number(time), value };
  });
}

function show(chart, part) {
  const svg = chart.querySelector("svg[role=img]");
  const from = Number(svg.dataset.from);
  const to = Number(svg.dataset.to);
  const wanted = from + part * (to - from);
  const texts = [];
  let time = wanted;
  for (const line of svg.querySelectorAll("[data-y]")) {
    let best = null;
    for (const point of points(line)) {
      if (!best || Math.abs(point.time - wanted) < Math.abs(best.time - wanted)) best = point;
    }
    if (!best) continue;
    time = best.time;
    texts.push(`${line.dataset.label} ${best.value === undefined ? "–" : Number(best.value).toLocaleString("en")}`);
  }
  let cursor = svg.querySelector(".cursor");
  if (!cursor) {
    cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
    cursor.setAttribute("class", "cursor");
    svg.append(cursor);
  }
  const x = 52 + part * 420;
  cursor.setAttribute("d", `M${x.toFixed(0)} 8V136`);
  let exact = chart.querySelector(".exact");
  if (!exact) {
    exact = document.createElement("output");
    exact.className = "exact";
    chart.querySelector("figcaption").append(exact);
  }
  exact.textContent = `${new Date(time * 1000).toISOString().slice(11, 19)}  ${texts.join("  ")}`;
  chart.dataset.part = String(part);
}

function showAll(part) {
  for (const chart of document.querySelectorAll(".chart")) show(chart, part);
}

function hide() {
  for (const element of document.querySelectorAll(".cursor, .exact")) element.remove();
}

document.addEventListener("pointermove", (event) => {
  const svg = event.target.closest ? event.target.closest("svg[role=img]") : null;
  if (!svg) return;
  const box = svg.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * 480;
  showAll(Math.min(1, Math.max(0, (x - 52) / 420)));
});
document.addEventListener("pointerout", (event) => {
  if (event.target.closest && event.target.closest("svg[role=img]") && !(event.relatedTarget && event.relatedTarget.closest && event.relatedTarget.closest("svg[role=img]"))) hide();
});
document.addEventListener("keydown", (event) => {
  const svg = document.activeElement && document.activeElement.closest("svg[role=img]");
  if (!svg || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const part = Number(svg.closest(".chart").dataset.part ?? 1) + (event.key === "ArrowLeft" ? -0.01 : 0.01);
  showAll(Math.min(1, Math.max(0, part)));
  event.preventDefault();
});

// ---- Suggestions while somebody types into the search ----

const search = document.querySelector(".search input");
const found = document.getElementById("found");
const suggestions = { timer: 0, at: -1, asked: 0 };

function options() {
  return [...found.querySelectorAll("[role=option]")];
}

function fold() {
  clearTimeout(suggestions.timer);
  suggestions.asked += 1;
  found.hidden = true;
  search.setAttribute("aria-expanded", "false");
  choose(-1);
}

function choose(at) {
  suggestions.at = at;
  options().forEach((option, own) => option.setAttribute("aria-selected", String(own === at)));
  const option = options()[at];
  if (option) {
    search.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else search.removeAttribute("aria-activedescendant");
}

async function suggest() {
  const asked = suggestions.asked += 1;
  const page = await load(`${search.form.action}?frag=1&q=${encodeURIComponent(search.value.trim())}`);
  if (!page || asked !== suggestions.asked || document.activeElement !== search) return;
  found.replaceChildren(...[...page.querySelectorAll("[role=option]")].map((option) => document.adoptNode(option)));
  const many = options().length;
  found.hidden = many === 0;
  search.setAttribute("aria-expanded", String(many > 0));
  document.getElementById("found-many").textContent = many === 1 ? "1 suggestion" : `${many || "no"} suggestions`;
  choose(-1);
}

search.addEventListener("input", () => {
  clearTimeout(suggestions.timer);
  if (search.value.trim() === "") fold();
  else suggestions.timer = setTimeout(suggest, 120);
});
search.addEventListener("keydown", (event) => {
  const many = found.hidden ? 0 : options().length;
  if (event.key === "Escape" && many) fold();
  else if (event.key === "ArrowDown" && many) choose((suggestions.at + 1) % many);
  else if (event.key === "ArrowUp" && many) choose((suggestions.at <= 0 ? many : suggestions.at) - 1);
  else if (event.key === "Enter" && many && suggestions.at >= 0) location.assign(options()[suggestions.at].dataset.url);
  else return;
  event.preventDefault();
});
search.addEventListener("blur", fold);
// before the blur that would fold them
found.addEventListener("pointerdown", (event) => {
  const option = event.target.closest("[role=option]");
  if (option) location.assign(option.dataset.url);
  event.preventDefault();
});

// ---- The page that asks, over the page that one came from. What protects is the server. ----

async function ask(link) {
  const page = await load(link.href);
  const main = page?.querySelector("main");
  if (!main?.querySelector("form input[name=nonce]")) {
    location.assign(link.href);
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", main.querySelector("h1").textContent);
  dialog.append(...[...main.childNodes].map((node) => document.adoptNode(node)));
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  const back = dialog.querySelector(".form .actions a");
  back.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  (dialog.querySelector("input[name=name]") ?? back).focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href*='confirm=']");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  ask(link);
});

// ---- Keys ----

const GO = { o: "/", t: "/topics", n: "/nodes", c: "/cluster", d: "/dead" };
let before = "";
let row = -1;

function select(step) {
  const all = [...document.querySelectorAll("#main-table tbody tr")];
  if (!all.length) return;
  row = Math.min(all.length - 1, Math.max(0, row + step));
  const link = all[row].querySelector("a");
  if (link) link.focus();
}

function follow(selector) {
  const link = document.querySelector(selector);
  if (link) link.click();
}

function step(text) {
  const link = [...document.querySelectorAll("#main-table .pager a")].find((own) => own.textContent === text);
  if (link) link.click();
}

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    search.focus();
    event.preventDefault();
    return;
  }
  const typing = event.target.matches?.("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog");
  if (typing || root.dataset.keys === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key;
  if (before === "g" && GO[key]) {
    location.assign((home + GO[key]).replace(/(.)\/$/, "$1"));
    before = "";
    return;
  }
  before = key;
  if (key === "/") {
    search.focus();
    event.preventDefault();
  } else if (key === "?") location.assign(`${home}/help`);
  else if (key === "j") select(1);
  else if (key === "k") select(-1);
  else if (key === "p" && live.chip) live.chip.click();
  else if (key === ".") follow("#apply");
  else if (key === "x") {
    const line = document.querySelectorAll("#main-table tbody tr")[row];
    if (line) line.querySelector("input[type=checkbox]")?.click();
  }
  else if (key === "[") step("Previous");
  else if (key === "]") step("Next");
  else if (key === "t") {
    const ranges = [...document.querySelectorAll(".ranges a")];
    const now = ranges.findIndex((range) => range.hasAttribute("aria-current"));
    if (ranges.length) ranges[(now + 1) % ranges.length].click();
  }
});
