#!/usr/bin/env bash
# Finding: Kafka's retention.ms counts from the newest entry of a segment, and a
# transaction's marker is one, with the broker's time. Three records that are a day old
# by the time that their producer gave them, in a topic with a retention of 30 seconds:
# written plainly they are deleted at the next check; written in a transaction they
# stay until the marker is 30 seconds old. One would expect records
# with the same times in topics with the same settings to go at the same time. So what
# a backfill writes with the times of the changes goes at once or stays for the whole
# retention, depending on whether its producer uses transactions; and the limit that
# somebody sets on the age of records does not hold for those in transactions.
#
# Needs Java 17, Maven with Maven Central, Python 3 with PyPI, and the ports 25092
# (KAFKA_TEST_PORT) and the next; takes a minute. Exits 0 while the behaviour is as described.
set -euo pipefail
version=4.3.1
client=2.16.1
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
export KAFKA_TEST_DIR=$dir KAFKA_TEST_PORT=${KAFKA_TEST_PORT:-25092} KAFKA_TEST_PROPERTIES=$dir/soon.properties
kafka=$here/../test/kafka/kafka.sh # starts Kafka's jars
trap '"$kafka" stop; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check "confluent-kafka==$client"
printf '%s\n' log.retention.check.interval.ms=1000 log.initial.task.delay.ms=1000 >"$KAFKA_TEST_PROPERTIES"
eval "$("$kafka" start)"
[ -d "$dir/kafka-$version" ] || { echo "$kafka starts another version than $version"; exit 1; }
cd "$dir"
cat >look.py <<'PY'
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

topics = ("plain", "transaction")
broker = {"bootstrap.servers": sys.argv[1]}
settings = {"retention.ms": "30000"}
admin = AdminClient(broker)
for done in admin.create_topics([NewTopic(t, 1, 1, config=settings) for t in topics]).values():
    done.result()
yesterday = int(time.time() * 1000) - 24 * 3_600_000


def produce(producer, topic):
    for _ in range(3):
        producer.produce(topic, value=b"v", timestamp=yesterday)
    producer.flush()


producer = Producer({**broker, "transactional.id": "t", "log_level": 0})
producer.init_transactions()
producer.begin_transaction()
produce(producer, "transaction")
began = time.monotonic()
producer.commit_transaction()
produce(Producer(broker), "plain")

consumer = Consumer({**broker, "group.id": "g"})
left, gone = set(topics), {}
while left and time.monotonic() - began < 90:
    for topic in sorted(left):
        first, _ = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
        if first >= 3:
            gone[topic] = time.monotonic() - began
            left.remove(topic)
    time.sleep(0.2)
consumer.close()
for topic in topics:
    at = gone.get(topic, 1000)
    print(f"{topic}: deleted", "within 25 seconds" if at < 25 else "after 30 seconds" if 30 <= at < 90 else at)
PY
out=$(venv/bin/python look.py "$KAFKA_BROKERS")
echo "Apache Kafka $version, confluent-kafka $client"
echo "$out"
want="plain: deleted within 25 seconds
transaction: deleted after 30 seconds"
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
