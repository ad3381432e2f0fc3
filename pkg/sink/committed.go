package sink

import "sync/atomic"

// Committed counts what a process has committed, over all of its runs. The zero
// value is ready to use.
type Committed struct{ Transactions, Events atomic.Int64 }

func (c *Committed) add(tx *transaction) {
	if c == nil {
		return
	}
	if len(tx.records) > 0 {
		c.Transactions.Add(1)
	}
	for _, n := range tx.events {
		c.Events.Add(int64(n))
	}
}
