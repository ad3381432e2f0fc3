"""Reads a topic of the connector, and says up to which time what it has read is
complete. README.md says how to run it."""

import argparse
import datetime
import json
import os

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition


def time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def reached(position, offsets):
    """Reports whether positions are at or past those of a frontier."""
    return all(position.get(int(partition), 0) >= offset for partition, offset in offsets.items())


def began_again(before, offsets):
    """Reports whether the topic began again between two frontiers."""
    return any(offsets.get(partition, 0) < offset for partition, offset in before.items())


def frontiers_of(topic, topics):
    """Names the topic of the frontiers of a topic. It stands behind the prefix of the
    connector's topics, which may have dots: the longest one that has such a topic."""
    prefix = topic
    while "." in prefix:
        prefix = prefix.rpartition(".")[0]
        if prefix + ".frontiers" in topics:
            return prefix + ".frontiers"
    raise SystemExit(f"there are no frontiers beside the topic {topic}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("topic")
    parser.add_argument("--verified", action="store_true", help="wait for what is verified: deletes and calculated properties too")
    parser.add_argument("--until", type=time, help="end once everything up to this time is there, such as 2026-11-24T13:00:00Z")
    args = parser.parse_args()
    says = "verified" if args.verified else "complete"

    consumer = Consumer({
        "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "localhost:9092"),
        "group.id": "unused",  # librdkafka insists; nothing is committed
        "enable.auto.commit": False,
        "isolation.level": "read_committed",  # librdkafka's default; said because so much depends on it
        "auto.offset.reset": "earliest",  # a topic that was made again is read from its beginning
        "enable.partition.eof": True,
    })
    topics = consumer.list_topics(timeout=30).topics
    if args.topic not in topics:
        raise SystemExit(f"there is no topic {args.topic}")
    frontiers = frontiers_of(args.topic, topics)
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t in (args.topic, frontiers) for p in topics[t].partitions])

    # Nothing is claimed before all frontiers of now are read: the first of them may be
    # about a topic of this name that was deleted.
    unread = set(topics[frontiers].partitions)
    ahead = []  # frontiers of this topic that are not reached yet
    latest = {}  # the offsets of the latest one
    position = {}  # behind the last record of each partition
    complete = None
    while args.until is None or complete is None or time(complete) < args.until:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise SystemExit(message.error())
            if message.topic() == frontiers:
                unread.discard(message.partition())
            else:  # what was aborted, and what retention took, counts too
                position[message.partition()] = message.offset()
        elif message.topic() == args.topic:
            position[message.partition()] = message.offset() + 1  # a consumer does its work here: see table.py
        elif json.loads(message.key())["topic"] == args.topic:
            # One that is forgotten, a tombstone, claims nothing from the beginning on.
            frontier = json.loads(message.value() or '{"offsets":{}}')
            if began_again(latest, frontier["offsets"]):
                if not unread:
                    raise SystemExit(f"{args.topic} began again: read it from its beginning")
                ahead.clear()  # they are about the old topic
            latest = frontier["offsets"]
            ahead.append(frontier)
        before = complete
        while not unread and ahead and reached(position, ahead[0]["offsets"]):
            complete = ahead.pop(0).get(says) or complete  # null: nothing is claimed
        if complete != before:
            print(f"{args.topic}: complete as of {complete}", flush=True)
    consumer.close()


if __name__ == "__main__":
    main()
