package sink

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerFinding is a broker, and why it did not answer if it did not.
type BrokerFinding struct {
	ID      int32 // negative: a seed, whose id is unknown
	Address string
	Err     error
}

// ClusterFinding is the cluster as this user sees it.
type ClusterFinding struct {
	ID                  string
	Version             string // guessed from the requests that it supports
	Brokers             []BrokerFinding
	TransactionVersion  int16
	MaxTransaction      time.Duration // transaction.max.timeout.ms; 0: unknown
	TooShortTransaction bool          // for TransactionTimeout
}

// SafeTransactions reports whether no delayed request can end a later
// transaction.
func (c *ClusterFinding) SafeTransactions() bool { return c.TransactionVersion >= safeTransactions }

// Cluster asks every broker. If the cluster cannot be reached, it returns an
// error and a finding for each seed.
func (p *Probe) Cluster(ctx context.Context, seeds []string) (*ClusterFinding, error) {
	meta, err := p.setup.adm.BrokerMetadata(ctx)
	if err != nil {
		return &ClusterFinding{Brokers: p.seeds(ctx, seeds)}, fmt.Errorf("ask for the cluster: %w", err)
	}
	c := &ClusterFinding{ID: meta.Cluster}
	for _, b := range meta.Brokers {
		limited, cancel := context.WithTimeout(ctx, brokerPatience)
		_, err := p.setup.cl.Broker(int(b.NodeID)).RetriableRequest(limited, apiVersions())
		cancel()
		c.Brokers = append(c.Brokers, BrokerFinding{b.NodeID, fmt.Sprintf("%s:%d", b.Host, b.Port), err})
		if c.MaxTransaction == 0 && err == nil {
			c.MaxTransaction = maxTransaction(ctx, p.setup.adm, b.NodeID)
		}
	}
	c.TooShortTransaction = c.MaxTransaction != 0 && c.MaxTransaction < TransactionTimeout
	versions, err := p.setup.adm.ApiVersions(ctx)
	if err != nil {
		return c, fmt.Errorf("ask for the brokers' versions: %w", err)
	}
	versions.Each(func(v kadm.BrokerApiVersions) {
		if v.Err == nil {
			c.Version = v.VersionGuess()
		}
	})
	if c.TransactionVersion, err = transactionVersion(ctx, p.setup.cl); err != nil {
		return c, fmt.Errorf("ask for transaction.version: %w", err)
	}
	return c, nil
}

// brokerPatience is how long one broker may take to answer.
const brokerPatience = 3 * time.Second

// seeds finds out why each configured address cannot be reached.
func (p *Probe) seeds(ctx context.Context, addresses []string) []BrokerFinding {
	var findings []BrokerFinding
	for i, b := range p.setup.cl.SeedBrokers() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerPatience/2)
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{}
		_, err := b.Request(limited, req)
		cancel()
		found := BrokerFinding{ID: -1, Err: err}
		if i < len(addresses) {
			found.Address = addresses[i]
		}
		findings = append(findings, found)
	}
	return findings
}

// maxTransaction asks for transaction.max.timeout.ms; 0 if this user may not read
// it.
func maxTransaction(ctx context.Context, adm *kadm.Client, broker int32) time.Duration {
	configs, err := adm.DescribeBrokerConfigs(ctx, broker)
	if err != nil {
		return 0
	}
	for _, c := range configs {
		for _, one := range c.Configs {
			if ms, err := strconv.ParseInt(one.MaybeValue(), 10, 64); one.Key == "transaction.max.timeout.ms" && err == nil {
				return time.Duration(ms) * time.Millisecond
			}
		}
	}
	return 0
}

// safeTransactions is the lowest level of transaction.version at which a request
// that was delayed in the network cannot end a later transaction than its own
// (KIP-890).
const safeTransactions = 2

// transactionVersion asks for the level of the feature on which the cluster has
// agreed; 0: none.
func transactionVersion(ctx context.Context, cl *kgo.Client) (int16, error) {
	resp, err := apiVersions().RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return 0, err
	}
	for _, feature := range resp.FinalizedFeatures {
		if feature.Name == "transaction.version" {
			return feature.MaxVersionLevel, nil
		}
	}
	return 0, nil
}

func apiVersions() *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "hubspot-cdc", "1"
	return req
}
