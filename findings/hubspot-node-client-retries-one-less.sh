#!/usr/bin/env bash
# Finding: the option numberOfApiCallRetries of HubSpot's Node client counts requests,
# not retries. 1 is the same as 0, no retry at all, although its README has retries for
# each number above 0; with 3 there are two. One would expect 1 to help where a gateway
# fails now and then. A create counts as well: one that a server carried out before a
# gateway answered 502 is carried out once more with 2, where HubSpot's Python client
# repeats no POST. In a stream of changes both show: as a write that is missing, and as
# records of the same content, made within a second, under two ids.
#
# Needs Node and npm's registry. Exits 0 while the behaviour is as described.
set -euo pipefail
version=13.5.0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >create.cjs <<'JS'
const http = require('http')
const { Client } = require('@hubspot/api-client')
let created = 0
const server = http.createServer((request, response) => {
  request.resume().on('end', () => {
    if (request.method === 'POST') created++
    response.writeHead(502, { 'content-type': 'application/json' })
    response.end('{"message":"bad gateway"}')
  })
})
server.listen(0, '127.0.0.1', async () => {
  console.error = () => {} // the client's word on each retry
  for (const numberOfApiCallRetries of [0, 1, 2, 3]) {
    const client = new Client({ accessToken: 'none', basePath: `http://127.0.0.1:${server.address().port}`, numberOfApiCallRetries })
    created = 0
    await client.crm.deals.basicApi.create({ properties: { dealname: 'a' } }).catch(() => {})
    console.log(`numberOfApiCallRetries ${numberOfApiCallRetries}: ${created} requests`)
  }
  process.exit()
})
JS
npm init -y >/dev/null && npm install --silent "@hubspot/api-client@$version" >/dev/null
out=$(node create.cjs)
echo "@hubspot/api-client $version"
echo "$out"
want='numberOfApiCallRetries 0: 1 requests
numberOfApiCallRetries 1: 1 requests
numberOfApiCallRetries 2: 2 requests
numberOfApiCallRetries 3: 3 requests'
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
