// testnet.mjs N [PORT] [--bootstrap HOST:PORT] [--host HOST] [--bind HOST]
//
// Runs N persistent nodes that others know at HOST, 127.0.0.1 by default, to which their sockets are bound: a
// new network, or more nodes for the network behind --bootstrap.
// Prints `bootstrap HOST:PORT` once all of them are up, and stays.

import { parseArgs } from 'node:util'
import { DHT, freePort, print, untilAsked } from './lib.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bootstrap: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    bind: { type: 'string' }
  }
})
const [size = '10', port] = positionals
const { host } = values

const nodes = []
const bootstrap = values.bootstrap ? [values.bootstrap] : []
untilAsked(async () => {
  for (const node of nodes.reverse()) await node.destroy({ force: true })
})

for (let i = 0; i < Number(size); i++) {
  const own = { host: values.bind ?? host, port: i === 0 && port ? Number(port) : await freePort() }
  // Other than on loopback the first node has to be given its address.
  const first = bootstrap.length === 0 && !host.startsWith('127.')
  const node = first
    ? DHT.bootstrapper(own.port, host, own)
    : new DHT({ ...own, bootstrap: [...bootstrap], ephemeral: false, firewalled: false })
  nodes.push(node)
  await node.fullyBootstrapped()
  if (bootstrap.length === 0) bootstrap.push(`${host}:${node.address().port}`)
}
print('bootstrap', `${host}:${nodes[0].address().port}`)
