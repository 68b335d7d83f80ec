// Scripted nsqlookupds and nsqds, and an nsqadmin that asks them.

import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";

/** Programs that run; what a test that failed leaves behind ends with the tests. */
const running = new Set();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A server that does not keep the tests from ending. */
async function listening(server) {
  server.on("connection", (socket) => socket.unref());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  return server.address().port;
}

/** An upstream that answers what `answers` says of a path. */
export async function fake(answers) {
  const server = http.createServer((request, response) => {
    const path = request.url.split("?")[0];
    const answer = answers(path, request);
    if (answer === undefined) {
      response.writeHead(request.method === "POST" ? 200 : 404, { "Content-Type": "application/json" });
      response.end(request.method === "POST" ? "" : '{"message":"NOT_FOUND"}');
      return;
    }
    if (typeof answer === "number") {
      response.writeHead(answer);
      response.end("{");
      return;
    }
    if (answer === "silent") return;
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
  });
  return { port: await listening(server), stop: () => { server.closeAllConnections(); server.close(); } };
}

async function freePort() {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Stands before a console as a proxy does. `mode` is `open`, `cut` (nobody gets through) or `hold` (streams get no byte). */
export async function proxy(target) {
  const own = { mode: "open", sockets: new Set() };
  const server = http.createServer((request, response) => {
    if (own.mode === "hold" && request.url.startsWith("/stream") && !request.url.includes("once=1")) return;
    const onward = http.request(target + request.url, { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
      answer.on("close", () => response.destroy());
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  server.on("connection", (socket) => {
    if (own.mode === "cut") socket.destroy();
    own.sockets.add(socket);
    socket.on("close", () => own.sockets.delete(socket));
  });
  const port = await listening(server);
  return Object.assign(own, {
    url: `http://127.0.0.1:${port}`,
    cut() {
      own.mode = "cut";
      for (const socket of own.sockets) socket.destroy();
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  });
}

/** nsqadmin with these flags; `NSQ_BIN_DIR` says where the program is. */
export async function console_(flags, port) {
  port ??= await freePort();
  const program = `${process.env.NSQ_BIN_DIR}/nsqadmin`;
  const child = spawn(program, [`--http-address=127.0.0.1:${port}`, ...flags], { stdio: ["ignore", "ignore", "ignore"] });
  child.unref();
  running.add(child);
  child.once("exit", () => running.delete(child));
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => (await fetch(`${url}/ping`)).ok, `nsqadmin at ${url}`);
  return { url, stop: () => child.kill("SIGKILL"), again: () => console_(flags, port) };
}

/** Waits until `condition` holds, at most `limit` milliseconds. */
export async function eventually(condition, what, limit = 30000) {
  const end = Date.now() + limit;
  let last;
  while (Date.now() < end) {
    try {
      if (await condition()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never: ${what}${last ? ` (${last})` : ""}`);
}

export function channel(name, more = {}) {
  return {
    channel_name: name, depth: 0, backend_depth: 0, in_flight_count: 0, deferred_count: 0, message_count: 0,
    requeue_count: 0, timeout_count: 0, client_count: 0, clients: [], paused: false, ...more,
  };
}

export function topic(name, channels, more = {}) {
  return { topic_name: name, channels, depth: 0, backend_depth: 0, message_count: 0, message_bytes: 0, paused: false, ...more };
}

/** An nsqd with these topics, or whatever else `state.answer` is. */
export async function nsqd(host, state) {
  const started = Math.floor(Date.now() / 1000) - 86400 * 3;
  const own = await fake((path, request) => {
    if (state.answer !== undefined) return state.answer;
    const looked = state.queue?.(path, new URL(request.url, "http://x").searchParams, request.method);
    if (looked !== undefined) return looked;
    if (path === "/info") {
      return { extensions: state.queue ? ["messages", "policy"] : [], version: "1.3.0", broadcast_address: "127.0.0.1", hostname: host, http_port: own.port, tcp_port: 4150, start_time: started };
    }
    if (path === "/stats") {
      state.told = (state.told ?? 0) + 1;
      return { version: "1.3.0", health: state.health ?? "OK", start_time: started, topics: state.topics(), producers: [] };
    }
    return undefined;
  });
  return { ...own, host, state, key: `127.0.0.1:${own.port}` };
}

/** A nsqlookupd that lists these nsqds. */
export async function lookupd(nodes, inactive = {}) {
  return fake((path, request) => {
    if (path === "/topics") {
      const names = nodes.flatMap((node) => node.state.topics().map((own) => own.topic_name));
      return { topics: [...new Set([...names, ...Object.keys(inactive)])] };
    }
    if (path === "/nodes") {
      const list = nodes.map((node) => ({
        remote_address: "127.0.0.1:5", hostname: node.host, broadcast_address: "127.0.0.1", tcp_port: 4150 + nodes.indexOf(node),
        http_port: node.port, version: "1.3.0", tombstones: [], topics: node.state.topics().map((own) => own.topic_name),
      }));
      return { producers: list };
    }
    if (path === "/lookup") {
      const name = new URL(request.url, "http://x").searchParams.get("topic");
      const producers = nodes.filter((node) => node.state.topics().some((own) => own.topic_name === name));
      return {
        channels: inactive[name] ?? [],
        producers: producers.map((node) => ({ hostname: node.host, broadcast_address: "127.0.0.1", tcp_port: 4150, http_port: node.port, version: "1.3.0" })),
      };
    }
    return undefined;
  });
}
