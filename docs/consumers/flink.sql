-- Contacts by lifecycle stage, and contacts with their companies, kept up to
-- date from the connector's topics. With Flink's own client:
--   bin/sql-client.sh -f flink.sql
-- flink.md says why each line is here.

CREATE TABLE contacts (
  id STRING,
  `after` ROW<properties ROW<email STRING, lifecyclestage STRING, loyalty_points DOUBLE>>,
  op STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'hubspot.contacts',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.isolation.level' = 'read_committed',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://localhost:8081/apis/ccompat/v7',
  'value.fields-include' = 'EXCEPT_KEY'
);

CREATE TABLE companies (
  id STRING,
  `after` ROW<properties ROW<name STRING>>,
  op STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'hubspot.companies',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.isolation.level' = 'read_committed',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://localhost:8081/apis/ccompat/v7',
  'value.fields-include' = 'EXCEPT_KEY'
);

CREATE TABLE contact_company_links (
  link STRING,
  `after` ROW<fromObjectId STRING, toObjectId STRING, label STRING>,
  op STRING,
  PRIMARY KEY (link) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'hubspot.associations.contacts.companies',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.isolation.level' = 'read_committed',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.avro-confluent.url' = 'http://localhost:8081/apis/ccompat/v7',
  'value.fields-include' = 'EXCEPT_KEY'
);

CREATE TABLE stages (
  lifecyclestage STRING,
  contacts BIGINT,
  with_points BIGINT,
  PRIMARY KEY (lifecyclestage) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'report.stages',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'json',
  'value.format' = 'json'
);

CREATE TABLE contact_companies (
  link STRING,
  contact_id STRING,
  email STRING,
  company_id STRING,
  company STRING,
  label STRING,
  PRIMARY KEY (link) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'report.contact_companies',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'json',
  'value.format' = 'json'
);

EXECUTE STATEMENT SET BEGIN

INSERT INTO stages
SELECT
  COALESCE(contacts.`after`.properties.lifecyclestage, '(none)'),
  COUNT(*),
  COUNT(contacts.`after`.properties.loyalty_points)
FROM contacts
WHERE op <> 'd'
GROUP BY COALESCE(contacts.`after`.properties.lifecyclestage, '(none)');

INSERT INTO contact_companies
SELECT
  l.link,
  c.id,
  c.`after`.properties.email,
  o.id,
  o.`after`.properties.name,
  l.`after`.label
FROM contact_company_links AS l
JOIN contacts AS c ON c.id = l.`after`.fromObjectId
JOIN companies AS o ON o.id = l.`after`.toObjectId
WHERE l.op <> 'd' AND c.op <> 'd' AND o.op <> 'd';

END;
