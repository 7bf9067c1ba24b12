// node.mjs [N]
//
// Runs persistent nodes of the reference on 127.0.0.1, one if nothing is said: a bootstrap node, and others that join through it. Prints `listening IP:PORT PID` when all
// have joined, with the address of the first, and stays.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../tests/interop/package.json', import.meta.url))
const DHT = require('hyperdht')

async function freePort () {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

const first = DHT.bootstrapper(await freePort(), '127.0.0.1', { host: '127.0.0.1' })
await first.fullyBootstrapped()
const address = `127.0.0.1:${first.address().port}`
const nodes = [first]
while (nodes.length < Number(process.argv[2] ?? 1)) {
  const node = new DHT({ bootstrap: [address], host: '127.0.0.1', port: await freePort(), ephemeral: false, firewalled: false })
  await node.fullyBootstrapped()
  nodes.push(node)
}
process.stdout.write(`listening ${address} ${process.pid}\n`)
