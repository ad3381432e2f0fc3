#!/usr/bin/env bash
# Finding: Kafka's look-ups by time find transaction markers. A marker has the
# broker's time of the commit or abort, so it is newer than the records in front of it:
# by milliseconds, or by as much as their producer set their times back (to that of the
# change, say). So
# - offsetsForTimes for a time after the last record answers the marker's offset, where
#   one would expect "no such record" (-1). A consumer that waits for the record at that
#   offset waits until something new comes.
# - "max-timestamp" (kafka-get-offsets --time max-timestamp, Admin.listOffsets) answers
#   the marker too, as the offset of the newest record and as its time. That of an
#   aborted transaction counts as well, also for read_committed: a topic whose newest
#   record is a day old looks seconds old.
# Without transactions both are as one expects.
#
# Needs Java 17, Maven with Maven Central, Python 3 with PyPI, and the ports 25092
# (KAFKA_TEST_PORT) and the next. Exits 0 while the behaviour is as described.
set -euo pipefail
version=4.3.1
client=2.16.1
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
export KAFKA_TEST_DIR=$dir KAFKA_TEST_PORT=${KAFKA_TEST_PORT:-25092}
kafka=$here/../test/kafka/kafka.sh # starts Kafka's jars
trap '"$kafka" stop; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check "confluent-kafka==$client"
eval "$("$kafka" start)"
[ -d "$dir/kafka-$version" ] || { echo "$kafka starts another version than $version"; exit 1; }
cd "$dir"
cat >look.py <<'PY'
import sys
import time

from confluent_kafka import Consumer, IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

HOUR = 3_600_000
broker = {"bootstrap.servers": sys.argv[1]}
admin = AdminClient(broker)
for done in admin.create_topics([NewTopic(t, 1, 1) for t in ("plain", "committed", "aborted")]).values():
    done.result()
begin = int(time.time() * 1000)
last = begin - 24 * HOUR  # the time of the last of three records


def produce(producer, topic, first):
    for i in range(3):
        producer.produce(topic, value=b"v", timestamp=first + i)
    producer.flush()


def transaction(topic, end):
    producer = Producer({**broker, "transactional.id": topic, "log_level": 0})
    producer.init_transactions()
    for commit in end:
        producer.begin_transaction()
        produce(producer, topic, last - 2)
        producer.commit_transaction() if commit else producer.abort_transaction()
        time.sleep(1)  # until the marker is there


produce(Producer(broker), "plain", last - 2)
transaction("committed", [True])
transaction("aborted", [True, False])
consumer = Consumer({**broker, "group.id": "g", "isolation.level": "read_committed", "enable.partition.eof": True})


def when(ms):
    return "the last record's time" if ms == last else "the time of this run" if ms >= begin else str(ms)


for topic in ("plain", "committed", "aborted"):
    partition = TopicPartition(topic, 0, 0)
    found = consumer.offsets_for_times([TopicPartition(topic, 0, last + HOUR)], timeout=20)[0].offset
    newest = admin.list_offsets({partition: OffsetSpec.max_timestamp()}, isolation_level=IsolationLevel.READ_COMMITTED)[partition].result()
    consumer.assign([partition])
    read = []
    while not (message := consumer.poll(20)).error():
        read.append(message.offset())
    print(f"{topic}: read_committed reads {read}; an hour after the last record: {found};"
          f" max-timestamp: {newest.offset}, {when(newest.timestamp)}")
consumer.close()
PY
out=$(venv/bin/python look.py "$KAFKA_BROKERS")
echo "Apache Kafka $version, confluent-kafka $client"
echo "$out"
want="plain: read_committed reads [0, 1, 2]; an hour after the last record: -1; max-timestamp: 2, the last record's time
committed: read_committed reads [0, 1, 2]; an hour after the last record: 3; max-timestamp: 3, the time of this run
aborted: read_committed reads [0, 1, 2]; an hour after the last record: 3; max-timestamp: 7, the time of this run"
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
