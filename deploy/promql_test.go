package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// query is what an expression of PromQL asks for. Prometheus's own parser would bring
// the clients of three clouds into go.sum, so parse understands the part of the
// language that alerts and dashboard use, and refuses the rest.
type query struct {
	selectors []selector
	grouped   []string // labels of by, without, on, ignoring
}

// selector is a metric with its matchers.
type selector struct {
	metric   string
	matchers []matcher
	ranged   bool
}

type matcher struct{ label, op, value string }

func (m matcher) matches(value string) bool {
	same := value == m.value
	if strings.HasSuffix(m.op, "~") {
		same = regexp.MustCompile("^(?:" + m.value + ")$").MatchString(value)
	}
	return same != strings.HasPrefix(m.op, "!")
}

var (
	token = regexp.MustCompile(`^(?:"[^"\\]*"|[a-zA-Z_]\w*|\d+(?:\.\d+)?(?:[smhd]\b)?|=~|!~|!=|==|>=|<=|[][{}(),=<>+*/-])`)
	name  = regexp.MustCompile(`^[a-zA-Z_]\w*$`)

	aggregations = []string{"sum", "min", "max", "avg", "count", "topk", "bottomk"}
	functions    = []string{"rate", "increase", "changes", "max_over_time", "histogram_quantile", "abs", "absent", "clamp_min", "time", "vector", "label_replace"}
	operators    = []string{"+", "-", "*", "/", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"}
)

// reader reads an expression token by token. It panics with a mistake.
type reader struct {
	tokens []string
	query
}

type mistake string

func parse(expr string) (q query, err error) {
	r := &reader{}
	for rest := strings.TrimSpace(expr); rest != ""; rest = strings.TrimSpace(rest) {
		t := token.FindString(rest)
		if t == "" {
			return q, fmt.Errorf("cannot read %q", rest)
		}
		r.tokens, rest = append(r.tokens, t), rest[len(t):]
	}
	defer func() {
		switch m := recover().(type) {
		case nil:
		case mistake:
			err = fmt.Errorf("%s", string(m))
		default:
			panic(m)
		}
	}()
	r.expr()
	if len(r.tokens) > 0 {
		panic(mistake("does not belong there: " + r.tokens[0]))
	}
	return r.query, nil
}

func (r *reader) peek() string {
	if len(r.tokens) == 0 {
		return ""
	}
	return r.tokens[0]
}

func (r *reader) next() string {
	t := r.peek()
	if t == "" {
		panic(mistake("the end is missing"))
	}
	r.tokens = r.tokens[1:]
	return t
}

// skip reads one token if it is there.
func (r *reader) skip(t string) bool {
	if r.peek() != t {
		return false
	}
	r.next()
	return true
}

func (r *reader) want(t string) {
	if got := r.next(); got != t {
		panic(mistake(fmt.Sprintf("%q where %q is wanted", got, t)))
	}
}

func (r *reader) expr() {
	r.operand()
	for slices.Contains(operators, r.peek()) {
		r.next()
		r.skip("bool")
		if r.skip("on") || r.skip("ignoring") {
			r.labels()
			if r.skip("group_left") || r.skip("group_right") {
				r.labels()
			}
		}
		r.operand()
	}
}

func (r *reader) operand() {
	t := r.next()
	switch {
	case t == "(":
		r.expr()
		r.want(")")
	case t == "-":
		r.operand()
	case t[0] >= '0' && t[0] <= '9', t[0] == '"':
	case slices.Contains(aggregations, t):
		grouped := r.grouping()
		r.arguments()
		if !grouped {
			r.grouping()
		}
	case slices.Contains(functions, t):
		r.arguments()
	case name.MatchString(t) && r.peek() != "(":
		r.selector(t)
	default:
		panic(mistake("unknown: " + t))
	}
}

func (r *reader) grouping() bool {
	if !r.skip("by") && !r.skip("without") {
		return false
	}
	r.labels()
	return true
}

func (r *reader) labels() {
	r.want("(")
	for !r.skip(")") {
		l := r.next()
		if !name.MatchString(l) {
			panic(mistake("no label: " + l))
		}
		r.grouped = append(r.grouped, l)
		if r.peek() != ")" {
			r.want(",")
		}
	}
}

func (r *reader) arguments() {
	r.want("(")
	for !r.skip(")") {
		r.expr()
		if r.peek() != ")" {
			r.want(",")
		}
	}
}

func (r *reader) selector(metric string) {
	s := selector{metric: metric}
	if r.skip("{") {
		for !r.skip("}") {
			m := matcher{label: r.next(), op: r.next()}
			value, err := strconv.Unquote(r.next())
			if m.value = value; err != nil || !name.MatchString(m.label) || !slices.Contains([]string{"=", "!=", "=~", "!~"}, m.op) {
				panic(mistake("no matcher: " + m.label + m.op))
			}
			s.matchers = append(s.matchers, m)
			if r.peek() != "}" {
				r.want(",")
			}
		}
	}
	if r.skip("[") {
		if d := r.next(); !regexp.MustCompile(`^\d+[smhd]$`).MatchString(d) {
			panic(mistake("no range: " + d))
		}
		r.want("]")
		s.ranged = true
	}
	r.selectors = append(r.selectors, s)
}
