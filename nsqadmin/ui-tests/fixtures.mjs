// Clusters to look at. Counters go by the clock, so that every answer is a little further.

import { channel, console_, lookupd, nsqd, topic } from "./fakes.mjs";

const began = Date.now();
const since = () => (Date.now() - began) / 1000;

function clients(count, more = {}) {
  return Array.from({ length: count }, (_, at) => ({
    client_id: `worker-${at}`, hostname: `worker-${at}.example`, version: "V2", remote_address: `10.0.0.${at}:5000`, state: 3,
    ready_count: 25, in_flight_count: 3, message_count: 1000 + at, finish_count: 990 + at, requeue_count: 1,
    connect_ts: Math.floor(began / 1000) - 7800, sample_rate: 0, deflate: false, snappy: at % 2 === 0, user_agent: "go-nsq/1.1.0", tls: false,
    ...more,
  }));
}

/** Everything goes well, on two of two nodes. */
function orders(share) {
  const wave = () => Math.round(400 + 300 * Math.sin(since() / 4) + 100 * Math.sin(since()));
  const count = () => Math.floor(1e6 + since() * 500 * share);
  return topic("orders", [
    channel("billing", {
      depth: wave(), backend_depth: 120, in_flight_count: 40, deferred_count: 4, message_count: count(), requeue_count: 31,
      timeout_count: 2, client_count: 12, clients: clients(12),
    }),
    channel("mail", { depth: 3, in_flight_count: 2, message_count: count(), client_count: 4, clients: clients(4) }),
    channel("audit#ephemeral", { message_count: count(), client_count: 1, clients: clients(1) }),
  ], { message_count: count(), message_bytes: count() * 480 });
}

/** One channel for each kind of trouble. */
function incidents() {
  return [
    topic("payments", [channel("charge", { depth: 1830, client_count: 12, message_count: 50000, clients: clients(12, { ready_count: 0, in_flight_count: 0 }) })],
      { message_count: 50000 }),
    topic("clicks", [channel("archive", { depth: Math.floor(91220 + since() * 130), backend_depth: 81000, message_count: Math.floor(200000 + since() * 130) })],
      { message_count: Math.floor(200000 + since() * 130) }),
    topic("mail", [channel("send", { depth: 1, in_flight_count: 1, client_count: 2, requeue_count: Math.floor(since() * 2), message_count: 900, clients: clients(2) })],
      { message_count: 900 }),
    topic("metrics", [], { depth: 412, message_count: 412 }),
    topic("exports", [channel("nightly", { paused: true, depth: 17, message_count: 17, client_count: 1, clients: clients(1) })], { message_count: 17 }),
    topic("imports", [channel("load", { message_count: 5, client_count: 1, clients: clients(1) })], { paused: true, depth: 9, message_count: 14 }),
  ];
}

async function cluster(nodes, flags = [], inactive = { dead: ["dc"] }, lists = [nodes, nodes]) {
  const lookupds = [];
  for (const list of lists) lookupds.push(await lookupd(list, inactive));
  const admin = await console_([
    ...lookupds.map((own) => `--lookupd-http-address=127.0.0.1:${own.port}`),
    "--stats-poll-interval=1s", "--http-client-request-timeout=2s", "--cluster-name=prod-eu", ...flags,
  ]);
  return {
    url: admin.url, nodes, lookupds, admin,
    stop() {
      this.admin.stop();
      for (const own of [...nodes, ...lookupds]) own.stop();
    },
  };
}

/** One nsqlookupd, and an nsqd that says what `topics` says now. */
export async function f2(topics, flags = []) {
  const node = await nsqd("nsqd-0", { topics });
  return cluster([node], flags, { dead: ["dc"] }, [[node]]);
}

/** One nsqlookupd, one nsqd, no topics. */
export async function f1() {
  const node = await nsqd("nsqd-0", { topics: () => [] });
  return cluster([node], [], {}, [[node]]);
}

/** Trouble of every kind, and one node that is full. */
export async function f3() {
  const nodes = [
    await nsqd("nsqd-0", { topics: () => [orders(1), ...incidents()] }),
    await nsqd("nsqd-1", { topics: () => [orders(2)] }),
    await nsqd("nsqd-2", { topics: () => [orders(1)], health: "NOK - write /data: no space left on device" }),
  ];
  return cluster(nodes, [], { dead: ["dc"] }, [nodes, nodes.slice(0, 2)]);
}

/** As F3, with nodes that fail in every way, and one nsqlookupd that is down. */
export async function f4() {
  const nodes = [
    await nsqd("nsqd-0", { topics: () => [orders(1), ...incidents()] }),
    await nsqd("nsqd-silent", { topics: () => [orders(1)] }),
    await nsqd("nsqd-refusing", { topics: () => [orders(1)] }),
    await nsqd("nsqd-500", { topics: () => [orders(1)] }),
    await nsqd("nsqd-garbage", { topics: () => [orders(1)] }),
  ];
  const own = await cluster(nodes);
  own.break = () => {
    nodes[1].state.answer = "silent";
    nodes[2].stop();
    nodes[3].state.answer = 500;
    nodes[4].state.answer = '{"topics":';
    own.lookupds[1].stop();
  };
  return own;
}

export const HOSTILE = "<img src=x onerror=alert(1)>";

/** Names and texts that want to be markup. */
export async function f6() {
  const long = "n".repeat(64);
  const nodes = [
    await nsqd(`<b>host</b>`, {
      health: `NOK - ${HOSTILE}`,
      topics: () => [
        topic(`${long}`, [channel(`${long}`, { depth: 9, client_count: 1, clients: clients(1, { hostname: HOSTILE, client_id: "\"'<", user_agent: "<script>alert(1)</script>" }) })]),
        topic("e#ephemeral", [channel("c#ephemeral", {})]),
        topic(HOSTILE, [channel(HOSTILE, { paused: true, depth: 2 })]),
      ],
    }),
  ];
  return cluster(nodes, [`--cluster-name=${HOSTILE}`]);
}

/** Many topics. */
export async function f7(topics = 1024, channels = 3) {
  const list = () => Array.from({ length: topics }, (_, at) => topic(`topic-${String(at).padStart(4, "0")}`,
    Array.from({ length: channels }, (_, own) => channel(`channel-${own}`, { depth: (at * 7919) % 5000, message_count: Math.floor(at + since() * (at % 50)), client_count: own })),
    { message_count: Math.floor(at + since() * (at % 50)) }));
  const nodes = [await nsqd("nsqd-0", { topics: list }), await nsqd("nsqd-1", { topics: list })];
  return cluster(nodes);
}

/** Bodies that want to be something else than text. */
export const BODIES = [
  ["json", Buffer.from('{"order":81,"lines":[{"sku":"A-7","n":2}],"note":"<b>bold</b>"}')],
  ["text", Buffer.from(`${HOSTILE}\u001b[31m red\nsecond line \u202Ereversed`)],
  ["hex", Buffer.from([0xff, 0xfe, 0x00, 0x3c, 0x62, 0x3e])],
  ["large", Buffer.alloc(5 << 20, "x<i>y</i>")],
];

const id = (at) => String(at).padStart(16, "0");

function shown(body, most) {
  const cut = body.subarray(0, most);
  const text = cut.toString("utf8");
  const isText = Buffer.from(text).equals(cut);
  return { size: body.length, ...(isText ? { body: text } : { body_base64: cut.toString("base64") }), truncated: cut.length < body.length };
}

/** What `orders/billing` has, on one node: messages of every kind, timers over two days, dead letters, a job, a policy. */
function queue(share) {
  const now = Date.now() * 1e6;
  const letter = (at) => ({
    id: id(500 + at), timestamp: now - 7.2e12, attempts: 0, ...shown(Buffer.from(`{"order":${at}}`), 1024),
    dead_letter: { topic: "orders", channel: "billing", id: id(100 + at), timestamp: now - 7.2e12, attempts: 5,
      reason: at % 3 ? "attempts" : "expired", at: now - (60 - at) * 6e10, first_delivered: now - 7e12, last_client: `worker-${at % 4}` },
  });
  return (path, query) => {
    const most = Number(query.get("body") ?? 1024);
    if (path === "/channel/policy" || path === "/topic/policy") {
      const own = path === "/channel/policy" ? { max_attempts: 4 + share } : { ttl: "24h0m0s", durability: "disk" };
      return { topic: "orders", channel: "", generation: 2, set: own, effective: { max_attempts: 4 + share, ttl: "24h0m0s", durability: "disk", channel_full: "drop_oldest", timeout_backoff: "0s" } };
    }
    if (path === "/channel/job") {
      return { job: share === 1 ? { id: "j", verb: "run", state: "dead", running: true, done: 1840, failed: 0, remaining: 3160, started: now, error: "" } : null };
    }
    if (path !== "/channel/messages" && path !== "/topic/messages") return undefined;
    const page = (messages) => {
      const from = Number(query.get("cursor") || 0);
      const limit = Number(query.get("limit") ?? 20);
      return { messages: messages.slice(from, from + limit), next: from + limit < messages.length ? String(from + limit) : "" };
    };
    const one = (messages) => page(query.get("id") ? messages.filter((own) => own.id === query.get("id")) : messages);
    switch (query.get("state")) {
      case "in_flight":
        return one([{ id: id(40), timestamp: now - 1.5e12, attempts: 41, ...shown(BODIES[0][1], most), delivered: now - 2.9e10, deadline: now + 3.1e10,
          client_id: "worker-1", remote_address: "10.0.0.1:5000" }]);
      case "deferred": {
        const times = Array.from({ length: 60 }, (_, at) => ({ id: id(200 + at * 10 + share), timestamp: now, attempts: at % 4, source: ["publish", "requeue", "timeout"][at % 3],
          due: now + at * at * 5e10 * share + 6e10, ...shown(Buffer.from(`{"remind":${at}}`), most) }));
        const buckets = Array.from({ length: 24 }, (_, at) => ({ to: times[0].due + (times.at(-1).due - times[0].due) * (at + 1) / 24, count: at < 12 ? 4 : 1 }));
        return { ...one(times), total: 60, first_due: times[0].due, last_due: times.at(-1).due, buckets: buckets.map((own) => ({ ...own, to: Math.round(own.to) })) };
      }
      case "dead":
        return one(Array.from({ length: 12 }, (_, at) => letter(at * 2 + share)));
      default: {
        const more = Array.from({ length: 40 }, (_, at) => [`more ${at}`, Buffer.from(`{"order":${at},"total":${at * 3}}`)]);
        const bodies = [...BODIES, ...more];
        return page(bodies.map(([, body], at) => ({ id: id(at + 1), timestamp: now - at * 6e10, attempts: at % 5, ...shown(body, most) })));
      }
    }
  };
}

/** Two nsqds that can be looked into, and one that cannot. */
export async function f8(flags = []) {
  const topics = (share) => () => {
    const own = orders(share);
    Object.assign(own.channels[0], { dead_letter_count: 12, deferred_count: 60, depth: 400 * (3 - share), backend_depth: 0 });
    return [own];
  };
  const nodes = [
    await nsqd("nsqd-0", { topics: topics(1), queue: queue(1) }),
    await nsqd("nsqd-1", { topics: topics(2), queue: queue(2) }),
    await nsqd("nsqd-go", { topics: topics(2) }),
  ];
  return cluster(nodes, flags, {});
}
