# syntax=docker/dockerfile:1
# The connector alone: one static binary, no shell, not root.
#   docker build --build-arg VERSION=v1.2.3 -t hubspot-cdc .
#
# There is no HEALTHCHECK: it would need a shell or another program inside the
# image. Let your orchestrator ask over HTTP instead: /healthz (restart the
# container when it fails) and /readyz, as docs/deploy.md shows.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=$VERSION" -o /connector ./cmd/connector

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /connector /connector
# Inside a container nobody else can reach 127.0.0.1, the default.
ENV HTTP_ADDR=:8080
EXPOSE 8080
USER 65532:65532
ENTRYPOINT ["/connector"]
CMD ["run"]
