// What a page does beyond HTML: live values, keys, search, exact values of charts. Nothing here is needed to read or to act.

const root = document.documentElement;
const html = window.trustedTypes
  ? window.trustedTypes.createPolicy("nsqadmin", { createHTML: (text) => text })
  : { createHTML: (text) => text };
const CLASSES = ["number", "zero", "unknown", "partial"];
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
};

function say(text, state) {
  live.chip.textContent = text;
  live.chip.dataset.state = state;
}

function age() {
  if (live.paused || !live.at) return;
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - live.at));
  const late = seconds > 3 * Number(root.dataset.every);
  say(late ? `▲ Stale ${seconds} s` : `● Live ${seconds} s`, late ? "stale" : "live");
  document.body.classList.toggle("late", late);
}

function isHeld(element) {
  const selection = document.getSelection();
  return element.matches(":hover") && element.querySelector("svg[role=img]")
    || (element.contains(document.activeElement) && document.activeElement !== document.body)
    || (selection && !selection.isCollapsed && element.contains(selection.anchorNode));
}

const held = new Map();

function put(element, markup) {
  if (isHeld(element)) {
    held.set(element, markup);
    return;
  }
  held.delete(element);
  const open = [...element.querySelectorAll("details")].map((details) => details.open);
  element.innerHTML = html.createHTML(markup);
  element.querySelectorAll("details").forEach((details, at) => { details.open = Boolean(open[at]); });
}

function look(element, classes, title) {
  if (classes !== undefined) {
    for (const name of CLASSES) element.classList.toggle(name, classes.split(" ").includes(name));
  }
  if (title !== undefined) element.title = title;
}

function apply(patch) {
  live.at = Math.floor(Date.now() / 1000);
  for (const [element, markup] of held) put(element, markup);
  for (const [key, text, classes, title] of patch.c) {
    const element = document.querySelector(`[data-k="${key}"]`);
    if (!element || element.textContent === text) continue;
    element.textContent = text;
    if (element.tagName === "TD") look(element, classes, title);
    element.classList.add("changed");
    setTimeout(() => element.classList.remove("changed"), 700);
  }
  for (const [name, markup, classes, title] of patch.f) {
    const element = document.querySelector(`[data-f="${name}"]`) || document.querySelector(`[data-k="${name}"]`);
    if (!element || element.innerHTML === markup) continue;
    put(element, markup);
    if (element.tagName === "TD") look(element, classes, title);
  }
  rows(patch.p, patch.reload);
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

async function reorder() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(html.createHTML(await answer.text()), "text/html");
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
  try {
    const answer = await fetch(url(true));
    if (answer.ok) {
      apply(await answer.json());
      live.failures = 0;
    }
  } catch {
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
    const hello = JSON.parse(event.data);
    if (hello.boot !== root.dataset.boot) {
      close();
      say("Console was updated – reload", "stale");
      live.chip.onclick = () => location.reload();
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
  live.chip.hidden = false;
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
  const search = document.querySelector(".search input");
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    search.focus();
    event.preventDefault();
    return;
  }
  const typing = event.target.matches && event.target.matches("input, textarea, select");
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
