//! Folds a topic of the connector into a table. README.md says how to run it.

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::error::Error;

use apache_avro::types::Value;
use chrono::{DateTime, Days, NaiveDate, SecondsFormat};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use schema_registry_converter::blocking::avro::AvroDecoder;
use schema_registry_converter::blocking::schema_registry::SrSettings;
use serde_json::{Value as Json, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let until_end = args.iter().any(|a| a == "--until-end");
    let topic = args.iter().find(|a| !a.starts_with("--")).ok_or("usage: hubspot-table TOPIC [--until-end]")?;
    let brokers = env::var("KAFKA_BROKERS").unwrap_or("localhost:9092".into());
    let registry = env::var("SCHEMA_REGISTRY_URL").unwrap_or("http://localhost:8081/apis/ccompat/v7".into());

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "unused") // librdkafka insists; nothing is committed
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed") // librdkafka's default; said because so much depends on it
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), std::time::Duration::from_secs(30))?;
    let mut assignment = TopicPartitionList::new();
    let mut reading = HashSet::new(); // partitions whose end is not reached yet
    for partition in metadata.topics()[0].partitions() {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        reading.insert(partition.id());
    }
    if reading.is_empty() {
        return Err(format!("there is no topic {topic}").into());
    }
    consumer.assign(&assignment)?;

    let decoder = AvroDecoder::new(SrSettings::new(registry)); // keeps the schemas
    let mut table = BTreeMap::new();
    while !until_end || !reading.is_empty() {
        let message = match consumer.poll(std::time::Duration::from_secs(1)) {
            None => continue,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                reading.remove(&partition);
                continue;
            }
            Some(message) => message?,
        };
        let key = String::from_utf8(message.key().ok_or("a record without a key")?.to_vec())?;
        let mut after = Json::Null; // a tombstone: delete, perhaps for the second time
        if let Some(value) = message.payload() {
            // Each event is decoded with the schema it was written with. A property
            // that is newer than the event is missing from the row.
            let event = plain(decoder.decode(Some(value))?.value)?;
            if event["op"] != "d" {
                after = event["after"].clone();
            }
        }
        if !until_end {
            println!("{}", json!({"key": key, "after": after}));
        }
        match after {
            Json::Null => table.remove(&key),
            row => table.insert(key, row),
        };
    }
    for (key, after) in &table {
        println!("{}", json!({"key": key, "after": after}));
    }
    Ok(())
}

/// What JSON can hold: dates and times as text (ISO 8601, in UTC).
fn plain(value: Value) -> Result<Json> {
    Ok(match value {
        Value::Union(_, value) => plain(*value)?,
        Value::Record(fields) => {
            let mut object = serde_json::Map::new();
            for (name, value) in fields {
                object.insert(name, plain(value)?);
            }
            Json::Object(object)
        }
        Value::Array(items) => Json::Array(items.into_iter().map(plain).collect::<Result<_>>()?),
        Value::Date(days) => {
            let epoch = NaiveDate::default();
            let date = match days {
                0.. => epoch.checked_add_days(Days::new(days as u64)),
                _ => epoch.checked_sub_days(Days::new(days.unsigned_abs().into())),
            };
            json!(date.ok_or("a date out of range")?.to_string())
        }
        Value::TimestampMillis(ms) => {
            json!(DateTime::from_timestamp_millis(ms).ok_or("a time out of range")?.to_rfc3339_opts(SecondsFormat::Millis, true))
        }
        other => Json::try_from(other)?,
    })
}
