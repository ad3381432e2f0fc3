// Package schemas holds the parts of the Avro schemas that are the same for every
// topic of their kind, as files that people and tools can read. They have no
// namespace: pkg/schema adds the topic's, and puts Value and Source where the
// envelope names them.
package schemas

import _ "embed"

// Envelope is Debezium's envelope, which every event has. It refers to the
// records Value and Source by name.
//
//go:embed envelope.avsc
var Envelope []byte

// Source says where an event came from. It is the same in all topics.
//
//go:embed source.avsc
var Source []byte

// Object is the Value of a CRM object. Its record Properties is empty here,
// because its fields depend on the portal.
//
//go:embed object.avsc
var Object []byte

// Association is the Value of a link between two objects.
//
//go:embed association.avsc
var Association []byte

// Owner is the Value of an owner.
//
//go:embed owner.avsc
var Owner []byte

// Pipeline is the Value of a pipeline.
//
//go:embed pipeline.avsc
var Pipeline []byte

// PipelineStage is the Value of a stage of a pipeline.
//
//go:embed pipeline_stage.avsc
var PipelineStage []byte
