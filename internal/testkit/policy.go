package testkit

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Policy is what a cluster does not let its users do with topics.
type Policy struct {
	Settings []string    // that no topic may have
	As       *kerr.Error // the answer; nil: POLICY_VIOLATION to a setting, else TOPIC_AUTHORIZATION_FAILED

	NoCreate, NoAlter, NoDescribe bool

	Off             atomic.Bool  // nobody is bound by it for now
	Creates, Alters atomic.Int64 // requests so far, dry runs left out
}

// Message is the broker's own message about a setting.
func (p *Policy) Message(setting string) string {
	return fmt.Sprintf("Config property '%s' is fixed by this cluster.", setting)
}

// ForbiddenMessage is the broker's own message about what Policy forbids.
const ForbiddenMessage = "Ask the platform team."

// Enforce makes the broker follow a policy from now on.
func (b *Broker) Enforce(p *Policy) {
	answer := func(forbidden bool, settings []string) (int16, *string) {
		if p.Off.Load() {
			return 0, nil
		}
		if forbidden {
			message := ForbiddenMessage
			return cmp.Or(p.As, kerr.TopicAuthorizationFailed).Code, &message
		}
		slices.Sort(settings)
		for _, setting := range settings {
			if slices.Contains(p.Settings, setting) {
				message := p.Message(setting)
				return cmp.Or(p.As, kerr.PolicyViolation).Code, &message
			}
		}
		return 0, nil
	}
	b.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		req := kreq.(*kmsg.CreateTopicsRequest)
		if !req.ValidateOnly {
			p.Creates.Add(1)
		}
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, t := range req.Topics {
			var settings []string
			for _, c := range t.Configs {
				settings = append(settings, c.Name)
			}
			if code, message := answer(p.NoCreate, settings); code != 0 {
				one := kmsg.NewCreateTopicsResponseTopic()
				one.Topic, one.ErrorCode, one.ErrorMessage = t.Topic, code, message
				resp.Topics = append(resp.Topics, one)
			}
		}
		return resp, nil, len(resp.Topics) > 0
	})
	b.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		req := kreq.(*kmsg.IncrementalAlterConfigsRequest)
		if !req.ValidateOnly {
			p.Alters.Add(1)
		}
		resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		for _, r := range req.Resources {
			var settings []string
			for _, c := range r.Configs {
				settings = append(settings, c.Name)
			}
			if code, message := answer(p.NoAlter, settings); code != 0 {
				one := kmsg.NewIncrementalAlterConfigsResponseResource()
				one.ResourceType, one.ResourceName, one.ErrorCode, one.ErrorMessage = r.ResourceType, r.ResourceName, code, message
				resp.Resources = append(resp.Resources, one)
			}
		}
		return resp, nil, len(resp.Resources) > 0
	})
	b.ControlKey(int16(kmsg.DescribeConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		req := kreq.(*kmsg.DescribeConfigsRequest)
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, r := range req.Resources {
			if code, message := answer(p.NoDescribe, nil); code != 0 {
				one := kmsg.NewDescribeConfigsResponseResource()
				one.ResourceType, one.ResourceName, one.ErrorCode, one.ErrorMessage = r.ResourceType, r.ResourceName, code, message
				resp.Resources = append(resp.Resources, one)
			}
		}
		return resp, nil, len(resp.Resources) > 0
	})
}
