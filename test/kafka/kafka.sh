#!/usr/bin/env bash
# One Apache Kafka broker (KRaft) on 127.0.0.1 for tests, from Maven's jars.
# Needs Java 17 and mvn.
#
#   kafka.sh start    fetch what is missing, start it unless it runs
#   kafka.sh stop     end it; its data stays
#   kafka.sh kill     end it with SIGKILL; its data stays
#   kafka.sh wipe     end it and remove its data
#   kafka.sh status   exit code 0 if it runs
#
# start and status print KAFKA_BROKERS, KAFKA_BIN (the usual command line tools)
# and KAFKA_LOG: eval "$(test/kafka/kafka.sh start)". KAFKA_TEST_PORT (21092; the
# controller takes the next one) chooses the port. KAFKA_TEST_PROPERTIES, a file,
# ends the broker's configuration; KAFKA_TEST_CLASSPATH has classes for it.
# KAFKA_TEST_HEAP (384m) is the broker's heap. Measurements with many topics use
# test/kafka/usual.properties: a broker that looks for something to do twice a second is
# busy with them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

version=4.3.1
log4j=2.25.4 # what this Kafka was built with
port=${KAFKA_TEST_PORT:-21092}
jars=$cache/kafka-$version
bin=$jars/bin
home=$cache/kafka-data-$port
pidfile=$home/pid
log=$home/broker.log
mark=$home/server.properties # stands on the broker's command line

fetch() {
  [ -e "$jars/complete" ] && return
  need mvn
  note "fetching Kafka $version"
  mkdir -p "$jars/lib" "$bin"
  # kafka-tools has the command line tools. Its dependencies (Connect, Jetty) are
  # left out.
  cat >"$jars/pom.xml" <<XML
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>$version</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>$log4j</version>
    </dependency>
  </dependencies>
</project>
XML
  mvn -q -B -f "$jars/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars/lib" >&2
  printf '%s\n' 'rootLogger.level=WARN' 'rootLogger.appenderRef.err.ref=err' \
    'appender.err.type=Console' 'appender.err.name=err' 'appender.err.target=SYSTEM_ERR' \
    'appender.err.layout.type=PatternLayout' 'appender.err.layout.pattern=%p %m%n' >"$jars/tools.properties"
  touch "$jars/complete"
}

tools() { # those that are not there: an earlier version may have made fewer
  tool kafka-topics org.apache.kafka.tools.TopicCommand
  tool kafka-configs kafka.admin.ConfigCommand
  tool kafka-console-consumer org.apache.kafka.tools.consumer.ConsoleConsumer
  tool kafka-consumer-groups org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
  tool kafka-console-producer org.apache.kafka.tools.ConsoleProducer
  tool kafka-transactions org.apache.kafka.tools.TransactionsCommand
  tool kafka-features org.apache.kafka.tools.FeatureCommand
  tool kafka-dump-log org.apache.kafka.tools.DumpLogSegments
  tool kafka-storage kafka.tools.StorageTool
}

tool() { # NAME CLASS
  [ ! -x "$bin/$1" ] || return 0
  cat >"$bin/$1" <<SH
#!/bin/sh
exec java -Xmx192m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$jars/tools.properties" -cp "$jars/lib/*" $2 "\$@"
SH
  chmod +x "$bin/$1"
}

configure() {
  mkdir -p "$home"
  # Small and quick, so that a test can wait for compaction, for the abort of
  # timed out transactions and for the return of a killed broker.
  cat >"$mark" <<P
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$home/log
auto.create.topics.enable=false
num.partitions=3
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=8388608
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
P
  cat >"$home/log4j2.properties" <<P
rootLogger.level=INFO
rootLogger.appenderRef.file.ref=file
appender.file.type=File
appender.file.name=file
appender.file.fileName=$log
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %c{1} %m%n
P
}

started() { grep -q 'Kafka Server started' "$log" 2>/dev/null && open_port "$port"; }

show() {
  printf 'KAFKA_BROKERS=127.0.0.1:%s\nKAFKA_BIN=%s\nKAFKA_LOG=%s\n' "$port" "$bin" "$log"
}

start() {
  need java
  fetch
  tools
  if alive "$pidfile" "$mark"; then
    until_ready 60 "$log" "$pidfile" started
    show
    return
  fi
  ! open_port "$port" || die "port $port is taken; choose another with KAFKA_TEST_PORT"
  configure
  [ -e "$home/log/meta.properties" ] ||
    "$bin/kafka-storage" format --standalone --cluster-id aGhYQbq3TZ6Jm0x1u7WlVg --config "$mark" >&2
  [ -z "${KAFKA_TEST_PROPERTIES:-}" ] || cat "$KAFKA_TEST_PROPERTIES" >>"$mark"
  rm -f "$log"
  # Detached from our session and from our stdout, which callers read to its end.
  setsid java -Xmx"${KAFKA_TEST_HEAP:-384m}" -XX:+UseSerialGC -Dlog4j2.configurationFile="$home/log4j2.properties" \
    -cp "${KAFKA_TEST_CLASSPATH:+$KAFKA_TEST_CLASSPATH:}$jars/lib/*" kafka.Kafka "$mark" </dev/null >"$home/stdout.log" 2>&1 &
  echo $! >"$pidfile"
  until_ready 60 "$home/stdout.log" "$pidfile" started
  show
}

case ${1:-} in
  start) start ;;
  stop) end TERM "$pidfile" "$mark" ;;
  kill) end KILL "$pidfile" "$mark" ;;
  wipe) end TERM "$pidfile" "$mark"; rm -rf "$home" ;;
  status) alive "$pidfile" "$mark" && open_port "$port" && show ;;
  *) die "usage: $0 start|stop|kill|wipe|status" ;;
esac
