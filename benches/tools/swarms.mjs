// swarms.mjs COUNT [BOOTSTRAP]
//
// Swarms of npm hyperswarm on one topic until each has a connection with each other: time, dials and memory, as
// `swarms.rs` measures. Run it where `hyperswarm` is installed: NODE_PATH does not apply to modules, so the folder
// is found from tests/interop.

import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(fileURLToPath(new URL('../../tests/interop/lib.mjs', import.meta.url)))
const Hyperswarm = require('hyperswarm')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const count = Number(process.argv[2])
const network = process.argv[3] ? null : await createTestnet(10)
const bootstrap = process.argv[3] ? [process.argv[3]] : network.bootstrap
const topic = Buffer.alloc(32, 7)

const swarms = []
for (let i = 0; i < count; i++) {
  const dht = new DHT({ bootstrap, host: '127.0.0.1' })
  await dht.fullyBootstrapped()
  swarms.push(new Hyperswarm({ dht }))
}
const before = process.memoryUsage().rss
const cpu = process.cpuUsage()
const start = process.hrtime.bigint()
await Promise.all(swarms.map(swarm => swarm.join(topic, { server: true, client: false }).flushed()))
const announced = Number(process.hrtime.bigint() - start) / 1e9
await Promise.all(swarms.map(swarm => new Promise(resolve => {
  const check = () => { if (swarm.connections.size === count - 1) resolve() }
  swarm.on('connection', connection => {
    connection.on('error', () => {})
    connection.on('data', () => {})
  })
  swarm.on('update', check)
  swarm.join(topic)
})))
const seconds = Number(process.hrtime.bigint() - start) / 1e9
const sum = pick => swarms.reduce((all, swarm) => all + pick(swarm.stats.connects), 0)
const { user, system } = process.cpuUsage(cpu)
console.log(JSON.stringify({
  swarms: count,
  announced: Number(announced.toFixed(2)),
  seconds: Number(seconds.toFixed(2)),
  dials: sum(of => of.client.attempted),
  opened: sum(of => of.client.opened),
  ended: sum(of => of.client.closed + of.server.closed),
  processor: Number(((user + system) / 1e6).toFixed(2)),
  resident: process.memoryUsage().rss,
  before
}))
process.exit(0)
