// rpc-trace.jsonl: one real conversation between nodes of the reference on loopback.
//
// Three nodes of a test network, a server, a client and a node that is configured to be persistent. Every datagram that the
// JavaScript side sends or receives on any UDX socket is one line; stream traffic leaves the native part unseen.
//
//   {"kind":"meta"}   who is who
//   {"kind":"phase"}  what happens next
//   {"kind":"dgram"}  dir "tx": sent; dir "rx": received, where "tx" is the n of the line that sent it, or null,
//                     with its own hex, if the native part sent it

import HyperDHT from 'hyperdht'
import { COMMANDS } from 'hyperdht/lib/constants.js'
import createTestnet from 'hyperdht/testnet.js'

import { decode } from './rpc/decode.mjs'
import { lines, mark } from './rpc/log.mjs'
import { fill, hex, main, seed, sleep, versions, writeLines } from './lib.mjs'

const HOST = '127.0.0.1'
const KEYS = { server: HyperDHT.keyPair(seed(21)), topic: HyperDHT.keyPair(seed(22)), mutable: HyperDHT.keyPair(seed(23)) }
const TOPIC = HyperDHT.hash(Buffer.from('testing...'))
const RELAYS = [{ host: '1.2.3.4', port: 1425 }, { host: '4.56.2.1', port: 4244 }]

/** Names of sockets by port. */
const sockets = new Map()

function label (name, node) {
  sockets.set(node.io.serverSocket.address().port, name + '.server')
  sockets.set(node.io.clientSocket.address().port, name + '.client')
}

async function start (name, bootstrap, options) {
  const node = new HyperDHT({ bootstrap, host: HOST, ...options })
  await node.fullyBootstrapped()
  label(name, node)
  return node
}

async function drain (query) {
  const replies = []
  for await (const reply of query) replies.push(reply)
  return replies
}

const placeOf = (node) => ({ host: HOST, port: node.io.serverSocket.address().port })

async function listen (S) {
  mark('S listens on its key: find_peer query, then announce to the closest nodes')
  const server = S.createServer((stream) => {
    stream.on('error', () => {})
    stream.end()
  })
  await server.listen(KEYS.server)
  return server
}

async function connect (C) {
  mark('C: find_peer')
  await drain(C.findPeer(KEYS.server.publicKey))
  mark('C connects: handshake through a relay (stream packets themselves are not shown)')
  const stream = C.connect(KEYS.server.publicKey)
  stream.on('error', () => {})
  await new Promise((resolve) => stream.once('open', resolve))
  stream.end()
  await new Promise((resolve) => stream.once('close', resolve))
  mark('idle for 3.5 s: the announcer pings its relays every 3 s')
  await sleep(3500)
}

async function store (S, C) {
  mark('S announces a topic with two relay addresses and a bump')
  await S.announce(TOPIC, KEYS.topic, RELAYS, { bump: 1700000000000 }).finished()
  mark('C: lookup of the topic')
  await drain(C.lookup(TOPIC))
  mark('S unannounces the topic')
  await S.unannounce(TOPIC, KEYS.topic)
  mark('S: mutable put seq 1')
  await S.mutablePut(KEYS.mutable, Buffer.from('testing'), { seq: 1 })
  mark('C: mutable get')
  await C.mutableGet(KEYS.mutable.publicKey)
  mark('S: mutable put seq 0, refused with error 17')
  await S.mutablePut(KEYS.mutable, Buffer.from('older'), { seq: 0 }).catch(() => {})
  mark('S: immutable put')
  const { hash } = await S.immutablePut(Buffer.from('testing'))
  mark('C: immutable get')
  await C.immutableGet(hash)
}

async function ask (C, node) {
  mark('C: a request with a wrong token to n1')
  await C.request({ token: fill(32, 0xee), command: COMMANDS.FIND_PEER, target: TOPIC }, placeOf(node))
  mark('C: an unknown command to n1')
  await C.request({ command: 99, target: TOPIC }, placeOf(node))
}

async function lose (C, node) {
  mark('n2 stops silently; C queries, times out on it and sends down hints')
  await node.destroy({ force: true })
  await C.findNode(TOPIC).finished()
  await sleep(4500)
  mark('end')
}

function describe (nodes) {
  return {
    kind: 'meta',
    about: 'Real datagrams between reference nodes on 127.0.0.1. src/dst are UDP ports on 127.0.0.1.',
    versions: versions(),
    sockets: Object.fromEntries([...sockets].map(([port, name]) => [name, port])),
    nodes: Object.fromEntries(Object.entries(nodes).map(([name, node]) => [name, {
      ephemeral: node.ephemeral,
      firewalled: node.firewalled,
      tableId: hex(node.table.id),
      nat: { host: node.host, port: node.port }
    }])),
    keys: {
      server: hex(KEYS.server.publicKey),
      topic: hex(TOPIC),
      topicKey: hex(KEYS.topic.publicKey),
      mutableKey: hex(KEYS.mutable.publicKey)
    }
  }
}

function finish (line) {
  if (line.kind !== 'dgram') return line
  const nameOf = (port) => sockets.get(port) || 'pool:' + port
  const { kind, n, t, dir, src, dst } = line
  const head = { kind, n, t, dir, from: nameOf(src), to: nameOf(dst), src, dst }
  if (dir === 'tx') return { ...head, ttl: line.ttl, hex: line.hex, decoded: decode(line) }
  return { ...head, tx: line.tx, ...(line.hex ? { hex: line.hex, decoded: decode(line) } : {}) }
}

main(async () => {
  mark('testnet: 3 nodes bootstrap (first one has no one to ask and stays without an id)')
  const testnet = await createTestnet(3, { host: HOST })
  const [n0, n1, n2] = testnet.nodes
  testnet.nodes.forEach((node, i) => label('n' + i, node))
  mark('server node bootstraps with default settings (adaptive: quick firewall check with PING_NAT)')
  const S = await start('S', testnet.bootstrap, { seed: seed(11) })
  mark('client node bootstraps, quick firewall check switched off: it stays firewalled')
  const C = await start('C', testnet.bootstrap, { seed: seed(12), quickFirewall: false })
  const server = await listen(S)
  await connect(C)
  await store(S, C)
  await ask(C, n1)
  mark('S stops listening: find_peer to each relay, then unannounce')
  await server.close()
  mark('P bootstraps as a forced persistent node: firewall check with PING_NAT, then moves to its server socket and gains an id')
  const P = await start('P', testnet.bootstrap, { seed: seed(13), ephemeral: false })
  await sleep(50)
  mark('C: delayed ping of 300 ms to n1')
  await C.delayedPing(placeOf(n1), 300)
  await lose(C, n2)
  for (const node of [C, S, P]) await node.destroy({ force: true })
  await testnet.destroy()
  writeLines('rpc-trace.jsonl', [describe({ n0, n1, n2, S, C, P }), ...lines.map(finish)])
})
