"""Folds a topic of the connector into a table. README.md says how to run it."""

import argparse
import datetime
import io
import json
import os
import urllib.request

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

schemas = {}  # by the registry's id


def decode(value):
    """Decodes an event with the schema that it was written with."""
    if value[0] != 0:
        raise ValueError("not Confluent's wire format")
    number = int.from_bytes(value[1:5], "big")
    if number not in schemas:
        registry = os.environ.get("SCHEMA_REGISTRY_URL", "http://localhost:8081/apis/ccompat/v7")
        with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    # The second schema is the reader's: None reads the event as it was written.
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schemas[number], None)


def plain(value):
    """Writes what JSON cannot hold: dates and times as text (ISO 8601, in UTC)."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat()


def show(key, after):
    print(json.dumps({"key": key, "after": after}, default=plain, ensure_ascii=False), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("topic")
    parser.add_argument("--until-end", action="store_true")
    args = parser.parse_args()

    consumer = Consumer({
        "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "localhost:9092"),
        "group.id": "unused",  # librdkafka insists; nothing is committed
        "enable.auto.commit": False,
        "isolation.level": "read_committed",  # librdkafka's default; said because so much depends on it
        "enable.partition.eof": True,
    })
    partitions = consumer.list_topics(args.topic, timeout=30).topics[args.topic].partitions
    if not partitions:
        raise SystemExit(f"there is no topic {args.topic}")
    consumer.assign([TopicPartition(args.topic, p, OFFSET_BEGINNING) for p in partitions])

    table, reading = {}, set(partitions)  # partitions whose end is not reached yet
    while reading or not args.until_end:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise SystemExit(message.error())
            reading.discard(message.partition())
            continue
        key, after = message.key().decode(), None
        if message.value() is not None:  # else a tombstone: delete, perhaps for the second time
            event = decode(message.value())
            if event["op"] != "d":
                after = event["after"]
        if after is None:
            table.pop(key, None)
        else:
            table[key] = after
        if not args.until_end:
            show(key, after)
    for key in sorted(table):
        show(key, table[key])
    consumer.close()


if __name__ == "__main__":
    main()
