// The reference as a measuring peer. Takes the same commands as `benches/tools/peer.rs` and prints the same lines, so that either
// side of a measurement can be either implementation:
//
//   peer.mjs testnet N                                   a DHT of N nodes on 127.0.0.1
//   peer.mjs server BOOTSTRAP echo|sink|idle|mixed [SEED]   SEED is the byte that the key is made from
//   peer.mjs client BOOTSTRAP KEY connect|rate|stream|streams|ping|beside|idle N
//
// and, without encryption, as `benches/tools/plain.rs`:
//
//   peer.mjs plain-server echo|sink
//   peer.mjs plain-client PORT stream|ping N
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'

const require = createRequire(new URL('../../tests/interop/package.json', import.meta.url))
const DHT = require(process.env.HYPERDHT ?? 'hyperdht')
const UDX = require(require.resolve('udx-native', { paths: [require.resolve('hyperdht')] }))

const [role, ...rest] = process.argv.slice(2)
const roles = { testnet, server, client, 'plain-server': plainServer, 'plain-client': plainClient }
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
    if (mode === 'mixed') {
      connection.once('data', (data) => {
        if (data[0] === 0x65) connection.on('data', (data) => connection.write(data))
        else count(connection)
      })
    }
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
  const work = { connect, rate, stream, streams, ping, beside, idle: rate }
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
  const before = process.cpuUsage()
  const start = performance.now()
  await send(connection, n * 1e6)
  const seconds = (performance.now() - start) / 1000
  console.log(`stream ${n} MB ${(n / seconds).toFixed(1)} MB/s; ${usage(before)}`)
}

async function streams (dht, remote, n) {
  const connections = []
  for (let i = 0; i < 100; i++) connections.push(await open(dht, remote, DHT.keyPair()))
  const before = process.cpuUsage()
  const start = performance.now()
  await Promise.all(connections.map((connection) => send(connection, n * 1e6 / connections.length)))
  const seconds = (performance.now() - start) / 1000
  console.log(`streams ${n} MB ${(n / seconds).toFixed(1)} MB/s; ${usage(before)}`)
}

// Sends, ends, and waits until the other side has ended as well.
async function send (connection, bytes) {
  const chunk = Buffer.alloc(65536, 1)
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (!connection.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) {
      await new Promise((resolve) => connection.once('drain', resolve))
    }
  }
  connection.end()
  await new Promise((resolve) => connection.once('close', resolve))
}

async function ping (dht, remote, n) {
  const connection = await open(dht, remote)
  console.log(`ping ${describe(await pings(connection, n))}`)
}

// Round trips on one connection of a `mixed` server beside a bulk transfer on another.
async function beside (dht, remote, n) {
  const small = await open(dht, remote, DHT.keyPair())
  const bulk = await open(dht, remote, DHT.keyPair())
  small.write('e')
  bulk.write('s')
  const chunk = Buffer.alloc(65536, 1)
  let sent = 0
  const fill = () => {
    do sent += chunk.length
    while (bulk.write(chunk))
  }
  bulk.on('drain', fill)
  await new Promise((resolve) => setTimeout(resolve, 100))
  fill()
  await pings(small, 20)
  const [start, before] = [performance.now(), sent]
  const times = await pings(small, n)
  const rate = (sent - before) / (performance.now() - start) / 1000
  console.log(`ping ${describe(times)}, beside ${rate.toFixed(1)} MB/s`)
}

async function pings (stream, n) {
  const message = Buffer.alloc(64, 1)
  const times = []
  let arrived = 0
  let done
  stream.on('data', (data) => {
    arrived += data.length
    if (arrived >= message.length) done()
  })
  for (let i = 0; i < n; i++) {
    const start = performance.now()
    arrived = 0
    const answer = new Promise((resolve) => { done = resolve })
    stream.write(message)
    await answer
    times.push(performance.now() - start)
  }
  stream.removeAllListeners('data')
  return times
}

function describe (times) {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share) => (sorted[Math.floor(sorted.length * share)] * 1000).toFixed(1)
  return `p50 ${at(0.5)} us, p99 ${at(0.99)} us`
}

function plainServer (mode) {
  const udx = new UDX()
  const socket = udx.createSocket()
  socket.bind(0, '127.0.0.1')
  console.log(`port ${socket.address().port}`)
  const stream = udx.createStream(1, {
    firewall (socket, port, host) {
      if (!stream.connected) stream.connect(socket, 2, port, host)
      return false
    }
  })
  let bytes = 0
  let first = 0
  stream.on('data', (data) => {
    first ||= performance.now()
    bytes += data.length
    if (mode === 'echo') stream.write(data)
  })
  stream.on('end', () => stream.end())
  stream.on('error', () => process.exit(0))
  stream.on('close', () => {
    const seconds = (performance.now() - first) / 1000
    console.log(`sink ${bytes} bytes ${(bytes / seconds / 1e6).toFixed(1)} MB/s; ${usage()}`)
    process.exit(0)
  })
}

async function plainClient (port, what, count) {
  const udx = new UDX()
  const socket = udx.createSocket()
  socket.bind(0, '127.0.0.1')
  const stream = udx.createStream(2)
  stream.connect(socket, 1, Number(port), '127.0.0.1')
  if (what === 'ping') {
    console.log(`ping ${describe(await pings(stream, Number(count)))}`)
  } else {
    stream.resume()
    const start = performance.now()
    await send(stream, Number(count) * 1e6)
    const seconds = (performance.now() - start) / 1000
    console.log(`stream ${count} MB ${(count / seconds).toFixed(1)} MB/s; ${usage()}`)
  }
  process.exit(0)
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

function usage (before) {
  const { user, system } = process.cpuUsage(before)
  return `rss ${(process.memoryUsage().rss / 1e6).toFixed(1)} MB, cpu ${((user + system) / 1e6).toFixed(2)} s`
}
