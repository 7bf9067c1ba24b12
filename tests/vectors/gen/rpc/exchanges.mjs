// A node with fixed state: datagrams in, datagrams out.

import HyperDHT from 'hyperdht'
import INTERNAL from 'dht-rpc/lib/commands.js'
import IO from 'dht-rpc/lib/io.js'
import Persistent from 'hyperdht/lib/persistent.js'
import Table from 'kademlia-routing-table'
import c from 'compact-encoding'
import m from 'hyperdht/lib/messages.js'
import peer from 'dht-rpc/lib/peer.js'
import { COMMANDS } from 'hyperdht/lib/constants.js'

import { FakeUDX, KP1, KP2, P1, P2, P3, PEER0, PEER2, SECRET0, SECRET1, TABLE_NODES, TARGET, TOKEN, TOPIC, blake, decodedRequest, decodedResponse, makeIO, tick } from './common.mjs'
import { counting, fill, hex } from '../lib.mjs'

const out = {}

// A persistent hyperdht node with fixed state; datagrams in, datagrams out.

const NODE = { host: '10.0.0.2', port: 49737 }
const CLIENT = { host: '10.9.9.9', port: 5555 }
const CLIENT2 = { host: '10.8.8.8', port: 6666 }

function clientIO () {
  const udx = new FakeUDX()
  const io = new IO(new Table(fill(32, 0)), udx, { onrequest () {}, firewalled: true, host: '127.0.0.1' })
  return { io, udx }
}

async function encodeRequest ({ tid, token = null, internal = false, command, target = null, value = null, to = NODE, from = null, persistentFrom = false }) {
  const { io, udx } = clientIO()
  await io.bind()
  clearInterval(io._drainInterval)
  if (persistentFrom) {
    io.ephemeral = false
    io.firewalled = false
    io.table = new Table(peer.id(from.host, from.port))
  }
  io._tid = tid
  const req = io.createRequest({ id: null, ...to }, token, internal, command, target, value, null)
  req.send()
  clearTimeout(req._timeout)
  return udx.sent[0].buffer
}

async function makeNode ({ persistent = true, nodes = TABLE_NODES } = {}) {
  const udx = new FakeUDX()
  const node = persistent
    ? HyperDHT.bootstrapper(NODE.port, NODE.host, { udx, seed: fill(32, 9) })
    : new HyperDHT({ udx, bootstrap: [], port: NODE.port, seed: fill(32, 9), ephemeral: true, firewalled: false })
  await node.fullyBootstrapped()
  clearInterval(node._tickInterval)
  clearInterval(node.io._drainInterval)
  if (!persistent) {
    // a fresh ephemeral node has a random table id, pin it
    node.table = node.io.table = new Table(peer.id(NODE.host, NODE.port))
  }
  node.io._secrets = [Buffer.from(SECRET0), Buffer.from(SECRET1)]
  node.io._tid = 0x7000
  for (const n of nodes) node.addNode(n)
  node._tick += 100
  udx.sent.length = 0
  return { node, udx }
}

const tokenFor = (host, secret = SECRET1) => blake(Buffer.from(host), secret)

async function feed (ctx, socketName, buffer, from) {
  const { node, udx } = ctx
  udx.sent.length = 0
  const socket = socketName === 'server' ? node.io.serverSocket : node.io.clientSocket
  socket.emit('message', buffer, { host: from.host, family: 4, port: from.port })
  for (let i = 0; i < 5; i++) await tick()
  return udx.sent.map((s) => ({
    socket: s.socket === node.io.serverSocket ? 'server' : s.socket === node.io.clientSocket ? 'client' : 'other',
    to: s.to,
    hex: hex(s.buffer)
  }))
}

out.exchanges = {
  note: 'One running node per group; steps are applied in order. "out" empty means: no datagram at all (the request is dropped silently).',
  node: { ...NODE, id: hex(peer.id(NODE.host, NODE.port)), tokenSecret0: hex(SECRET0), tokenSecret1: hex(SECRET1), tableNodes: TABLE_NODES },
  groups: []
}

// decode an outgoing datagram with the reference decoder, as its receiver would
async function decodeSent (buffer, from) {
  let got = null
  const { io } = await makeIO({ id: fill(32, 0), onrequest: (r) => (got = { type: 'request', ...decodedRequest(r) }) })
  if (buffer[0] === 0x13) {
    io.inflight.push({
      tid: buffer.readUInt16LE(2),
      sent: 1,
      session: null,
      internal: false,
      _timeout: null,
      _timestamp: Date.now(),
      onresponse: (r) => (got = { type: 'response', ...decodedResponse(r) })
    })
  }
  io.onmessage(io.clientSocket, buffer, from)
  return got
}

async function group (name, opts, steps) {
  const ctx = await makeNode(opts)
  const g = { name, persistent: opts.persistent !== false, steps: [] }
  for (const s of steps) {
    const from = s.from || CLIENT
    const buf = s.raw || (await encodeRequest({ ...s.req, from }))
    const res = await feed(ctx, s.socket || 'server', buf, from)
    for (const r of res) {
      const port = r.socket === 'server' ? NODE.port : ctx.node.io.clientSocket.address().port
      r.decoded = await decodeSent(Buffer.from(r.hex, 'hex'), { host: NODE.host, port })
    }
    g.steps.push({ name: s.name, socket: s.socket || 'server', from, in: hex(buf), out: res })
  }
  out.exchanges.groups.push(g)
  await ctx.node.destroy({ force: true })
}

const T = tokenFor(CLIENT.host)
const I = INTERNAL
const C = COMMANDS
const nodeId = peer.id(NODE.host, NODE.port)
const annReq = (kp, target, token, ann, kind = 'announce') => {
  const sign = kind === 'announce' ? Persistent.signAnnounce : Persistent.signUnannounce
  return c.encode(m.announce, { ...ann, signature: sign(target, token, nodeId, ann, kp) })
}

await group('internal commands, persistent node', {}, [
  { name: 'ping on the server socket', req: { tid: 1, internal: true, command: I.PING } },
  { name: 'ping on the client socket: answered from the client socket, without id', socket: 'client', req: { tid: 2, internal: true, command: I.PING } },
  { name: 'ping_nat to port 7777', req: { tid: 3, internal: true, command: I.PING_NAT, value: c.encode(c.uint16, 7777) } },
  { name: 'ping_nat with port 0: dropped', req: { tid: 4, internal: true, command: I.PING_NAT, value: c.encode(c.uint16, 0) } },
  { name: 'ping_nat without a value: dropped', req: { tid: 5, internal: true, command: I.PING_NAT } },
  { name: 'find_node', req: { tid: 6, internal: true, command: I.FIND_NODE, target: TARGET } },
  { name: 'find_node without a target: dropped', req: { tid: 7, internal: true, command: I.FIND_NODE } },
  {
    name: 'down_hint about a table node: ping it, then confirm',
    req: { tid: 8, internal: true, command: I.DOWN_HINT, value: c.encode(c.ipv4Address, TABLE_NODES[1]) }
  },
  {
    name: 'down_hint about an unknown node: only confirm',
    req: { tid: 9, internal: true, command: I.DOWN_HINT, value: c.encode(c.ipv4Address, { host: '10.0.1.99', port: 1 }) }
  },
  { name: 'down_hint too short: dropped', req: { tid: 10, internal: true, command: I.DOWN_HINT, value: fill(5, 1) } },
  { name: 'delayed_ping above the 10000 ms cap: dropped', req: { tid: 11, internal: true, command: I.DELAYED_PING, value: c.encode(c.uint32, 10001) } },
  { name: 'unknown internal command with a target: error 1 and closer nodes', req: { tid: 12, internal: true, command: 5, target: TARGET } },
  { name: 'unknown internal command without a target: error 1', req: { tid: 13, internal: true, command: 5 } },
  { name: 'any command with a bad token: error 2 and a fresh token', req: { tid: 14, internal: true, command: I.PING, token: fill(32, 0xee) } },
  { name: 'token made with the previous secret is accepted', req: { tid: 15, internal: true, command: I.PING, token: tokenFor(CLIENT.host, SECRET0) } },
  {
    name: 'a ping carrying a valid id adds its sender to the table',
    from: { host: '10.0.1.50', port: 1050 },
    req: { tid: 16, internal: true, command: I.PING, persistentFrom: true }
  },
  { name: 'find_node now returns it', req: { tid: 17, internal: true, command: I.FIND_NODE, target: TARGET } }
])

await group('hyperdht commands, ephemeral node: only handshake and holepunch are known', { persistent: false }, [
  { name: 'ping: no id', req: { tid: 1, internal: true, command: I.PING } },
  { name: 'find_node is answered (closer nodes, no id)', req: { tid: 2, internal: true, command: I.FIND_NODE, target: TARGET } },
  { name: 'find_peer: error 1 with closer nodes', req: { tid: 3, command: C.FIND_PEER, target: TARGET } },
  { name: 'mutable_get: error 1 with closer nodes', req: { tid: 4, command: C.MUTABLE_GET, target: TARGET, value: c.encode(c.uint, 0) } },
  { name: 'unknown external command without target: error 1', req: { tid: 5, command: 99 } }
])

const selfTarget = HyperDHT.hash(KP1.publicKey)
const ann1 = { peer: PEER0, refresh: null }
const annTopic = { peer: { publicKey: KP2.publicKey, relayAddresses: [P1, P2, P3, { host: '10.0.0.4', port: 4 }] }, refresh: null, bump: 5 }

await group('announce, lookup, find_peer, unannounce', {}, [
  { name: 'find_peer, nothing known: token, closer nodes, no value', req: { tid: 1, command: C.FIND_PEER, target: selfTarget } },
  { name: 'find_peer without target: dropped', req: { tid: 2, command: C.FIND_PEER } },
  { name: 'announce without token: dropped', req: { tid: 3, command: C.ANNOUNCE, target: selfTarget, value: annReq(KP1, selfTarget, T, ann1) } },
  {
    name: 'announce whose signature covers another token: dropped',
    req: { tid: 4, command: C.ANNOUNCE, target: selfTarget, token: T, value: annReq(KP1, selfTarget, TOKEN, ann1) }
  },
  { name: 'announce self: bare reply with id only', req: { tid: 5, command: C.ANNOUNCE, target: selfTarget, token: T, value: annReq(KP1, selfTarget, T, ann1) } },
  { name: 'find_peer from someone else returns the record', from: CLIENT2, req: { tid: 6, command: C.FIND_PEER, target: selfTarget } },
  { name: 'lookup of the same target returns it as a one entry list with bump 0', from: CLIENT2, req: { tid: 7, command: C.LOOKUP, target: selfTarget } },
  { name: 'announce to a topic with 4 relays and bump 5: stored with the first 3', req: { tid: 8, command: C.ANNOUNCE, target: TOPIC, token: T, value: annReq(KP2, TOPIC, T, annTopic) } },
  { name: 'lookup of the topic', from: CLIENT2, req: { tid: 9, command: C.LOOKUP, target: TOPIC } },
  { name: 'find_peer of the topic: nothing, topics are not peers', from: CLIENT2, req: { tid: 10, command: C.FIND_PEER, target: TOPIC } },
  {
    name: 're-announce with other relays while the record is fresh: acknowledged',
    req: { tid: 11, command: C.ANNOUNCE, target: TOPIC, token: T, value: annReq(KP2, TOPIC, T, { peer: { publicKey: KP2.publicKey, relayAddresses: [] }, refresh: null, bump: 4 }) }
  },
  { name: 'lookup again: the OLD relays and the higher bump are still there', from: CLIENT2, req: { tid: 12, command: C.LOOKUP, target: TOPIC } },
  {
    name: 'unannounce signed with the announce namespace: dropped',
    req: { tid: 13, command: C.UNANNOUNCE, target: TOPIC, token: T, value: annReq(KP2, TOPIC, T, { peer: PEER2, refresh: null }, 'announce') }
  },
  {
    name: 'unannounce the topic: bare reply',
    req: { tid: 14, command: C.UNANNOUNCE, target: TOPIC, token: T, value: annReq(KP2, TOPIC, T, { peer: { publicKey: KP2.publicKey, relayAddresses: [] }, refresh: null }, 'unannounce') }
  },
  { name: 'lookup: gone', from: CLIENT2, req: { tid: 15, command: C.LOOKUP, target: TOPIC } },
  { name: 'unannounce self', req: { tid: 16, command: C.UNANNOUNCE, target: selfTarget, token: T, value: annReq(KP1, selfTarget, T, ann1, 'unannounce') } },
  { name: 'find_peer: gone', from: CLIENT2, req: { tid: 17, command: C.FIND_PEER, target: selfTarget } }
])

const R1 = counting(32, 0x70)
const R0 = blake(R1)
await group('refresh tokens', {}, [
  { name: 'topic announce carrying refresh R0 = H(R1)', req: { tid: 1, command: C.ANNOUNCE, target: TOPIC, token: T, value: annReq(KP1, TOPIC, T, { peer: PEER0, refresh: R0 }) } },
  { name: 'refresh only with R1: accepted', req: { tid: 2, command: C.ANNOUNCE, target: TOPIC, token: T, value: c.encode(m.announce, { peer: null, refresh: R1, signature: null, bump: 0 }) } },
  { name: 'R1 again: dropped, the chain moved on', req: { tid: 3, command: C.ANNOUNCE, target: TOPIC, token: T, value: c.encode(m.announce, { peer: null, refresh: R1, signature: null, bump: 0 }) } }
])

const mut = (kp, s, v) => c.encode(m.mutablePutRequest, { publicKey: kp.publicKey, seq: s, value: v, signature: Persistent.signMutable(s, v, kp) })
const mt = HyperDHT.hash(KP1.publicKey)
await group('mutable records', {}, [
  { name: 'get, nothing stored: token and closer nodes', req: { tid: 1, command: C.MUTABLE_GET, target: mt, value: c.encode(c.uint, 0) } },
  { name: 'get without a value: dropped', req: { tid: 2, command: C.MUTABLE_GET, target: mt } },
  { name: 'put seq 1: reply carries token and closer nodes', req: { tid: 3, command: C.MUTABLE_PUT, target: mt, token: T, value: mut(KP1, 1, Buffer.from('testing')) } },
  { name: 'put to a target that is not H(publicKey): dropped', req: { tid: 4, command: C.MUTABLE_PUT, target: TARGET, token: T, value: mut(KP1, 1, Buffer.from('testing')) } },
  { name: 'put same seq, same value: ok', req: { tid: 5, command: C.MUTABLE_PUT, target: mt, token: T, value: mut(KP1, 1, Buffer.from('testing')) } },
  { name: 'put same seq, other value: error 16', req: { tid: 6, command: C.MUTABLE_PUT, target: mt, token: T, value: mut(KP1, 1, Buffer.from('other')) } },
  { name: 'put lower seq: error 17', req: { tid: 7, command: C.MUTABLE_PUT, target: mt, token: T, value: mut(KP1, 0, Buffer.from('testing')) } },
  { name: 'get seq 0', req: { tid: 8, command: C.MUTABLE_GET, target: mt, value: c.encode(c.uint, 0) } },
  { name: 'get seq 1', req: { tid: 9, command: C.MUTABLE_GET, target: mt, value: c.encode(c.uint, 1) } },
  { name: 'get seq 2: no value', req: { tid: 10, command: C.MUTABLE_GET, target: mt, value: c.encode(c.uint, 2) } },
  {
    name: 'put with a broken signature: dropped',
    req: { tid: 11, command: C.MUTABLE_PUT, target: mt, token: T, value: c.encode(m.mutablePutRequest, { publicKey: KP1.publicKey, seq: 9, value: Buffer.from('x'), signature: fill(64, 1) }) }
  },
  { name: 'put of an empty value is accepted', req: { tid: 12, command: C.MUTABLE_PUT, target: mt, token: T, value: mut(KP1, 3, Buffer.alloc(0)) } },
  { name: 'get it', req: { tid: 13, command: C.MUTABLE_GET, target: mt, value: c.encode(c.uint, 0) } }
])

const iv = Buffer.from('testing')
await group('immutable records', {}, [
  { name: 'get, nothing stored', req: { tid: 1, command: C.IMMUTABLE_GET, target: blake(iv) } },
  { name: 'put', req: { tid: 2, command: C.IMMUTABLE_PUT, target: blake(iv), token: T, value: iv } },
  { name: 'put with a wrong target: dropped', req: { tid: 3, command: C.IMMUTABLE_PUT, target: TARGET, token: T, value: iv } },
  { name: 'get', from: CLIENT2, req: { tid: 4, command: C.IMMUTABLE_GET, target: blake(iv) } }
])

await group('plugin command without a matching plugin: dropped', {}, [
  { name: 'plugin request', req: { tid: 1, command: C.PLUGIN, target: TARGET, value: c.encode(m.pluginRequest, { plugin: 'x', version: 1, command: 0, value: null }) } }
])

{
  // relaying: SERVER announced itself from 10.7.7.7:1111, CLIENT asks this node to forward
  const SERVER = { host: '10.7.7.7', port: 1111 }
  const TS = tokenFor(SERVER.host)
  const hs = (v) => c.encode(m.handshake, v)
  const hp = (v) => c.encode(m.holepunch, v)
  await group('handshake and holepunch forwarding keep the tid', {}, [
    { name: 'handshake for an unknown target: empty reply with closer nodes', req: { tid: 0x4001, command: C.PEER_HANDSHAKE, target: selfTarget, value: hs({ mode: 0, noise: counting(48), peerAddress: null, relayAddress: null }) } },
    { name: 'the server announces itself', from: SERVER, req: { tid: 0x4002, command: C.ANNOUNCE, target: selfTarget, token: TS, value: annReq(KP1, selfTarget, TS, ann1) } },
    { name: 'handshake from client: forwarded as a request to the server', req: { tid: 0x4003, command: C.PEER_HANDSHAKE, target: selfTarget, value: hs({ mode: 0, noise: counting(48), peerAddress: null, relayAddress: null }) } },
    { name: 'server answers with mode FROM_SERVER: turned into a response to the client', from: SERVER, req: { tid: 0x4003, command: C.PEER_HANDSHAKE, target: selfTarget, value: hs({ mode: 1, noise: counting(96), peerAddress: CLIENT, relayAddress: null }) } },
    { name: 'handshake from client with an explicit relayAddress', req: { tid: 0x4004, command: C.PEER_HANDSHAKE, target: TARGET, value: hs({ mode: 0, noise: counting(48), peerAddress: null, relayAddress: P2 }) } },
    { name: 'handshake from another relay: forwarded with both addresses', from: P2, req: { tid: 0x4005, command: C.PEER_HANDSHAKE, target: selfTarget, value: hs({ mode: 2, noise: counting(48), peerAddress: CLIENT, relayAddress: null }) } },
    { name: 'holepunch from client', req: { tid: 0x4006, command: C.PEER_HOLEPUNCH, target: selfTarget, value: hp({ mode: 0, id: 3, payload: counting(60), peerAddress: null }) } },
    { name: 'holepunch from client to an explicit peer address', req: { tid: 0x4007, command: C.PEER_HOLEPUNCH, target: selfTarget, value: hp({ mode: 0, id: 3, payload: counting(60), peerAddress: P2 }) } },
    { name: 'holepunch from server: turned into a response to the client', from: SERVER, req: { tid: 0x4006, command: C.PEER_HOLEPUNCH, target: selfTarget, value: hp({ mode: 1, id: 0, payload: counting(60), peerAddress: CLIENT }) } },
    { name: 'handshake on the client socket: forwarded from the client socket without id', socket: 'client', req: { tid: 0x4008, command: C.PEER_HANDSHAKE, target: selfTarget, value: hs({ mode: 0, noise: counting(48), peerAddress: null, relayAddress: null }) } }
  ])
}

export default out
