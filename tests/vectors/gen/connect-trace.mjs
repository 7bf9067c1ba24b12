// connect-trace*.jsonl: every UDP datagram of a real connection on loopback, decoded.
//
//   node connect-trace.mjs default|punch|slowpunch|open|direct|relay|upgrade|abort
//
// It has to run in a network namespace of its own (`run` makes one), where nothing else uses loopback, and needs the
// right to open a packet socket. The first line describes the run: names, addresses, seeds of keys and all secrets.

import BlindRelay from 'blind-relay'
import DHT from 'hyperdht'
import createTestnet from 'hyperdht/testnet.js'

import { probes, seen } from './connect/observe.mjs'
import { capture } from './connect/capture.mjs'
import { decode } from './connect/decode.mjs'
import { SCENARIOS } from './connect/scenarios.mjs'
import { hex, main, seed, sleep, versions, writeLines } from './lib.mjs'

const KEYS = { server: DHT.keyPair(seed(0x22)), client: DHT.keyPair(seed(0x11)), relay: DHT.keyPair(seed(0x55)) }
const ignore = () => {}

/** Names of the nodes by their instance of UDX. */
const names = new Map()

function makeNode (kind, testnet, keyPair) {
  const options = { bootstrap: testnet.bootstrap, host: '127.0.0.1', ephemeral: true, keyPair }
  if (kind === 'node') return testnet.nodes[1]
  if (kind === 'default') return testnet.createNode({ keyPair })
  if (kind === 'open') return new DHT({ ...options, firewalled: false })
  return new DHT({ ...options, quickFirewall: false })
}

async function startNodes (scenario) {
  const testnet = await createTestnet(scenario.testnet)
  testnet.nodes.forEach((node, i) => names.set(node.udx, 'dht' + (i + 1)))
  const nodes = {
    testnet,
    server: makeNode(scenario.serverKind, testnet, KEYS.server),
    client: makeNode(scenario.clientKind, testnet, KEYS.client),
    relay: scenario.relay ? makeNode('open', testnet, KEYS.relay) : null
  }
  for (const name of ['server', 'client', 'relay']) {
    if (!nodes[name]) continue
    if (!names.has(nodes[name].udx)) names.set(nodes[name].udx, name)
    await nodes[name].fullyBootstrapped()
  }
  if (nodes.relay) await startRelay(nodes.relay)
  return nodes
}

async function startRelay (node) {
  const relay = new BlindRelay.Server({ createStream: (o) => node.createRawStream({ ...o, framed: true }) })
  const server = node.createServer({ shareLocalAddress: false }, (stream) => {
    stream.on('error', ignore)
    relay.accept(stream, { id: stream.remotePublicKey }).on('error', ignore)
  })
  await server.listen(KEYS.relay)
}

async function startServer (node, options, mark) {
  const server = node.createServer(options)
  const closed = new Promise((resolve) => {
    server.on('connection', (stream) => {
      mark('server emits connection, remote key ' + hex(stream.remotePublicKey).slice(0, 16) + '..')
      stream.on('data', () => stream.write(Buffer.from('world')))
      stream.on('end', () => stream.end())
      stream.on('error', ignore)
      stream.on('close', resolve)
    })
  })
  await server.listen(KEYS.server)
  return { closed }
}

/** Connects, exchanges two messages and ends; resolves once the stream is closed. */
function dial (node, scenario, mark) {
  const relayThrough = scenario.relay ? KEYS.relay.publicKey : undefined
  mark('client calls connect')
  const stream = node.connect(KEYS.server.publicKey, { keyPair: KEYS.client, ...scenario.connect, relayThrough })
  stream.on('error', (error) => mark('client stream error: ' + error.message))
  stream.on('open', () => {
    mark('client stream open')
    stream.write(Buffer.from('hello'))
  })
  stream.on('data', (data) => {
    mark('client received ' + JSON.stringify(data.toString()))
    if (!probes.held) {
      setTimeout(() => stream.end(), scenario.linger || 50)
      return
    }
    probes.held = false
    mark('probes released')
    setTimeout(() => {
      mark('client writes again')
      stream.write(Buffer.from('hello again'))
    }, 2500)
  })
  return new Promise((resolve) => stream.on('close', () => {
    mark('client stream closed')
    resolve()
  }))
}

/** Returns the names of sockets by address: the first two of a node are its server and its client socket. */
function socketNames () {
  const found = new Map()
  const counts = new Map()
  for (const { udx, port } of seen.sockets) {
    const name = names.get(udx)
    if (!name || !port) continue
    const count = counts.get(name) || 0
    counts.set(name, count + 1)
    found.set('127.0.0.1:' + port, `${name}.${['serverSocket', 'clientSocket'][count] || 'extra' + (count - 1)}`)
  }
  return found
}

function lines (rows, start) {
  const sockets = socketNames()
  return rows.filter(({ src, dst }) => sockets.has(src) && sockets.has(dst)).map((row) => {
    const { src, dst, ttl, data } = row
    const bytes = Buffer.from(data, 'hex')
    const decoded = decode(bytes, row, (udx) => names.get(udx))
    const ms = Math.round(1000 * (row.t - start) * 10) / 10
    const [from, to] = [sockets.get(src), sockets.get(dst)]
    return { t_ms: ms, from, to, src, dst, ttl, length: bytes.length, ...decoded, hex: data }
  })
}

function describe (name, scenario, nodes, events) {
  const keys = Object.entries(KEYS).filter(([peer]) => peer !== 'relay' || nodes.relay)
  return {
    scenario: name,
    note: scenario.note,
    versions: versions(),
    nodes: Object.fromEntries([...socketNames()].map(([address, socket]) => [socket, address])),
    bootstrap: nodes.testnet.bootstrap,
    keys: Object.fromEntries(keys.map(([peer, { publicKey, secretKey }]) => {
      return [peer, { seed: hex(secretKey.subarray(0, 32)), publicKey: hex(publicKey) }]
    })),
    sessions: seen.sessions,
    events
  }
}

main(async () => {
  const name = process.argv[2]
  const scenario = SCENARIOS[name]
  if (!scenario) throw new Error('no such scenario: ' + name)
  probes.held = Boolean(scenario.holdProbes)
  const nodes = await startNodes(scenario)
  let start = 0
  const events = []
  const mark = (event) => events.push({ t_ms: Math.round(1000 * (Date.now() / 1000 - start)), event })
  const served = await startServer(nodes.server, scenario.server || {}, mark)
  const endCapture = await capture()
  await sleep(100)
  start = Date.now() / 1000
  await dial(nodes.client, scenario, mark)
  await Promise.race([served.closed, sleep(2000)])
  await sleep(300)
  const rows = await endCapture()
  const file = name === 'default' ? 'connect-trace.jsonl' : `connect-trace-${name}.jsonl`
  writeLines(file, [describe(name, scenario, nodes, events), ...lines(rows, start)])
})
