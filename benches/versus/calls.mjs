// Calls of the reference, with the commands and lines of `benches/tools/channels.rs`:
//
//   calls.mjs calls-server BOOTSTRAP
//   calls.mjs calls-client BOOTSTRAP KEY N
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'

const require = createRequire(new URL('../../tests/interop/package.json', import.meta.url))
const DHT = require('hyperdht')
const RPC = require('@hyperswarm/rpc')

const [role, bootstrap, key, count] = process.argv.slice(2)
const dht = new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', ephemeral: true })
await dht.fullyBootstrapped()
const rpc = new RPC({ dht })
if (role === 'calls-server') {
  const server = rpc.createServer()
  server.respond('echo', (value) => value)
  await server.listen()
  console.log(`key ${server.publicKey.toString('hex')}`)
} else {
  const server = Buffer.from(key, 'hex')
  const value = Buffer.alloc(100, 7)
  const times = []
  for (let round = 0; round < 30; round++) {
    const start = performance.now()
    const calls = Array.from({ length: Number(count) }, () => rpc.request(server, 'echo', value))
    for (const answer of await Promise.all(calls)) {
      if (!value.equals(answer)) throw new Error('another value')
    }
    times.push(performance.now() - start)
  }
  const late = times.slice(10).sort((a, b) => a - b)
  console.log(`calls ${count} at once, median ${late[late.length / 2].toFixed(2)} ms`)
  process.exit(0)
}
