# `make` lists the targets. They need only Go; the integration tests also need
# Java 17 and Maven, for a real Kafka and schema registry.

# Pinned, so that the same tree gives the same findings everywhere. It is built
# once, in about three minutes on two cores, and kept outside the tree.
LINT_VERSION := v2.15.0
LINT_DIR     := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hubspot-cdc/golangci-lint-$(LINT_VERSION)

FUZZTIME  ?= 10s
BENCHTIME ?= 1s
KILLS     ?= 50

FLEET_KILLS ?= 20

# The packages whose tests run whole connectors, or search with one goroutine.
UNRACED := '/cmd/|/pkg/connector|/pkg/fleet|/cdcmodel'

.DEFAULT_GOAL := help
.PHONY: help check race fmt vet lint test chart pages fuzz bench bench-portal build integration kills fleet-kills consumers

help: ## list the targets
	@awk -F ': .*## ' '/^[a-z-]+: .*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The tests make many small worlds: collecting less often saves a tenth of the time.
check race: export GOGC ?= 400
# Under the race detector those of whole connectors take seven times the processor time:
# make race has them.
check: fmt vet lint ## format, vet, lint, and the tests in their short form, those of parts under the race detector
	go test -race -short $$(go list ./... | grep -vE $(UNRACED))
	go test -short $$(go list ./... | grep -E $(UNRACED))

race: ## all tests in their short form, under the race detector
	go test -race -short ./...

fmt: ## fail if gofmt would change anything
	@out=$$(gofmt -l .); test -z "$$out" || { printf 'gofmt would change:\n%s\n' "$$out"; exit 1; }

vet: ## go vet, including the tests on real services
	go vet -tags integration,consumers ./...

lint: $(LINT_DIR)/golangci-lint ## golangci-lint, with .golangci.yml
	$(LINT_DIR)/golangci-lint run

$(LINT_DIR)/golangci-lint:
	GOBIN=$(LINT_DIR) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

test: ## all tests that need only Go
	go test ./...

# Without -count the go command would not see that the chart, outside the module, has changed.
chart: ## render the Helm chart, and check it with the types of Kubernetes
	cd test/helm && go mod tidy -diff && go vet . && go test -count 1 .

# Without -count the go command would not see that there is another browser.
pages: ## look at the pages in a headless Chromium, if there is one
	cd test/browser && go mod tidy -diff && go vet . && go test -count 1 -v .

fuzz: ## every fuzz test for FUZZTIME
	@go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go 2>/dev/null); do \
	    echo "$$pkg $$name" && go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$pkg" || exit 1; \
	  done; \
	done

bench: ## every benchmark
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

bench-portal: ## what the built program does against a simulated portal with HubSpot's limits: FIGURES, with BENCHFLAGS
	go run ./bench $(BENCHFLAGS) $(FIGURES)

build: ## the program, as bin/connector
	go build -o bin/connector ./cmd/connector

integration: ## the tests on a real Kafka and schema registry, one package after another
	.ci/integration

consumers: ## a Flink job, Kafka Connect with PostgreSQL, and five small consumers, behind our topics
	.ci/consumers

kills: ## the crash test alone, with KILLS kills
	go test -tags integration -count 1 -timeout 20m -v -run TestFiftyKills ./test/crash -kills $(KILLS)

# So many topics need a broker with more memory than that of the other tests.
fleet-kills: ## a fleet of 50 portals: FLEET_KILLS instances killed, and as many restarted, with a Kafka of its own on port 23092
	export KAFKA_TEST_PORT=23092 KAFKA_TEST_HEAP=1500m; trap 'test/kafka/kafka.sh wipe' EXIT; \
	  go test -tags integration -count 1 -timeout 60m -v -run TestFleet_KillsAndRollingRestartsLoseNothing ./test/crash -fleet-kills $(FLEET_KILLS) -fleet-portals 50
