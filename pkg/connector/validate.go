package connector

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/internal/regular"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// shortestKey, in bytes, keeps anybody from finding the values behind the digests
// of short ones (a phone number, a date of birth) by trying keys.
const shortestKey = 16

// smallestMessage is the least KAFKA_MAX_MESSAGE_BYTES, in bytes: an event
// without values fits into it.
const smallestMessage = 16 << 10

// largestRate is more calls than any limit of HubSpot's, and few enough to count with.
const largestRate = 1_000_000_000

// problems collects what is wrong with a configuration.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) oneOf(name, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add("%s: %q is none of %s", name, value, strings.Join(allowed, ", "))
	}
}

// within is told what holds rather than what does not: NaN is neither above nor below
// anything.
func (p *problems) within(name string, value float64, holds bool, limits string) {
	if !holds {
		p.add("%s: %v must be %s", name, value, limits)
	}
}

// Validate checks everything that can be checked without a request, and reads the
// files of secrets. It returns nil or a *[ConfigError] with every problem,
// sorted.
func (c *Config) Validate() error {
	var p problems
	c.HubSpot.validate(&p)
	c.Kafka.validate(&p)
	c.Registry.validate(&p)
	c.Sync.validate(&p)
	p.oneOf("EVENT_BEFORE", c.Event.Before, BeforeNone, BeforeKey)
	if d := c.Event.FrontierInterval; d < 0 {
		p.add("FRONTIER_INTERVAL: %v is below zero", d)
	}
	if len(p) == 0 {
		return nil
	}
	slices.Sort(p)
	return &ConfigError{p}
}

// secret reads a secret, from its file where one is named. White space around it
// in the file is not part of it.
func secret(value hubspot.Secret, file string) (hubspot.Secret, error) {
	if file == "" {
		return value, nil
	}
	b, err := regular.Read(file)
	return hubspot.Secret(strings.TrimSpace(string(b))), err
}

// given reports whether a secret is set, and adds a problem if its file cannot be
// read. Such a secret counts as set.
func (p *problems) given(name string, value hubspot.Secret, file string) bool {
	value, err := secret(value, file)
	if err != nil {
		p.add("%s_FILE: %v", name, err)
	}
	return value != "" || err != nil
}

func (h *HubSpot) validate(p *problems) {
	token := p.given("HUBSPOT_ACCESS_TOKEN", h.AccessToken, h.AccessTokenFile)
	client := p.given("HUBSPOT_CLIENT_SECRET", h.ClientSecret, h.ClientSecretFile)
	refresh := p.given("HUBSPOT_REFRESH_TOKEN", h.RefreshToken, h.RefreshTokenFile)
	oauth := h.ClientID != "" || client || refresh
	switch {
	case !token && !oauth:
		empty := ""
		if h.AccessTokenFile != "" {
			empty = fmt.Sprintf("; the file %s, which HUBSPOT_ACCESS_TOKEN_FILE names, is empty", h.AccessTokenFile)
		}
		p.add("HUBSPOT_ACCESS_TOKEN: is required (or HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET and HUBSPOT_REFRESH_TOKEN)%s", empty)
	case token && oauth:
		p.add("HUBSPOT_ACCESS_TOKEN: give either a token or OAuth's three variables, not both")
	case oauth && (h.ClientID == "" || !client || !refresh):
		p.add("HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET, HUBSPOT_REFRESH_TOKEN: all three are required for OAuth")
	}
	p.oneOf("HUBSPOT_JOURNAL", h.Journal, JournalAuto, JournalOn, JournalOff)
	app := p.given("HUBSPOT_JOURNAL_CLIENT_SECRET", h.JournalClientSecret, h.JournalClientSecretFile)
	switch {
	case app != (h.JournalClientID != ""):
		p.add("HUBSPOT_JOURNAL_CLIENT_ID, HUBSPOT_JOURNAL_CLIENT_SECRET: give both or neither")
	case h.Journal == JournalOn && !app && !oauth:
		p.add("HUBSPOT_JOURNAL: on needs an app: give HUBSPOT_JOURNAL_CLIENT_ID and HUBSPOT_JOURNAL_CLIENT_SECRET")
	}
	if err := checkURL(h.BaseURL); err != nil {
		p.add("HUBSPOT_BASE_URL: %v", err)
	}
	p.oneOf("HUBSPOT_SENSITIVE", h.Sensitive, SensitiveNone, Sensitive, SensitiveHigh)
	p.within("HUBSPOT_RATE_SHARE", h.RateShare, h.RateShare > 0 && h.RateShare <= 1, "above 0 and at most 1")
	p.within("HUBSPOT_DAILY_RESERVE", h.DailyReserve, h.DailyReserve >= 0 && h.DailyReserve < 1, "at least 0 and below 1")
	p.within("HUBSPOT_IDLE_SHARE", h.IdleShare, h.IdleShare > 0 && h.IdleShare <= 1, "above 0 and at most 1")
	for name, v := range map[string]int{"HUBSPOT_RATE_10S": h.Rate10s, "HUBSPOT_RATE_SEARCH": h.RateSearch, "HUBSPOT_RATE_DAILY": h.RateDaily} {
		if v < 0 || v > largestRate {
			p.add("%s: %d is not between 0 and %d", name, v, largestRate)
		}
	}
	if err := stream.CheckPairs(h.Associations); err != nil {
		p.add("%v", err)
	}
	h.validateSelection(p)
}

// validateSelection checks what chooses among the properties.
func (h *HubSpot) validateSelection(p *problems) {
	for name, texts := range h.patterns() {
		for _, text := range texts {
			if _, err := schema.CompileGlob(text); err != nil {
				p.add("%s: %v", name, err)
			}
		}
	}
	given := p.given("HUBSPOT_HASH_KEY", h.HashKey, h.HashKeyFile)
	key, err := secret(h.HashKey, h.HashKeyFile)
	switch n := len(key.Reveal()); {
	case !given && len(h.Hash) > 0:
		p.add("HUBSPOT_HASH_KEY: is required with HUBSPOT_PROPERTIES_HASH (make one with: openssl rand -hex 32)")
	case given && err == nil && n < shortestKey:
		p.add("HUBSPOT_HASH_KEY: has %d bytes and needs at least %d (make one with: openssl rand -hex 32)", n, shortestKey)
	}
}

func (k *Kafka) validate(p *problems) {
	if len(k.Brokers) == 0 {
		p.add("KAFKA_BROKERS: is required (host:port, several separated by commas)")
	}
	for i, broker := range k.Brokers {
		if !brokerAddress(broker) { // not repeated: somebody may have put a user and a password into it
			p.add("KAFKA_BROKERS: member %d is not host:port, such as kafka:9092, without a scheme and with commas between several", i+1)
		}
	}
	if !topicName(k.TopicPrefix) {
		p.add("KAFKA_TOPIC_PREFIX: %q is not a topic name: letters, digits, '.', '_' and '-', at most 100", k.TopicPrefix)
	}
	p.oneOf("KAFKA_KEY_FORMAT", k.KeyFormat, sink.KeyString, sink.KeyAvro)
	if k.Partitions == 0 || k.Partitions < -1 {
		p.add("KAFKA_PARTITIONS: %d is neither -1 nor above 0", k.Partitions)
	}
	if k.Replication == 0 || k.Replication < -1 {
		p.add("KAFKA_REPLICATION: %d is neither -1 nor above 0", k.Replication)
	}
	if k.MaxMessageBytes < smallestMessage {
		p.add("KAFKA_MAX_MESSAGE_BYTES: %d is below %d", k.MaxMessageBytes, smallestMessage)
	}
	if _, err := k.compression(); err != nil {
		p.add("%v", err)
	}
	k.validateSASL(p)
	if _, err := k.tls(); err != nil {
		p.add("%v", err)
	}
}

func (s *Sync) validate(p *problems) {
	if _, err := stream.Lags(s.TrailingLag); err != nil {
		p.add("%v", err)
	}
	for name, d := range map[string]time.Duration{
		"SYNC_LEADING_INTERVAL": s.LeadingInterval, "SYNC_TRAILING_INTERVAL": s.TrailingInterval,
		"SYNC_ARCHIVE_INTERVAL": s.ArchiveInterval, "SYNC_RECONCILE_INTERVAL": s.ReconcileInterval,
		"SYNC_CENSUS_INTERVAL": s.CensusInterval, "SYNC_ASSOCIATIONS_INTERVAL": s.AssociationsInterval,
		"SYNC_SCHEMA_INTERVAL": s.SchemaInterval, "SYNC_REFERENCE_INTERVAL": s.ReferenceInterval,
	} {
		if d < 0 {
			p.add("%s: %v is below zero", name, d)
		}
	}
}

// checkURL does not repeat the text: it may hold a password, and one with a slash in
// it is no part of an address that could be left out.
func checkURL(text string) error {
	if strings.Contains(text, "@") {
		return errors.New("the address must not contain a user or password; there are variables for them")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not an http or https address, such as https://host:8081")
	}
	return nil
}

// topicName reports whether prefix can begin the names of topics. It leaves room
// for the longest name.
func topicName(prefix string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return prefix != "" && len(prefix) <= 100 && prefix != "." && prefix != ".." && strings.Trim(prefix, letters) == ""
}
