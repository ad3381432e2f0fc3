// Package hubspot answers one question: what does HubSpot say?
//
// A Client makes every request the same way (request.go): it waits until the
// Governor lets the request pass, sends it, and reads the answer into the
// types of this package. It waits out and retries every temporary failure
// (rate limits, server errors, resets, truncated answers, HTML from a proxy)
// until the caller's context ends. It returns a permanent refusal as an
// *Error. Each HubSpot API has its own file: search.go, list.go, batch.go,
// associations.go, owners.go, pipelines.go, properties.go, schemas.go,
// account.go.
//
// The package does not decide what an answer means for what is published. It
// reports, for example, which ids HubSpot called missing; pkg/cdc and
// pkg/stream confirm them. Callers set the urgency of each request
// (Call.Priority), share one Governor per portal, and own the records they
// receive. The package keeps no records and starts no goroutines.
//
// The package holds tokens as Secret and sends them in one header to one
// origin. Neither tokens nor record contents appear in errors, logs or
// metrics.
package hubspot
