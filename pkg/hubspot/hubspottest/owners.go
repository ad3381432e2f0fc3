package hubspottest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Owner is a user or a queue that records are assigned to. AddOwner makes up the
// id and the times and keeps the rest as given. Times are milliseconds since
// 1970-01-01T00:00:00Z. UserID 0 means none.
type Owner struct {
	ID                         string
	Type                       string // PERSON or QUEUE; "": PERSON
	Email, FirstName, LastName string // an empty Email is null in answers
	UserID                     uint64
	Teams                      []Team
	CreatedAt, UpdatedAt       int64
	Archived                   bool
}

// Team is a team of an owner.
type Team struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Primary bool   `json:"primary"`
}

// ListChange is one step in the life of an entry of a reference list: an owner
// or a pipeline.
type ListChange[T any] struct {
	At    int64 // when reads first saw it: milliseconds on the portal's clock
	Op    Op
	Entry T    // after the change
	Live  bool // the entry is live after the change
}

// AddOwner adds a user or a queue and returns its id.
func (p *Portal) AddOwner(o Owner) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addOwner(o)
}

func (p *Portal) addOwner(o Owner) string {
	p.listID++
	o.ID, o.CreatedAt, o.UpdatedAt, o.Archived = strconv.Itoa(41_000_000+p.listID), p.now(), p.now(), false
	if o.Type == "" {
		o.Type = "PERSON"
	}
	p.owners = append(p.owners, o)
	p.noteOwner(OpCreate, o, true)
	return o.ID
}

// UpdateOwner changes a live owner and moves its updatedAt. It returns false if
// there is no such live owner.
func (p *Portal) UpdateOwner(id string, change func(*Owner)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changeOwner(OpUpdate, id, false, change)
}

// ArchiveOwner deactivates a user, who moves to the list of archived owners and
// loses the user id. No answer says when that was. It returns false if there is
// no such live owner.
func (p *Portal) ArchiveOwner(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changeOwner(OpArchive, id, false, func(o *Owner) { o.Archived = true })
}

// RestoreOwner makes an archived owner live again. It returns false if there is
// no such archived owner.
func (p *Portal) RestoreOwner(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changeOwner(OpRestore, id, true, func(o *Owner) { o.Archived = false })
}

// PurgeOwner removes an owner, live or archived. It returns false if there is no
// such owner.
func (p *Portal) PurgeOwner(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.owners, func(o Owner) bool { return o.ID == id })
	if i < 0 {
		return false
	}
	gone := p.owners[i]
	p.owners = slices.Delete(p.owners, i, i+1)
	p.noteOwner(OpPurge, gone, false)
	return true
}

func (p *Portal) changeOwner(op Op, id string, archived bool, change func(*Owner)) bool {
	i := slices.IndexFunc(p.owners, func(o Owner) bool { return o.ID == id && o.Archived == archived })
	if i < 0 {
		return false
	}
	o := p.owners[i]
	o.Teams = slices.Clone(o.Teams)
	change(&o)
	o.ID, o.UpdatedAt = id, max(p.now(), o.UpdatedAt+1)
	p.owners[i] = o
	p.noteOwner(op, o, !o.Archived)
	return true
}

func (p *Portal) noteOwner(op Op, o Owner, live bool) {
	if !p.opt.NoHistory {
		p.ownerHistory = append(p.ownerHistory, ListChange[Owner]{p.now(), op, o, live})
	}
}

// Owners returns the live owners.
func (p *Portal) Owners() []Owner {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ownersThat(false)
}

func (p *Portal) ownersThat(archived bool) []Owner {
	return slices.DeleteFunc(slices.Clone(p.owners), func(o Owner) bool { return o.Archived != archived })
}

// OwnerHistory returns every change of owners, in the order in which they
// happened.
func (p *Portal) OwnerHistory() []ListChange[Owner] {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ownerHistory)
}

const (
	ownersDefaultLimit = 100
	ownersMaxLimit     = 500
)

type ownerJSON struct {
	ID        string  `json:"id"`
	Email     *string `json:"email"`
	Type      string  `json:"type"`
	FirstName string  `json:"firstName"`
	LastName  string  `json:"lastName"`
	UserID    *uint64 `json:"userId"`
	Inactive  *uint64 `json:"userIdIncludingInactive"`
	CreatedAt string  `json:"createdAt"`
	UpdatedAt string  `json:"updatedAt"`
	Archived  bool    `json:"archived"`
	Teams     []Team  `json:"teams,omitempty"`
}

func (p *Portal) ownerJSON(o *Owner) ownerJSON {
	j := ownerJSON{
		ID: o.ID, Type: o.Type, FirstName: o.FirstName, LastName: o.LastName,
		CreatedAt: isoTime(o.CreatedAt), UpdatedAt: isoTime(o.UpdatedAt), Archived: o.Archived, Teams: slices.Clone(o.Teams),
	}
	if o.Email != "" {
		j.Email = &o.Email
	}
	if o.UserID != 0 {
		j.Inactive = &o.UserID
		if !o.Archived {
			j.UserID = &o.UserID
		}
	}
	// HubSpot does not promise any order of teams.
	p.chaos.Shuffle(len(j.Teams), func(a, b int) { j.Teams[a], j.Teams[b] = j.Teams[b], j.Teams[a] })
	return j
}

// serveOwners answers GET /crm/owners/{ver}. Here after is an offset: if an owner
// goes away between two pages, the next page misses another owner.
func (p *Portal) serveOwners(c *call) (int, []byte, *failure) {
	if need := "crm.objects.owners.read"; !p.allowed(need) {
		return 0, nil, missingScopes([]string{need})
	}
	if c.query.Get("email") != "" {
		return 0, nil, invalid("this portal does not find owners by email")
	}
	archived, fail := c.flag("archived")
	if fail != nil {
		return 0, nil, fail
	}
	limit, from := ownersDefaultLimit, 0
	if text := c.query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > ownersMaxLimit {
			return 0, nil, invalid("limit %q is not between 1 and %d", text, ownersMaxLimit)
		}
		limit = n
	}
	if p.opt.OwnerPage > 0 {
		limit = min(limit, p.opt.OwnerPage)
	}
	if text := c.query.Get("after"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0, nil, invalid("after %q is not a valid cursor", text)
		}
		from = n
	}
	owners := p.ownersThat(archived)
	owners = owners[min(from, len(owners)):]
	answer := struct {
		Results []ownerJSON `json:"results"`
		Paging  *pagingJSON `json:"paging,omitempty"`
	}{Results: []ownerJSON{}}
	if len(owners) > limit {
		owners = owners[:limit]
		after := strconv.Itoa(from + limit)
		answer.Paging = &pagingJSON{}
		answer.Paging.Next.After, answer.Paging.Next.Link = after, nextLink(c, after)
	}
	for i := range owners {
		id, _ := strconv.ParseUint(owners[i].ID, 10, 64)
		c.records = append(c.records, id)
		answer.Results = append(answer.Results, p.ownerJSON(&owners[i]))
	}
	return 200, encode(answer), nil
}

// serveOwner answers GET /crm/owners/{ver}/{id}.
func (p *Portal) serveOwner(c *call) (int, []byte, *failure) {
	if need := "crm.objects.owners.read"; !p.allowed(need) {
		return 0, nil, missingScopes([]string{need})
	}
	archived, fail := c.flag("archived")
	if fail != nil {
		return 0, nil, fail
	}
	if property := c.query.Get("idProperty"); property != "" && property != "id" {
		return 0, nil, invalid("this portal does not find owners by %s", property)
	}
	for _, o := range p.ownersThat(archived) {
		if o.ID == c.id {
			return 200, encode(p.ownerJSON(&o)), nil
		}
	}
	return 0, nil, notFound("resource not found")
}

// ownerStep makes one change to the portal's owners.
func (p *Portal) ownerStep(rng *rand.Rand) {
	live, archived := p.ownersThat(false), p.ownersThat(true)
	first, last := pick(rng, firstNames), pick(rng, lastNames)
	switch n := rng.IntN(10); {
	case n < 4 || len(live) < 2:
		o := Owner{FirstName: first, LastName: last, UserID: 1_000_000 + rng.Uint64N(1_000_000)}
		if rng.IntN(5) > 0 {
			o.Email = strings.ToLower(first+"."+last) + "@example.com"
		}
		if rng.IntN(6) == 0 {
			o = Owner{Type: "QUEUE", FirstName: pick(rng, jobs)}
		}
		p.addOwner(o)
	case n < 7:
		p.changeOwner(OpUpdate, live[rng.IntN(len(live))].ID, false, func(o *Owner) {
			o.LastName = last
			if o.Type == "PERSON" {
				o.Teams = []Team{
					{strconv.Itoa(rng.IntN(9)), pick(rng, jobs), true},
					{strconv.Itoa(10 + rng.IntN(9)), fmt.Sprintf("<%s> & Söhne", pick(rng, jobs)), false},
				}[:1+rng.IntN(2)]
			}
		})
	case n < 9 || len(archived) == 0:
		p.changeOwner(OpArchive, live[rng.IntN(len(live))].ID, false, func(o *Owner) { o.Archived = true })
	default:
		p.changeOwner(OpRestore, archived[rng.IntN(len(archived))].ID, true, func(o *Owner) { o.Archived = false })
	}
}
