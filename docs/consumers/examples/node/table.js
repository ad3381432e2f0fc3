// Folds a topic of the connector into a table. README.md says how to run it.
import { randomUUID } from 'node:crypto'
import avro from 'avsc'
import kafkajs from 'kafkajs'
import lz4 from 'lz4js'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'

// KafkaJS has no LZ4, which is the connector's default (KAFKA_COMPRESSION).
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.LZ4] = () => ({
  compress: async encoder => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer)),
})

// Without these, dates are numbers of days and times numbers of milliseconds.
class AvroDate extends avro.types.LogicalType {
  _fromValue(days) { return new Date(days * 86_400_000).toISOString().slice(0, 10) }
}
class AvroTimestamp extends avro.types.LogicalType {
  _fromValue(ms) { return new Date(ms).toISOString() }
}

const topic = process.argv.slice(2).find(a => !a.startsWith('--'))
const untilEnd = process.argv.includes('--until-end')
if (!topic) {
  console.error('usage: node table.js TOPIC [--until-end]')
  process.exit(2)
}
const registry = new SchemaRegistry(
  { host: process.env.SCHEMA_REGISTRY_URL ?? 'http://localhost:8081/apis/ccompat/v7' },
  { forSchemaOptions: { logicalTypes: { date: AvroDate, 'timestamp-millis': AvroTimestamp } } },
)
const kafka = new kafkajs.Kafka({
  brokers: (process.env.KAFKA_BROKERS ?? 'localhost:9092').split(','),
  logLevel: kafkajs.logLevel.ERROR,
})
const consumer = kafka.consumer({ groupId: `table-${randomUUID()}`, readUncommitted: false }) // the default; said because so much depends on it
const show = (key, after) => console.log(JSON.stringify({ key, after }))

const ends = new Map() // partitions whose end is not reached yet
if (untilEnd) {
  const admin = kafka.admin()
  await admin.connect()
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
    if (high !== low) ends.set(partition, BigInt(high))
  }
  await admin.disconnect()
}

const table = new Map()
const finished = new Promise((resolve, reject) => {
  if (untilEnd && ends.size === 0) resolve()
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
  // A partition ends with a transaction's marker. eachMessage is not called for
  // it, but this event tells of it.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    if (ends.has(partition) && BigInt(lastOffset) + 1n >= ends.get(partition)) {
      ends.delete(partition)
      if (ends.size === 0) resolve()
    }
  })
})
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ message }) => {
    const key = message.key.toString()
    let after = null
    if (message.value !== null) { // else a tombstone: delete, perhaps for the second time
      // decode throws at null. It takes the schema that the event was written with.
      const event = await registry.decode(message.value)
      if (event.op !== 'd') after = event.after
    }
    if (after === null) table.delete(key)
    else table.set(key, after)
    if (!untilEnd) show(key, after)
  },
})
await finished
await consumer.disconnect()
for (const key of [...table.keys()].sort()) show(key, table.get(key))
