package stream

// Notice tells an operator's tools what happens to the connector, in the form of
// Debezium's notifications
// (https://debezium.io/documentation/reference/stable/configuration/notification.html).
// It holds nothing of a record's content.
type Notice struct {
	ID        string            `json:"id"`
	Aggregate string            `json:"aggregate_type"`
	Type      string            `json:"type"`
	Data      map[string]string `json:"additional_data"`
	Timestamp int64             `json:"timestamp"` // in Unix milliseconds
}

// What notices are about.
const (
	InitialSnapshot     = "Initial Snapshot"     // a backfill, or the first sweep of a pair or a list
	IncrementalSnapshot = "Incremental Snapshot" // one that a signal asked for
	NoticeProblem       = "Problem"
	NoticeSchema        = "Schema"
	NoticeBrake         = "Brake"
	NoticeInstance      = "Instance"
)

// What happened to it.
const (
	NoticeStarted   = "STARTED"
	NoticeScanned   = "TABLE_SCAN_COMPLETED" // one collection of a snapshot is done
	NoticePaused    = "PAUSED"
	NoticeResumed   = "RESUMED"
	NoticeCompleted = "COMPLETED"
	NoticeAborted   = "ABORTED"
	NoticeRaised    = "RAISED"
	NoticeCleared   = "CLEARED"
	NoticeChanged   = "CHANGED"
	NoticeHeld      = "HELD"
	NoticeReleased  = "RELEASED"
	NoticeOwner     = "OWNER"
	NoticeStandby   = "STANDBY"
)

// The members of Notice.Data. The first four are Debezium's.
const (
	DataConnector   = "connector_name"     // the prefix of the topics
	DataCollections = "data_collections"   // names of objects, with a comma and a space between them
	DataScanned     = "scanned_collection" // the one that is done
	DataRows        = "total_rows_scanned"
	DataStatus      = "status"
	DataOffset      = "signal_offset" // where in the signals topic the snapshot was asked for
	DataObject      = "object"
	DataStream      = "stream"
	DataArea        = "area"
	DataProblem     = "problem"
	DataAction      = "action"
	DataRunbook     = "runbook"
	DataSince       = "since"
)

// Brake reports whether the problem is that the brake holds something back (R9,
// R19).
func (p Problem) Brake() bool { return p.Area == ProblemArea && p.Stream == brakePart }

// News tells that a backfill or a first sweep has begun or ended, or that there is
// another problem.
func (s *Status) News() <-chan struct{} { return s.news }

func (s *Status) sayNews() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}
