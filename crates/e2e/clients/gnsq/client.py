"""What gnsq can do, through the layers that are named, and a consumer. The commands are described in ../README.md."""

from gevent import monkey

monkey.patch_all()

import argparse
import logging
import signal
import ssl
import sys
import time

import gevent
import gnsq

TOPIC = "abilities"
ALL = 7


def layered(layers):
    """Options of a connection through these layers."""
    known = {
        "plain": {},
        "tls": {"tls_v1": True, "tls_options": {"cert_reqs": ssl.CERT_NONE}},
        "snappy": {"snappy": True},
        "deflate": {"deflate": True},
        "auth": {"auth_secret": b"secret"},
    }
    options = {}
    for layer in layers.split("+"):
        options.update(known[layer])
    return options


def abilities(address, layers):
    options = layered(layers)
    # The OK behind an upgrade is taken for the answer to a publish, which breaks the producer: it publishes in clear.
    producer = gnsq.Producer([address], auth_secret=options.get("auth_secret"))
    producer.start()
    producer.publish(TOPIC, b"publish")
    producer.multipublish(TOPIC, [b"multi-1", b"multi-2", b"requeue", b"touch", b"backoff"])
    began = time.monotonic()
    producer.publish(TOPIC, b"deferred", defer=300)
    finished = []

    def handle(consumer, message):
        body = message.body
        if body == b"requeue" and message.attempts == 1:
            message.requeue(0, backoff=False)
            return
        if body == b"backoff" and message.attempts == 1:
            raise RuntimeError("refused once, so that the consumer backs off")
        if body == b"touch":
            # Longer than the time-out in all, so that only the touches keep it from coming again.
            for _ in range(5):
                gevent.sleep(0.5)
                message.touch()
        if body == b"deferred" and time.monotonic() - began < 0.25:
            raise RuntimeError("early")
        finished.append(body)
        print(body.decode(), message.attempts, flush=True)
        if len(finished) == ALL:
            gevent.spawn_later(0.3, consumer.close)

    consumer = gnsq.Consumer(
        TOPIC,
        "channel",
        [address],
        message_handler=handle,
        max_in_flight=1,
        requeue_delay=0,
        max_backoff_duration=1,
        **options,
    )
    consumer.start()
    producer.close()


def consume(args):
    out = sys.stdout.buffer

    def handle(consumer, message):
        out.write(message.body + b"\n")
        out.flush()

    consumer = gnsq.Consumer(
        args.topic,
        args.channel,
        lookupd_http_addresses=args.lookupd,
        lookupd_poll_interval=1,
        lookupd_poll_jitter=0.0,
        message_handler=handle,
        max_in_flight=200,
        max_backoff_duration=1,
    )
    gevent.signal_handler(signal.SIGTERM, consumer.close)
    consumer.start()


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("abilities")
    one.add_argument("address")
    one.add_argument("layers")
    two = commands.add_parser("consume")
    two.add_argument("--topic", required=True)
    two.add_argument("--channel", required=True)
    two.add_argument("--lookupd", required=True, type=lambda text: text.split(","))
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if args.command == "abilities":
        abilities(args.address, args.layers)
    else:
        consume(args)


if __name__ == "__main__":
    main()
