// Package schemas holds the parts of the Avro schemas that are the same for
// every topic of their kind, as files that people and tools can read. They
// carry no namespace: pkg/schema sets that of the topic, and puts the value
// and the source where the envelope names them.
package schemas

import _ "embed"

// Envelope is what every event is: Debezium's envelope. It refers to the
// records Value and Source by name.
//
//go:embed envelope.avsc
var Envelope []byte

// Source says where an event came from; the same in all topics.
//
//go:embed source.avsc
var Source []byte

// Object is the Value of a CRM object. Its record Properties is empty here:
// its fields are those of the portal.
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
