"""Publish and consume lines with pynsq. The two commands are described in ../README.md."""

import argparse
import asyncio
import logging
import signal
import sys
import time

import nsq
import tornado.ioloop


class Refused(Exception):
    """No nsqd took the batch."""


def connected(writer):
    """Addresses that the writer can send to now."""
    return [address for address, conn in writer.conns.items() if conn.connected() and address != writer.avoid]


async def publish_batch(writer, topic, batch):
    """Publishes until one nsqd says OK."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = asyncio.get_running_loop().create_future()

        def done(conn, data):
            if not answer.done():
                answer.set_result((conn, data))

        if not connected(writer):
            writer.avoid = None
            await asyncio.sleep(0.05)
            continue
        writer.mpub(topic, batch, callback=done)
        try:
            conn, data = await asyncio.wait_for(answer, 10)
        except asyncio.TimeoutError:
            continue
        if data == b"OK":
            return
        print(f"refused: {data}", file=sys.stderr)
        await asyncio.sleep(0.05)
    raise Refused(f"no nsqd took a batch of {topic} for 60 s")


async def lines(stream):
    """The lines of a stream: any bytes but the line feed, which is cut off."""
    loop = asyncio.get_running_loop()
    rest = b""
    while chunk := await loop.run_in_executor(None, stream.read1, 1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


async def publish(args):
    writer = nsq.Writer(args.nsqd, reconnect_interval=0.2, name="e2e")
    writer.avoid = None
    count, batch = 0, []
    async for line in lines(sys.stdin.buffer):
        batch.append(line)
        if len(batch) >= args.batch:
            await publish_batch(writer, args.topic, batch)
            count += len(batch)
            batch = []
    if batch:
        await publish_batch(writer, args.topic, batch)
        count += len(batch)
    print(f"published {count}", flush=True)


def consume(args):
    out = sys.stdout.buffer
    seen = 0
    loop = tornado.ioloop.IOLoop.current()

    def stop():
        out.flush()
        reader.close()
        # Answers are on their way; a moment for the sockets to take them.
        loop.call_later(0.2, loop.stop)

    def handle(message):
        nonlocal seen
        out.write(message.body + b"\n")
        out.flush()
        seen += 1
        if seen == args.count:
            loop.add_callback(stop)
        return True

    reader = nsq.Reader(
        topic=args.topic,
        channel=args.channel,
        message_handler=handle,
        lookupd_http_addresses=[f"http://{address}" for address in args.lookupd],
        lookupd_poll_interval=1,
        lookupd_poll_jitter=0.0,
        max_in_flight=200,
        max_backoff_duration=1,
    )
    signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_from_signal(stop))
    loop.start()


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("publish")
    one.add_argument("--topic", required=True)
    one.add_argument("--nsqd", required=True, type=lambda text: text.split(","))
    one.add_argument("--batch", type=int, default=200)
    two = commands.add_parser("consume")
    two.add_argument("--topic", required=True)
    two.add_argument("--channel", required=True)
    two.add_argument("--lookupd", required=True, type=lambda text: text.split(","))
    two.add_argument("--count", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if args.command == "publish":
        asyncio.run(publish(args))
    else:
        consume(args)


if __name__ == "__main__":
    main()
