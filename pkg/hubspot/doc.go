// Package hubspot answers one question: what does HubSpot say?
//
// A Client makes every request in one way (request.go): it waits until the
// Governor lets the request pass, sends it, and reads the answer into the
// types of this package. Whatever passes by itself (rate limits, server
// errors, resets, cut answers, HTML from something on the way) is waited for
// and tried again until the caller's context ends; what lasts comes back as
// an *Error. One HubSpot API is one file: search.go, list.go, batch.go,
// associations.go, owners.go, pipelines.go, properties.go, schemas.go,
// account.go.
//
// The package does not decide what an answer means for what is published: it
// names, for example, the ids that HubSpot called missing, and leaves it to
// pkg/cdc and pkg/stream to confirm them. Its callers say how urgent each
// request is (Call.Priority), share one Governor per portal, and own the
// records they are given; the package keeps no record and starts no goroutine.
//
// Tokens are held as Secret and leave the process in one header only, sent to
// one origin only. Neither tokens nor record contents stand in errors, logs or
// metrics.
package hubspot
