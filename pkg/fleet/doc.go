// Package fleet runs many portals in any number of instances of one program.
//
// A folder has a file for each portal. Kafka's group protocol shares the portals out:
// a portal belongs to a partition of a topic without records, by its name, and an
// instance runs the portals of the partitions that it holds. When an instance ends, or
// dies, the group gives its partitions to others. The group makes that quick; what
// makes it safe is that a run fences the one before it by its transactional id, as
// between two instances of one portal.
package fleet
