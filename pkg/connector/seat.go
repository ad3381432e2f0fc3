package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/group"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Of the instances with one prefix, one is the owner and runs; the others stand
// by (docs/contract.md section 4). A consumer group chooses the owner: the member
// that holds the cursor topic's only partition.

// SessionTimeout is how long the death of an owner goes unnoticed.
const SessionTimeout = group.SessionTimeout

// OwnerGroup is the consumer group of the instances with a prefix.
func OwnerGroup(prefix string) string { return prefix + ".owner" }

// takeSeat joins the group.
func takeSeat(ctx context.Context, cfg sink.Config) (*group.Member, error) {
	return group.Join(ctx, group.Config{
		Opts: cfg.Opts, Group: OwnerGroup(cfg.Prefix), Topic: offsets.CursorTopic(cfg.Prefix), Tools: cfg.Tools,
	})
}

// member is one membership of the group: it runs while this instance is the
// owner. A standby makes no request to HubSpot.
func (c *Connector) member(ctx context.Context) error {
	if err := c.awaitRegistry(ctx); err != nil { // before anything is created
		return err
	}
	c.health.begin("makes its topics ready", "wait for the brokers")
	cfg := c.setup.SinkConfig()
	cfg.Warned = &c.warned
	if err := sink.EnsureCursorTopic(ctx, cfg); err != nil {
		return err
	}
	seat, err := takeSeat(ctx, cfg)
	if err != nil {
		return err
	}
	defer seat.Leave()
	name := OwnerGroup(cfg.Prefix)
	log, said := c.setup.Log.With("group", name), ""
	seat.Bury(ctx, log)
	c.health.begin("joins the group of instances, "+name, "wait: an instance that died leaves the group after "+SessionTimeout.String())
	for ctx.Err() == nil {
		now := seat.Now()
		term, owner := now.Holds[0]
		switch {
		case owner:
			log.Info("this instance is the owner")
			c.health.starting()
			if err := c.own(term, seat.Confirm); err != nil {
				return err
			}
			said = ""
			continue
		case now.In:
			if said != "standby" {
				log.Info("standing by: another instance is the owner")
			}
			said = "standby"
			c.health.standingBy()
		case now.Err != nil:
			err = fmt.Errorf("join consumer group %s: %w", name, now.Err)
			if cure := seat.Cure(err); cure != "" {
				err = &curedError{err, cure}
			}
			c.health.failed(err)
			c.report("not in the group of instances; the client keeps trying")
			said = ""
		}
		select {
		case <-seat.Changed():
		case <-ctx.Done():
		}
	}
	return nil
}

// chosen runs as the owner that somebody else has chosen (Options.Own). Instances that
// choose their owner among themselves have the portal first: they are not fenced.
func (c *Connector) chosen(ctx context.Context) error {
	return c.own(ctx, func(ctx context.Context) error {
		if err := c.confirm(ctx); err != nil {
			return err
		}
		prefix := c.setup.Config.Kafka.TopicPrefix
		members, err := group.Members(ctx, kadm.NewClient(c.setup.kafka.beside.Client()), OwnerGroup(prefix))
		if err != nil {
			c.setup.Log.Debug("the members of the group are not known", "group", OwnerGroup(prefix), "err", err)
			return nil
		}
		for _, m := range members {
			if !m.Died {
				return &curedError{
					fmt.Errorf("connector run on %s follows this portal too, with KAFKA_TOPIC_PREFIX=%s", strings.TrimPrefix(m.Host, "/"), prefix),
					"stop it, or take the portal out of the fleet",
				}
			}
		}
		return nil
	})
}

// errNotOwner ends the ownership, not the process.
var errNotOwner = errors.New("this instance is no longer the owner")

// Instances gives the hosts of the instances with a prefix that run or stand by,
// without those that died on this machine.
func Instances(ctx context.Context, kafka []kgo.Opt, prefix string) (hosts []string, err error) {
	cl, err := kgo.NewClient(kafka...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	defer cl.Close()
	members, err := group.Members(ctx, kadm.NewClient(cl), OwnerGroup(prefix))
	for _, m := range members {
		if !m.Died {
			hosts = append(hosts, m.Host)
		}
	}
	return hosts, err
}
