// testnet.mjs N [PORT] [--bootstrap HOST:PORT]
//
// Runs N persistent nodes on 127.0.0.1: a network of their own, or more nodes for the network behind --bootstrap.
// Prints `bootstrap 127.0.0.1:PORT` once all of them are up, and stays.

import { parseArgs } from 'node:util'
import { DHT, freePort, say, untilTold } from './lib.mjs'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { bootstrap: { type: 'string' } } })
const [size = '10', port] = positionals

const nodes = []
const bootstrap = values.bootstrap ? [values.bootstrap] : []
untilTold(async () => {
  for (const node of nodes.reverse()) await node.destroy({ force: true })
})

for (let i = 0; i < Number(size); i++) {
  const node = new DHT({
    host: '127.0.0.1',
    port: i === 0 && port ? Number(port) : await freePort(),
    bootstrap: [...bootstrap],
    ephemeral: false,
    firewalled: false
  })
  nodes.push(node)
  await node.fullyBootstrapped()
  if (bootstrap.length === 0) bootstrap.push(`127.0.0.1:${node.address().port}`)
}
say('bootstrap', `127.0.0.1:${nodes[0].address().port}`)
