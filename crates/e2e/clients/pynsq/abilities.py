"""What pynsq can do, through the layers that are named. The command is described in ../README.md."""

import asyncio
import logging
import ssl
import sys
import time

import nsq
import tornado.ioloop

TOPIC = "abilities"
ALL = 7


def layered(layers):
    """Options of a connection through these layers."""
    known = {
        "plain": {},
        "tls": {"tls_v1": True, "tls_options": {"cert_reqs": ssl.CERT_NONE}},
        "snappy": {"snappy": True},
        "deflate": {"deflate": True},
        "auth": {"auth_secret": "secret"},
    }
    options = {}
    for layer in layers.split("+"):
        options.update(known[layer])
    return options


async def connected(writer):
    while not any(conn.connected() for conn in writer.conns.values()):
        await asyncio.sleep(0.02)


async def send(send_with, *what):
    """Publishes and waits for OK."""
    answer = asyncio.get_running_loop().create_future()
    send_with(TOPIC, *what, callback=lambda conn, data: answer.done() or answer.set_result(data))
    data = await asyncio.wait_for(answer, 20)
    if data != b"OK":
        raise RuntimeError(f"refused: {data}")


async def publish(address, options):
    writer = nsq.Writer([address], reconnect_interval=0.2, name="e2e", **options)
    await asyncio.wait_for(connected(writer), 20)
    await send(writer.pub, b"publish")
    await send(writer.mpub, [b"multi-1", b"multi-2", b"requeue", b"touch", b"backoff"])
    await send(writer.dpub, 300, b"deferred")
    return time.monotonic()


def touch_and_finish(message, loop, times):
    """Longer than the time-out in all, so that only the touches keep it from coming again."""
    if times == 0:
        done(message, loop)
        message.finish()
    else:
        message.touch()
        loop.call_later(0.5, touch_and_finish, message, loop, times - 1)


finished = []


def done(message, loop):
    finished.append(message)
    print(message.body.decode(), message.attempts, flush=True)
    if len(finished) == ALL:
        # The last answer is on its way.
        loop.call_later(0.3, loop.stop)


def main(address, layers):
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    options = layered(layers)
    loop = tornado.ioloop.IOLoop.current()
    began = loop.run_sync(lambda: publish(address, options))

    def handle(message):
        body = message.body
        if body == b"requeue" and message.attempts == 1:
            message.enable_async()
            message.requeue(backoff=False, delay=0)
            return None
        if body == b"backoff" and message.attempts == 1:
            return False
        if body == b"touch":
            message.enable_async()
            touch_and_finish(message, loop, 5)
            return None
        if body == b"deferred" and time.monotonic() - began < 0.25:
            raise RuntimeError("early")
        done(message, loop)
        return True

    nsq.Reader(
        topic=TOPIC,
        channel="channel",
        message_handler=handle,
        nsqd_tcp_addresses=[address],
        max_in_flight=1,
        requeue_delay=0,
        max_backoff_duration=1,
        **options,
    )
    loop.start()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
