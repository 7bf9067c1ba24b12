// Reads the datagrams of a conversation with the decoder of the reference.

import c from 'compact-encoding'
import INTERNAL from 'dht-rpc/lib/commands.js'
import IO from 'dht-rpc/lib/io.js'
import { COMMANDS } from 'hyperdht/lib/constants.js'
import m from 'hyperdht/lib/messages.js'
import Table from 'kademlia-routing-table'

import { hex, view } from '../lib.mjs'

const REQUESTS = {
  PEER_HANDSHAKE: m.handshake,
  PEER_HOLEPUNCH: m.holepunch,
  ANNOUNCE: m.announce,
  UNANNOUNCE: m.announce,
  MUTABLE_PUT: m.mutablePutRequest,
  MUTABLE_GET: c.uint
}
const RESPONSES = {
  PEER_HANDSHAKE: m.handshake,
  PEER_HOLEPUNCH: m.holepunch,
  FIND_PEER: m.peer,
  LOOKUP: m.lookupRawReply,
  MUTABLE_GET: m.mutableGetResponse
}

let decodedRequest = null
const io = new IO(new Table(Buffer.alloc(32)), { watchNetworkInterfaces: () => ({}) }, {
  onrequest: (request) => { decodedRequest = request }
})

/** Commands by tid and port of the asker. */
const commands = new Map()

const place = ({ host, port }) => ({ host, port })

function nameOf ({ internal, command }) {
  const names = Object.entries(internal ? INTERNAL : COMMANDS)
  return (names.find(([, number]) => number === command) || [String(command)])[0]
}

function tryDecode (encoding, value) {
  try {
    return view(c.decode(encoding, value))
  } catch (error) {
    return { undecodable: error.message }
  }
}

export function decode (line) {
  const bytes = Buffer.from(line.hex, 'hex')
  if (bytes.byteLength === 1) return { type: 'holepunch byte' }
  if (bytes[0] === 0x03) return decodeRequest(bytes, line)
  if (bytes[0] === 0x13) return decodeResponse(bytes, line)
  return { type: 'not RPC', firstByte: bytes[0] }
}

function decodeRequest (bytes, { src }) {
  // The decoder takes whatever token is there.
  const start = 10 + (bytes[1] & 1 ? 32 : 0)
  const token = bytes[1] & 2 ? bytes.subarray(start, start + 32) : Buffer.alloc(32)
  io.token = () => token
  decodedRequest = null
  io.onmessage(null, bytes, { host: '127.0.0.1', port: src })
  const request = decodedRequest
  if (!request) return { type: 'undecodable' }
  const { internal, value } = request
  const name = nameOf(request)
  commands.set(request.tid + ':' + src, { name, internal })
  // A PING_NAT is answered to another port than it came from.
  if (internal && name === 'PING_NAT' && value) commands.set(request.tid + ':' + value.readUInt16LE(0), { name, internal })
  const out = {
    type: 'request',
    tid: request.tid,
    to: place(request.to),
    id: hex(request.from.id),
    token: hex(request.token),
    internal,
    command: request.command,
    commandName: name,
    target: hex(request.target),
    valueLength: value ? value.byteLength : null
  }
  if (value && !internal && REQUESTS[name]) out.message = tryDecode(REQUESTS[name], value)
  if (value && internal && name === 'PING_NAT') out.message = { port: value.readUInt16LE(0) }
  if (value && internal && name === 'DOWN_HINT') out.message = tryDecode(c.ipv4Address, value)
  return out
}

function decodeResponse (bytes, { src, dst }) {
  let response = null
  const tid = bytes.readUInt16LE(2)
  const onresponse = (decoded) => { response = decoded }
  io.inflight = [{ tid, sent: 1, session: null, internal: false, _timeout: null, _timestamp: Date.now(), onresponse }]
  io.onmessage(null, bytes, { host: '127.0.0.1', port: src })
  if (!response) return { type: 'undecodable' }
  const { value, closerNodes } = response
  const asked = commands.get(tid + ':' + dst)
  const out = {
    type: 'response',
    tid,
    to: place(response.to),
    id: hex(response.from.id),
    token: hex(response.token),
    closerNodes: closerNodes && closerNodes.map(({ host, port }) => host + ':' + port),
    error: response.error,
    inReplyTo: asked ? asked.name : null,
    valueLength: value ? value.byteLength : null
  }
  if (value && asked && !asked.internal && RESPONSES[asked.name]) out.message = tryDecode(RESPONSES[asked.name], value)
  return out
}
