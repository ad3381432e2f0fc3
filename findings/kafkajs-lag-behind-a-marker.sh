#!/usr/bin/env bash
# Finding: a KafkaJS group that has read everything shows a lag of 1 for as long
# as nothing new comes, if the topic's last offset is a transaction's marker. Its
# consumer knows better (its event END_BATCH_PROCESS names the marker's offset as
# the last), but with eachMessage the offset that it commits is the one behind the
# last message. The Java client commits the one behind the marker. One would
# expect lag 0, and alerts on a lag above 0 never end.
#
# Needs Go and the Go module proxy, Node and npm's registry. Exits 0 while the
# behaviour is as described.
set -euo pipefail
kafkajs=2.2.4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >consume.cjs <<'JS'
const { Kafka, logLevel } = require('kafkajs')
const consumer = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING }).consumer({ groupId: 'g' })
let messages = 0
let known = '-1'
consumer.on('consumer.end_batch_process', ({ payload }) => { known = payload.lastOffset })
;(async () => {
  await consumer.connect()
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  await consumer.run({ autoCommitInterval: 200, eachMessage: async () => { messages++ } })
  await new Promise(done => setTimeout(done, 5000))
  await consumer.disconnect()
  console.log(`KafkaJS read ${messages} messages, the last offset that it knows is ${known}`)
})()
JS
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ctx := context.Background()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	must(err)
	defer broker.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.TransactionalID("t"),
		kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	must(err)
	defer cl.Close()
	must(cl.BeginTransaction())
	for i := range 3 {
		must(cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint("order ", i))).FirstErr())
	}
	must(cl.EndTransaction(ctx, kgo.TryCommit))

	consume := exec.Command("node", "consume.cjs", broker.ListenAddrs()[0])
	consume.Stdout, consume.Stderr = os.Stdout, os.Stderr
	must(consume.Run())
	adm := kadm.NewClient(cl)
	ends, err := adm.ListEndOffsets(ctx, "orders")
	must(err)
	committed, err := adm.FetchOffsets(ctx, "g")
	must(err)
	end, _ := ends.Lookup("orders", 0)
	at, _ := committed.Lookup("orders", 0)
	fmt.Printf("end offset %d, committed %d, lag %d\n", end.Offset, at.At, end.Offset-at.At)
}
GO
npm init -y >/dev/null && npm install --silent "kafkajs@$kafkajs" >/dev/null
go mod init finding >/dev/null 2>&1
go get github.com/twmb/franz-go@v1.22.3 github.com/twmb/franz-go/pkg/kadm@v1.19.0 \
  github.com/twmb/franz-go/pkg/kfake@v0.0.0-20260918054303-01f206a7e32c >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
out=$(go run .)
echo "kafkajs $kafkajs"
echo "$out"
want='KafkaJS read 3 messages, the last offset that it knows is 3
end offset 4, committed 3, lag 1'
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
