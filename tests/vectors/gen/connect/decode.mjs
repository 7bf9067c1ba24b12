// Reads captured datagrams with the decoders of the reference.

import SecretStream from '@hyperswarm/secret-stream'
import c from 'compact-encoding'
import { COMMANDS } from 'hyperdht/lib/constants.js'
import m from 'hyperdht/lib/messages.js'
import sodium from 'sodium-universal'

import { hex, view } from '../lib.mjs'
import { seen } from './observe.mjs'

const MODES = ['FROM_CLIENT', 'FROM_SERVER', 'FROM_RELAY', 'FROM_SECOND_RELAY', 'REPLY']
const COMMAND_NAMES = Object.fromEntries(Object.entries(COMMANDS).map(([name, number]) => [number, name]))
const INTERNAL = ['PING', 'PING_NAT', 'FIND_NODE', 'DOWN_HINT', 'DELAYED_PING']
const FLAGS = [[1, 'DATA'], [2, 'END'], [4, 'SACK'], [8, 'MESSAGE'], [16, 'DESTROY'], [32, 'HEARTBEAT']]

const short = (bytes) => hex(bytes).slice(0, 16) + '..'
const place = ({ host, port }) => host + ':' + port

/** Commands of requests by tid and asker, and by tid alone for what is forwarded. */
const commands = new Map()

/** Returns what a datagram consists of. `name` names the node that owns an instance of UDX. */
export function decode (bytes, row, name) {
  try {
    if (bytes.length <= 1) return { kind: 'probe', bytes: bytes.length, lowTTL: row.ttl === 5 }
    if (bytes[0] === 0xff && bytes[1] === 1) return decodeStream(bytes, name)
    if (bytes[0] === 0x03 || bytes[0] === 0x13) return decodeRpc(bytes, row)
    return { kind: 'unknown' }
  } catch (error) {
    return { kind: 'error', error: error.message }
  }
}

function decodeRpc (bytes, { src, dst }) {
  const state = { start: 1, end: bytes.length, buffer: bytes }
  const isRequest = bytes[0] === 3
  const flags = c.uint.decode(state)
  const tid = c.uint16.decode(state)
  const out = { kind: isRequest ? 'request' : 'response', tid, toField: place(c.ipv4Address.decode(state)) }
  if (flags & 1) out.id = short(c.fixed32.decode(state))
  if (flags & 2) out.token = short(c.fixed32.decode(state))
  if (isRequest) {
    const number = c.uint.decode(state)
    out.command = flags & 4 ? 'internal ' + (INTERNAL[number] || number) : (COMMAND_NAMES[number] || number)
    if (flags & 8) out.target = short(c.fixed32.decode(state))
    if (flags & 16) out.value = decodeValue(out.command, c.buffer.decode(state))
    commands.set(tid + ' ' + src, out.command)
    if (!commands.has(String(tid))) commands.set(String(tid), out.command)
  } else {
    out.command = commands.get(tid + ' ' + dst) || commands.get(String(tid))
    if (flags & 4) out.closerNodes = c.array(c.ipv4Address).decode(state).map(place)
    if (flags & 8) out.error = c.uint.decode(state)
    if (flags & 16) out.value = decodeValue(out.command, c.buffer.decode(state))
  }
  return out
}

function decodeValue (command, value) {
  try {
    if (command === 'PEER_HANDSHAKE') {
      const { mode, peerAddress, relayAddress, noise } = c.decode(m.handshake, value)
      const plain = seen.noise.get(hex(noise)) || hex(noise)
      return { mode: MODES[mode], peerAddress, relayAddress, noiseLength: noise.length, noise: plain }
    }
    if (command === 'PEER_HOLEPUNCH') {
      const { mode, id, peerAddress, payload } = c.decode(m.holepunch, value)
      return { mode: MODES[mode], id, peerAddress, payload: seen.boxes.get(hex(payload)) || hex(payload) }
    }
    if (command === 'FIND_PEER') return view(c.decode(m.peer, value))
    if (command === 'ANNOUNCE' || command === 'UNANNOUNCE') return view(c.decode(m.announce, value))
  } catch (error) {
    return { undecodable: error.message }
  }
  return hex(value)
}

function decodeStream (bytes, name) {
  const type = bytes[2]
  const dataOffset = bytes[3]
  const streamId = bytes.readUInt32LE(4)
  const stream = seen.streams.find(({ id }) => id === streamId)
  const out = {
    kind: 'udx',
    flags: FLAGS.filter(([bit]) => type & bit).map(([, flag]) => flag).join('|') || 'ACK',
    dataOffset,
    streamId,
    stream: stream ? name(stream.udx) : null,
    rwnd: bytes.readUInt32LE(8),
    seq: bytes.readUInt32LE(12),
    ack: bytes.readUInt32LE(16),
    payloadLength: bytes.length - 20 - dataOffset
  }
  if (type & 9) {
    const session = seen.sessions.find(({ localStreamId }) => localStreamId === streamId)
    const payload = bytes.subarray(20 + dataOffset)
    if (session && type & 8) out.content = { datagram: payload.length ? hex(payload) : 'empty' }
    else if (session) out.content = readFrames(session, out.seq, payload)
  }
  return out
}

/** What has arrived at each stream, by its local id. */
const receivers = new Map()

function readFrames (session, seq, payload) {
  const id = session.localStreamId
  const receiver = receivers.get(id) || { packets: new Map(), next: 0, bytes: Buffer.alloc(0), pull: null }
  receivers.set(id, receiver)
  if (receiver.packets.has(seq)) return { retransmission: true }
  receiver.packets.set(seq, payload)
  const frames = []
  while (receiver.packets.has(receiver.next)) {
    receiver.bytes = Buffer.concat([receiver.bytes, receiver.packets.get(receiver.next++)])
    while (receiver.bytes.length >= 3) {
      const end = 3 + receiver.bytes.readUIntLE(0, 3)
      if (receiver.bytes.length < end) break
      frames.push(openFrame(receiver, session, receiver.bytes.subarray(3, end)))
      receiver.bytes = receiver.bytes.subarray(end)
    }
  }
  return frames
}

function openFrame (receiver, session, frame) {
  if (!receiver.pull) {
    const peerId = SecretStream.id(Buffer.from(session.handshakeHash, 'hex'), !session.isInitiator)
    const header = frame.subarray(32)
    receiver.pull = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES)
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(receiver.pull, header, Buffer.from(session.rx, 'hex'))
    const streamIdMatches = peerId.equals(frame.subarray(0, 32))
    return { header: hex(header), streamId: short(frame.subarray(0, 32)), streamIdMatches }
  }
  const plain = Buffer.alloc(frame.length - 17)
  sodium.crypto_secretstream_xchacha20poly1305_pull(receiver.pull, plain, Buffer.alloc(1), frame, null)
  if (plain.length === 0) return { keepAlive: true }
  const text = plain.toString('latin1')
  return /^[ -~]+$/.test(text) ? { message: text } : { messageHex: hex(plain) }
}
