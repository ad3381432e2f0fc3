// Package group lets the instances of a program share out the partitions of a topic
// among themselves, by a consumer group of Kafka's. The group commits no offsets and
// reads no records: who holds a partition matters, not what it has.
//
// Whoever holds a partition may still be surprised by a successor, because a member
// learns late that the group has given it up. Fencing by a transactional id is what
// keeps two instances from publishing; the group keeps them from fencing each other
// without end (docs/kafka.md C4).
package group
