// A running node with fixed state: datagrams in, datagrams out. The steps are in steps.mjs.

import IO from 'dht-rpc/lib/io.js'
import peer from 'dht-rpc/lib/peer.js'
import HyperDHT from 'hyperdht'
import Table from 'kademlia-routing-table'

import { fill, hex } from '../lib.mjs'
import {
  FakeUDX, SECRET0, SECRET1, TABLE_NODES, decodedRequest, decodedResponse, makeIO, tick
} from './common.mjs'
import { CLIENT, GROUPS, NODE } from './steps.mjs'

const NODE_ID = peer.id(NODE.host, NODE.port)

async function encodeRequest ({ tid, token, internal, command, target, value, persistentFrom }, from) {
  const udx = new FakeUDX()
  const io = new IO(new Table(fill(32, 0)), udx, { onrequest () {}, firewalled: true, host: '127.0.0.1' })
  await io.bind()
  clearInterval(io._drainInterval)
  if (persistentFrom) {
    io.ephemeral = false
    io.firewalled = false
    io.table = new Table(peer.id(from.host, from.port))
  }
  io._tid = tid
  const request = io.createRequest({ id: null, ...NODE }, token, internal, command, target, value, null)
  request.send()
  clearTimeout(request._timeout)
  return udx.sent[0].buffer
}

async function makeNode (isPersistent) {
  const udx = new FakeUDX()
  const options = { udx, seed: fill(32, 9) }
  const node = isPersistent
    ? HyperDHT.bootstrapper(NODE.port, NODE.host, options)
    : new HyperDHT({ ...options, bootstrap: [], port: NODE.port, ephemeral: true, firewalled: false })
  await node.fullyBootstrapped()
  clearInterval(node._tickInterval)
  clearInterval(node.io._drainInterval)
  // A fresh ephemeral node has a random table id.
  if (!isPersistent) node.table = node.io.table = new Table(NODE_ID)
  node.io._secrets = [Buffer.from(SECRET0), Buffer.from(SECRET1)]
  node.io._tid = 0x7000
  for (const known of TABLE_NODES) node.addNode(known)
  node._tick += 100
  udx.sent.length = 0
  return { node, udx }
}

/** Lets a datagram arrive and returns what the node sends then. */
async function feed ({ node, udx }, socketName, datagram, from) {
  udx.sent.length = 0
  const { serverSocket, clientSocket } = node.io
  const socket = socketName === 'server' ? serverSocket : clientSocket
  socket.emit('message', datagram, { host: from.host, family: 4, port: from.port })
  for (let i = 0; i < 5; i++) await tick()
  const name = (used) => used === serverSocket ? 'server' : used === clientSocket ? 'client' : 'other'
  return udx.sent.map(({ socket, to, buffer }) => ({ socket: name(socket), to, hex: hex(buffer) }))
}

/** Decodes what the node has sent as its receiver would. */
async function decodeSent (buffer, from) {
  let decoded = null
  const onrequest = (request) => { decoded = { type: 'request', ...decodedRequest(request) } }
  const onresponse = (response) => { decoded = { type: 'response', ...decodedResponse(response) } }
  const { io } = await makeIO({ id: fill(32, 0), onrequest })
  if (buffer[0] === 0x13) {
    const tid = buffer.readUInt16LE(2)
    const pending = { tid, sent: 1, session: null, internal: false, _timeout: null, _timestamp: Date.now() }
    io.inflight.push({ ...pending, onresponse })
  }
  io.onmessage(io.clientSocket, buffer, from)
  return decoded
}

async function runGroup ({ name, persistent = true, steps }) {
  const context = await makeNode(persistent)
  const done = []
  for (const { name, socket = 'server', from = CLIENT, request } of steps) {
    const datagram = await encodeRequest(request, from)
    const sent = await feed(context, socket, datagram, from)
    for (const one of sent) {
      const port = one.socket === 'server' ? NODE.port : context.node.io.clientSocket.address().port
      one.decoded = await decodeSent(Buffer.from(one.hex, 'hex'), { host: NODE.host, port })
    }
    done.push({ name, socket, from, in: hex(datagram), out: sent })
  }
  await context.node.destroy({ force: true })
  return { name, persistent, steps: done }
}

const groups = []
for (const it of GROUPS) groups.push(await runGroup(it))

export default {
  exchanges: {
    note: 'One running node per group; steps are applied in order. "out" empty means: no datagram at all (the request is dropped silently).',
    node: {
      ...NODE,
      id: hex(NODE_ID),
      tokenSecret0: hex(SECRET0),
      tokenSecret1: hex(SECRET1),
      tableNodes: TABLE_NODES
    },
    groups
  }
}
