// The reference as a measuring peer. Takes the same commands as `examples/peer.rs` and prints the same lines, so that either
// side of a measurement can be either implementation:
//
//   peer.mjs testnet N                                   a DHT of N nodes on 127.0.0.1
//   peer.mjs server BOOTSTRAP echo|sink|idle [SEED]      SEED is the byte that the key is made from
//   peer.mjs client BOOTSTRAP KEY connect|rate|stream|idle N
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'

const require = createRequire(new URL('../../tests/interop/package.json', import.meta.url))
const DHT = require(process.env.HYPERDHT ?? 'hyperdht')

const [role, ...rest] = process.argv.slice(2)
const roles = { testnet, server, client }
if (!roles[role]) {
  console.error('usage: peer.mjs testnet|server|client …')
  process.exit(2)
}
await roles[role](...rest)

async function testnet (size) {
  const nodes = []
  for (let i = 0; i < Number(size); i++) {
    const bootstrap = nodes.length ? [`127.0.0.1:${nodes[0].address().port}`] : []
    const node = new DHT({ host: '127.0.0.1', bootstrap, ephemeral: false, firewalled: false })
    await node.fullyBootstrapped()
    nodes.push(node)
  }
  console.log(`bootstrap 127.0.0.1:${nodes[0].address().port}`)
}

async function server (bootstrap, mode, seed = '9') {
  const dht = await start(bootstrap)
  const keyPair = DHT.keyPair(Buffer.alloc(32, Number(seed)))
  let open = 0
  const server = dht.createServer((connection) => {
    open++
    connection.on('error', () => {})
    connection.on('close', () => open--)
    if (mode === 'echo') connection.on('data', (data) => connection.write(data))
    if (mode === 'idle') connection.on('data', () => {})
    if (mode === 'sink') count(connection)
  })
  await server.listen(keyPair)
  console.log(`key ${keyPair.publicKey.toString('hex')}`)
  process.on('SIGUSR2', () => console.log(`conns ${open} ${usage()}`))
}

function count (connection) {
  let bytes = 0
  let first = 0
  connection.on('data', (data) => {
    first ||= performance.now()
    bytes += data.length
  })
  connection.on('end', () => {
    const seconds = (performance.now() - first) / 1000
    console.log(`sink ${bytes} bytes ${(bytes / seconds / 1e6).toFixed(1)} MB/s`)
    connection.end()
  })
}

async function client (bootstrap, key, what, count) {
  const dht = await start(bootstrap)
  const remote = Buffer.from(key, 'hex')
  const n = Number(count)
  const work = { connect, rate, stream, idle: rate }
  await work[what](dht, remote, n, what === 'idle')
  if (what === 'idle') await new Promise(() => setInterval(() => {}, 1e9))
  process.exit(0)
}

async function connect (dht, remote, n) {
  const opens = []
  const echoes = []
  const totals = []
  for (let i = 0; i < n; i++) {
    const start = performance.now()
    const connection = await open(dht, remote, DHT.keyPair())
    const opened = performance.now()
    const echo = new Promise((resolve) => connection.once('data', resolve))
    connection.write('x')
    await echo
    const echoed = performance.now()
    opens.push(opened - start)
    echoes.push(echoed - opened)
    totals.push(echoed - start)
    connection.on('error', () => {})
    connection.destroy()
  }
  console.log(`connect median ${median(opens)} ms, first byte echo median ${median(echoes)} ms, together ${median(totals)} ms`)
}

async function rate (dht, remote, n, keep) {
  const start = performance.now()
  const kept = []
  let next = 0
  let failed = 0
  const worker = async () => {
    while (next++ < n) {
      try {
        const connection = await open(dht, remote, DHT.keyPair())
        connection.on('error', () => {})
        if (keep) kept.push(connection.on('data', () => {}))
        else connection.destroy()
      } catch {
        failed++
      }
    }
  }
  await Promise.all(Array.from({ length: 32 }, worker))
  const seconds = (performance.now() - start) / 1000
  console.log(`rate ${(n / seconds).toFixed(1)} connects/s, ${failed} failed, ${usage()}`)
}

async function stream (dht, remote, n) {
  const connection = await open(dht, remote)
  const chunk = Buffer.alloc(65536, 1)
  const start = performance.now()
  for (let left = n * 1e6; left > 0; left -= chunk.length) {
    if (!connection.write(chunk)) await new Promise((resolve) => connection.once('drain', resolve))
  }
  connection.end()
  await new Promise((resolve) => connection.once('close', resolve))
  const seconds = (performance.now() - start) / 1000
  console.log(`stream ${n} MB ${(n / seconds).toFixed(1)} MB/s; ${usage()}`)
}

async function start (bootstrap) {
  const dht = new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', ephemeral: true })
  await dht.fullyBootstrapped()
  return dht
}

function open (dht, remote, keyPair) {
  return new Promise((resolve, reject) => {
    const connection = dht.connect(remote, keyPair ? { keyPair } : {})
    connection.once('error', reject)
    connection.once('open', () => resolve(connection))
  })
}

function median (values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1].toFixed(2)
}

function usage () {
  const { user, system } = process.cpuUsage()
  return `rss ${(process.memoryUsage().rss / 1e6).toFixed(1)} MB, cpu ${((user + system) / 1e6).toFixed(2)} s`
}
