package sink

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// alone makes a *cdc.RefusedError of a lasting answer about one topic or its subjects:
// the other topics can be written, and the next run would get the same answer.
// Whatever may pass by itself, such as brokers or a registry that are away, stays what
// it is.
func alone(t *topic, err error) error {
	refused := &cdc.RefusedError{}
	missing, isMissing := errors.AsType[*MissingTopicError](err)
	switch {
	case isMissing:
		refused.Cure = "have it created: " + missing.Command
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		refused.Cure = fmt.Sprintf("let this user create, describe, read and write the topic %s; connector check prints the commands", t.name)
	case errors.Is(err, kerr.InvalidTopicException):
		refused.Cure = "choose a KAFKA_TOPIC_PREFIX with which Kafka takes the topic's name, or leave out what it is for with HUBSPOT_OBJECTS or HUBSPOT_ASSOCIATIONS"
	case errors.Is(err, kerr.InvalidReplicationFactor):
		refused.Cure = ReplicationCure
	case errors.Is(err, kerr.InvalidPartitions):
		refused.Cure = "set KAFKA_PARTITIONS to what the cluster allows, or leave it out"
	case deniedByRegistry(err):
		refused.Subject = t.name + valueSubject
		if key := t.name + keySubject; strings.Contains(err.Error(), key) {
			refused.Subject = key
		}
		refused.Cure = letUseSubject(refused.Subject)
	default:
		return err
	}
	refused.What = err.Error()
	if refused.Subject != "" {
		refused.What = "the schema registry refuses a request: " + refused.What
	}
	return refused
}

func letUseSubject(subject string) string {
	return fmt.Sprintf("let this user of the schema registry (SCHEMA_REGISTRY_USERNAME, or its token) read and register the schemas of subject %s", subject)
}

// ReplicationCure is the cure where a topic is to have more replicas than there are
// brokers (INVALID_REPLICATION_FACTOR).
const ReplicationCure = "set KAFKA_REPLICATION to at most the number of brokers, or leave it out; bring back brokers that are away"

// uncreated reports whether a topic is missing, and the cluster does not create it.
func uncreated(err error) bool {
	_, missing := errors.AsType[*MissingTopicError](err)
	return missing || errors.Is(err, kerr.InvalidReplicationFactor) || errors.Is(err, kerr.InvalidPartitions)
}

// deniedByRegistry reports whether the registry has answered that this user may not do
// something, or that it never will. Credentials that it does not know (401) may be
// replaced in their file, and a 404 without an error code is not the registry's.
func deniedByRegistry(err error) bool {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	if !ok {
		return false
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	case http.StatusNotFound:
		return answer.ErrorCode != 0
	}
	return answer.StatusCode >= http.StatusBadRequest && answer.StatusCode < http.StatusInternalServerError
}
