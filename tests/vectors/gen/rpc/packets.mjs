// Requests, responses and tokens: raw packets between two instances of the RPC layer.

import INTERNAL from 'dht-rpc/lib/commands.js'
import c from 'compact-encoding'
import peer from 'dht-rpc/lib/peer.js'
import { COMMANDS, ERROR } from 'hyperdht/lib/constants.js'

import { A_ADDR, B_ADDR, TARGET, TABLE_NODES, decodedRequest, decodedResponse, SECRET0, SECRET1, makeIO } from './common.mjs'
import { counting, fill, hex } from '../lib.mjs'

const out = {}

out.requests = []

async function requestVector (name, { persistent, from = A_ADDR, to = B_ADDR, tid, token = null, internal, command, target = null, value = null, socket, note }) {
  const id = peer.id(from.host, from.port)
  const { io, udx } = await makeIO({ id, ephemeral: !persistent, firewalled: !persistent })
  io._tid = tid
  const req = io.createRequest({ id: null, ...to }, token, internal, command, target, value, null)
  if (socket === 'client') req.socket = io.clientSocket
  req.send()
  clearTimeout(req._timeout)
  const { buffer } = udx.sent[0]

  // decode with a second instance that knows the same token secrets, so the token check passes
  let got = null
  const rx = await makeIO({ id: peer.id(to.host, to.port), onrequest: (r) => (got = r) })
  if (token) rx.io.token = () => token
  rx.io.onmessage(rx.io.serverSocket, buffer, from)

  out.requests.push({
    name,
    ...(note ? { note } : {}),
    sender: { ...from, persistent: !!persistent, socket: socket || (persistent ? 'server' : 'client') },
    nextTid: io._tid,
    hex: hex(buffer),
    decoded: got && decodedRequest(got)
  })
}

await requestVector('ping from an ephemeral node', { tid: 0, internal: true, command: INTERNAL.PING })
await requestVector('ping from a persistent node, server socket', { persistent: true, tid: 0x1234, internal: true, command: INTERNAL.PING })
await requestVector('ping from a persistent node, but sent on the client socket: no id', {
  persistent: true,
  socket: 'client',
  tid: 0x1234,
  internal: true,
  command: INTERNAL.PING
})
await requestVector('ping_nat, value is our server port 49737 as uint16 LE', {
  tid: 65535,
  internal: true,
  command: INTERNAL.PING_NAT,
  value: c.encode(c.uint16, 49737)
})
await requestVector('find_node', { tid: 2, internal: true, command: INTERNAL.FIND_NODE, target: TARGET })
await requestVector('find_node from a persistent node', {
  persistent: true,
  tid: 3,
  internal: true,
  command: INTERNAL.FIND_NODE,
  target: TARGET
})
await requestVector('down_hint about 10.0.1.2:1002', {
  tid: 4,
  internal: true,
  command: INTERNAL.DOWN_HINT,
  value: c.encode(c.ipv4Address, { host: '10.0.1.2', port: 1002 })
})
await requestVector('delayed_ping 1500 ms', {
  tid: 5,
  internal: true,
  command: INTERNAL.DELAYED_PING,
  value: c.encode(c.uint32, 1500)
})
await requestVector('find_peer (external command, no value)', { tid: 6, internal: false, command: COMMANDS.FIND_PEER, target: TARGET })
await requestVector('external command with token, target and value', {
  tid: 7,
  internal: false,
  command: COMMANDS.IMMUTABLE_PUT,
  token: counting(32, 0x20),
  target: TARGET,
  value: Buffer.from('hello')
})
await requestVector('everything set: id, token, target, value', {
  persistent: true,
  tid: 8,
  internal: false,
  command: COMMANDS.ANNOUNCE,
  token: counting(32, 0x20),
  target: TARGET,
  value: counting(300)
})
await requestVector('empty value keeps the value flag with a zero length', {
  tid: 9,
  internal: false,
  command: COMMANDS.LOOKUP,
  target: TARGET,
  value: Buffer.alloc(0)
})
await requestVector('large command number is a varuint', { tid: 10, internal: false, command: 442 })

// a request claiming an id which does not belong to its source address
{
  const { io, udx } = await makeIO({ id: counting(32, 0x33), ephemeral: false, firewalled: false })
  io._tid = 11
  const req = io.createRequest({ id: null, ...B_ADDR }, null, true, INTERNAL.PING, null, null, null)
  req.send()
  clearTimeout(req._timeout)
  let got = null
  const rx = await makeIO({ id: peer.id(B_ADDR.host, B_ADDR.port), onrequest: (r) => (got = r) })
  rx.io.onmessage(rx.io.serverSocket, udx.sent[0].buffer, A_ADDR)
  out.requests.push({
    name: 'id not equal to hash(source address): decoded as if no id was sent',
    sender: { ...A_ADDR, persistent: true, socket: 'server' },
    nextTid: io._tid,
    hex: hex(udx.sent[0].buffer),
    decoded: decodedRequest(got)
  })
}

// malformed / odd datagrams, what the reference decoder makes of them
{
  const base = out.requests.find((r) => r.name === 'find_node').hex
  const odd = [
    ['empty datagram', ''],
    ['one byte (a holepunch message, not RPC)', '03'],
    ['wrong version nibble', '02' + base.slice(2)],
    ['wrong type nibble', '23' + base.slice(2)],
    ['truncated target', base.slice(0, base.length - 2)],
    ['trailing bytes are ignored', base + 'deadbeef'],
    ['unknown flag bit 0x20 is ignored', base.slice(0, 2) + (parseInt(base.slice(2, 4), 16) | 0x20).toString(16) + base.slice(4)],
    ['flags read as a varuint (fd 0c 00 = 0x0c)', base.slice(0, 2) + 'fd0c00' + base.slice(4)],
    ['command as a non canonical varuint (fd 02 00)', base.slice(0, 20) + 'fd0200' + base.slice(22)]
  ]
  out.oddRequests = []
  for (const [name, h] of odd) {
    let got = null
    const rx = await makeIO({ id: peer.id(B_ADDR.host, B_ADDR.port), onrequest: (r) => (got = r) })
    rx.io.onmessage(rx.io.serverSocket, Buffer.from(h, 'hex'), A_ADDR)
    out.oddRequests.push({ name, hex: h, accepted: got !== null, decoded: got && decodedRequest(got) })
  }
  for (const port of [0, 65536]) {
    let got = null
    const rx = await makeIO({ id: peer.id(B_ADDR.host, B_ADDR.port), onrequest: (r) => (got = r) })
    rx.io.onmessage(rx.io.serverSocket, Buffer.from(base, 'hex'), { host: '10.0.0.1', port })
    out.oddRequests.push({ name: 'source port ' + port, hex: base, accepted: got !== null, decoded: null })
  }
}

out.responses = []

async function responseVector (name, { persistent, tid = 0x0102, target = null, nodes = [], act, note, serverSecretToken }) {
  const client = await makeIO({ id: peer.id(A_ADDR.host, A_ADDR.port) })
  client.io._tid = tid
  const creq = client.io.createRequest({ id: null, ...B_ADDR }, null, false, COMMANDS.LOOKUP, target, null, null)
  creq.send()
  clearTimeout(creq._timeout)

  const server = await makeIO({
    id: peer.id(B_ADDR.host, B_ADDR.port),
    ephemeral: !persistent,
    firewalled: !persistent,
    nodes,
    onrequest: act
  })
  server.io.onmessage(server.io.serverSocket, client.udx.sent[0].buffer, A_ADDR)
  const sent = server.udx.sent[0]

  let got = null
  creq.onresponse = (r) => (got = r)
  client.io.onmessage(client.io.clientSocket, sent.buffer, B_ADDR)

  out.responses.push({
    name,
    ...(note ? { note } : {}),
    responder: { ...B_ADDR, persistent: !!persistent },
    request: hex(client.udx.sent[0].buffer),
    hex: hex(sent.buffer),
    decoded: got && decodedResponse(got)
  })
}

await responseVector('bare pong from an ephemeral node', { act: (req) => req.sendReply(0, null, false, false) })
await responseVector('bare pong from a persistent node: id', { persistent: true, act: (req) => req.sendReply(0, null, false, false) })
await responseVector('find_node style reply: id + closer nodes', {
  persistent: true,
  target: TARGET,
  nodes: TABLE_NODES,
  act: (req) => req.sendReply(0, null, false, true)
})
await responseVector('reply(null): token + closer nodes, no value', {
  persistent: true,
  target: TARGET,
  nodes: TABLE_NODES,
  act: (req) => req.reply(null)
})
await responseVector('reply(value): token + closer nodes + value', {
  persistent: true,
  target: TARGET,
  nodes: TABLE_NODES,
  act: (req) => req.reply(Buffer.from('hello'))
})
await responseVector('reply(value) when the request carried no target: never closer nodes', {
  persistent: true,
  nodes: TABLE_NODES,
  act: (req) => req.reply(Buffer.from('hello'))
})
await responseVector('reply(value) with an empty routing table: closer nodes flag clear', {
  persistent: true,
  target: TARGET,
  act: (req) => req.reply(Buffer.from('hello'))
})
await responseVector('reply(null, no token, no closer nodes), as for a stored announce', {
  persistent: true,
  target: TARGET,
  nodes: TABLE_NODES,
  act: (req) => req.reply(null, { token: false, closerNodes: false })
})
await responseVector('error 1 (unknown command) with closer nodes', {
  persistent: true,
  target: TARGET,
  nodes: TABLE_NODES,
  act: (req) => req.sendReply(1, null, false, true)
})
await responseVector('error 2 (invalid token) with a fresh token', {
  persistent: true,
  target: TARGET,
  nodes: TABLE_NODES,
  act: (req) => req.error(2, { token: true })
})
await responseVector('error 17 (seq too low)', {
  persistent: true,
  target: TARGET,
  nodes: TABLE_NODES,
  act: (req) => req.error(ERROR.SEQ_TOO_LOW)
})
await responseVector('error code as a multi byte varuint, ephemeral responder', { act: (req) => req.error(300, { closerNodes: false }) })
await responseVector('empty value: value flag with zero length', { act: (req) => req.reply(Buffer.alloc(0), { token: false }) })
await responseVector('20 closer nodes', {
  persistent: true,
  target: TARGET,
  nodes: Array.from({ length: 25 }, (_, i) => ({ host: '10.0.2.' + (i + 1), port: 2000 + i })),
  act: (req) => req.sendReply(0, null, false, true)
})

// tokens
{
  const { io } = await makeIO({ id: fill(32, 0) })
  out.token = {
    note: 'token(host) = blake2b256(key = secret, ascii of the dotted host). Replies use secret[1]; requests are accepted with secret[1] or secret[0]. Port plays no part. Opaque to the other side.',
    secret0: hex(SECRET0),
    secret1: hex(SECRET1),
    tokens: ['127.0.0.1', '10.0.0.1'].map((host) => ({
      host,
      withSecret0: hex(io.token({ host, port: 1 }, 0)),
      withSecret1: hex(io.token({ host, port: 1 }, 1)),
      otherPortSame: hex(io.token({ host, port: 2 }, 1)) === hex(io.token({ host, port: 1 }, 1))
    }))
  }
  for (let i = 0; i < 10; i++) io._drain()
  out.token.afterTenDrains = { secret0: hex(io._secrets[0]), secret1: hex(io._secrets[1]) }
}

export default out
