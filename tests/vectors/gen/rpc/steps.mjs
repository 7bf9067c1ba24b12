// The requests that exchanges.mjs sends to a node, in groups; each group starts with a new node.

import c from 'compact-encoding'
import INTERNAL from 'dht-rpc/lib/commands.js'
import peer from 'dht-rpc/lib/peer.js'
import HyperDHT from 'hyperdht'
import { COMMANDS } from 'hyperdht/lib/constants.js'
import m from 'hyperdht/lib/messages.js'
import Persistent from 'hyperdht/lib/persistent.js'

import { counting, fill } from '../lib.mjs'
import {
  KP1, KP2, P1, P2, P3, PEER0, PEER2, SECRET0, SECRET1, TABLE_NODES, TARGET, TOKEN, TOPIC, blake
} from './common.mjs'

export const NODE = { host: '10.0.0.2', port: 49737 }
export const CLIENT = { host: '10.9.9.9', port: 5555 }
const OTHER = { host: '10.8.8.8', port: 6666 }
const SERVER = { host: '10.7.7.7', port: 1111 }
const NODE_ID = peer.id(NODE.host, NODE.port)

const tokenFor = (host, secret = SECRET1) => blake(Buffer.from(host), secret)
const T = tokenFor(CLIENT.host)

/** One step: a request with `fields`, by default from CLIENT to the server socket without token. */
function step (name, tid, command, { from, socket, ...fields } = {}) {
  const absent = { token: null, internal: false, target: null, value: null, persistentFrom: false }
  return { name, from, socket, request: { ...absent, tid, command, ...fields } }
}

const internal = (name, tid, command, fields) => step(name, tid, command, { ...fields, internal: true })

// ---- internal commands

const { PING, PING_NAT, FIND_NODE, DOWN_HINT, DELAYED_PING } = INTERNAL
const port = (number) => c.encode(c.uint16, number)
const address = (it) => c.encode(c.ipv4Address, it)
const BAD_TOKEN = { token: fill(32, 0xee) }
const OLD_TOKEN = { token: tokenFor(CLIENT.host, SECRET0) }

const internalSteps = [
  internal('ping on the server socket', 1, PING),
  internal('ping on the client socket: answered from the client socket, without id', 2, PING, { socket: 'client' }),
  internal('ping_nat to port 7777', 3, PING_NAT, { value: port(7777) }),
  internal('ping_nat with port 0: dropped', 4, PING_NAT, { value: port(0) }),
  internal('ping_nat without a value: dropped', 5, PING_NAT),
  internal('find_node', 6, FIND_NODE, { target: TARGET }),
  internal('find_node without a target: dropped', 7, FIND_NODE),
  internal('down_hint about a table node: ping it, then confirm', 8, DOWN_HINT, { value: address(TABLE_NODES[1]) }),
  internal('down_hint about an unknown node: only confirm', 9, DOWN_HINT, {
    value: address({ host: '10.0.1.99', port: 1 })
  }),
  internal('down_hint too short: dropped', 10, DOWN_HINT, { value: fill(5, 1) }),
  internal('delayed_ping above the 10000 ms cap: dropped', 11, DELAYED_PING, { value: c.encode(c.uint32, 10001) }),
  internal('unknown internal command with a target: error 1 and closer nodes', 12, 5, { target: TARGET }),
  internal('unknown internal command without a target: error 1', 13, 5),
  internal('any command with a bad token: error 2 and a fresh token', 14, PING, BAD_TOKEN),
  internal('token made with the previous secret is accepted', 15, PING, OLD_TOKEN),
  internal('a ping carrying a valid id adds its sender to the table', 16, PING, {
    from: { host: '10.0.1.50', port: 1050 },
    persistentFrom: true
  }),
  internal('find_node now returns it', 17, FIND_NODE, { target: TARGET })
]

const { FIND_PEER, LOOKUP, ANNOUNCE, UNANNOUNCE, PLUGIN } = COMMANDS
const { MUTABLE_PUT, MUTABLE_GET, IMMUTABLE_PUT, IMMUTABLE_GET } = COMMANDS
const least = (seq) => c.encode(c.uint, seq)

const ephemeralSteps = [
  internal('ping: no id', 1, PING),
  internal('find_node is answered (closer nodes, no id)', 2, FIND_NODE, { target: TARGET }),
  step('find_peer: error 1 with closer nodes', 3, FIND_PEER, { target: TARGET }),
  step('mutable_get: error 1 with closer nodes', 4, MUTABLE_GET, { target: TARGET, value: least(0) }),
  step('unknown external command without target: error 1', 5, 99)
]

// ---- announcements

const OWN = HyperDHT.hash(KP1.publicKey)
const SELF = { peer: PEER0, refresh: null }
const FOUR_RELAYS = [P1, P2, P3, { host: '10.0.0.4', port: 4 }]
const WITH_RELAYS = { peer: { publicKey: KP2.publicKey, relayAddresses: FOUR_RELAYS }, refresh: null, bump: 5 }
const WITHOUT_RELAYS = { peer: { publicKey: KP2.publicKey, relayAddresses: [] }, refresh: null }

/** The fields of a signed announcement; `token` is sent, `signedFor` is signed. */
function signed (pair, target, announcement, { token = T, signedFor = token, sign = Persistent.signAnnounce } = {}) {
  const signature = sign(target, signedFor, NODE_ID, announcement, pair)
  return { target, token, value: c.encode(m.announce, { ...announcement, signature }) }
}

const withdrawn = (pair, target, announcement) => {
  return signed(pair, target, announcement, { sign: Persistent.signUnannounce })
}

const announceSteps = [
  step('find_peer, nothing known: token, closer nodes, no value', 1, FIND_PEER, { target: OWN }),
  step('find_peer without target: dropped', 2, FIND_PEER),
  step('announce without token: dropped', 3, ANNOUNCE, signed(KP1, OWN, SELF, { token: null, signedFor: T })),
  step('announce whose signature covers another token: dropped', 4, ANNOUNCE, signed(KP1, OWN, SELF, { signedFor: TOKEN })),
  step('announce self: bare reply with id only', 5, ANNOUNCE, signed(KP1, OWN, SELF)),
  step('find_peer from someone else returns the record', 6, FIND_PEER, { from: OTHER, target: OWN }),
  step('lookup of the same target returns it as a one entry list with bump 0', 7, LOOKUP, { from: OTHER, target: OWN }),
  step('announce to a topic with 4 relays and bump 5: stored with the first 3', 8, ANNOUNCE, signed(KP2, TOPIC, WITH_RELAYS)),
  step('lookup of the topic', 9, LOOKUP, { from: OTHER, target: TOPIC }),
  step('find_peer of the topic: nothing, topics are not peers', 10, FIND_PEER, { from: OTHER, target: TOPIC }),
  step('re-announce with other relays while the record is fresh: acknowledged', 11, ANNOUNCE,
    signed(KP2, TOPIC, { ...WITHOUT_RELAYS, bump: 4 })),
  step('lookup again: the OLD relays and the higher bump are still there', 12, LOOKUP, { from: OTHER, target: TOPIC }),
  step('unannounce signed with the announce namespace: dropped', 13, UNANNOUNCE,
    signed(KP2, TOPIC, { peer: PEER2, refresh: null })),
  step('unannounce the topic: bare reply', 14, UNANNOUNCE, withdrawn(KP2, TOPIC, WITHOUT_RELAYS)),
  step('lookup: gone', 15, LOOKUP, { from: OTHER, target: TOPIC }),
  step('unannounce self', 16, UNANNOUNCE, withdrawn(KP1, OWN, SELF)),
  step('find_peer: gone', 17, FIND_PEER, { from: OTHER, target: OWN })
]

const R1 = counting(32, 0x70)
const refreshOnly = c.encode(m.announce, { peer: null, refresh: R1, signature: null, bump: 0 })
const refreshed = { target: TOPIC, token: T, value: refreshOnly }

const refreshSteps = [
  step('topic announce carrying refresh R0 = H(R1)', 1, ANNOUNCE, signed(KP1, TOPIC, { peer: PEER0, refresh: blake(R1) })),
  step('refresh only with R1: accepted', 2, ANNOUNCE, refreshed),
  step('R1 again: dropped, the chain moved on', 3, ANNOUNCE, refreshed)
]

// ---- values

function put (seq, text, { target = OWN, signature } = {}) {
  const value = Buffer.from(text)
  const record = { publicKey: KP1.publicKey, seq, value, signature: signature || Persistent.signMutable(seq, value, KP1) }
  return { target, token: T, value: c.encode(m.mutablePutRequest, record) }
}

const get = (seq) => ({ target: OWN, value: least(seq) })

const mutableSteps = [
  step('get, nothing stored: token and closer nodes', 1, MUTABLE_GET, get(0)),
  step('get without a value: dropped', 2, MUTABLE_GET, { target: OWN }),
  step('put seq 1: reply carries token and closer nodes', 3, MUTABLE_PUT, put(1, 'testing')),
  step('put to a target that is not H(publicKey): dropped', 4, MUTABLE_PUT, put(1, 'testing', { target: TARGET })),
  step('put same seq, same value: ok', 5, MUTABLE_PUT, put(1, 'testing')),
  step('put same seq, other value: error 16', 6, MUTABLE_PUT, put(1, 'other')),
  step('put lower seq: error 17', 7, MUTABLE_PUT, put(0, 'testing')),
  step('get seq 0', 8, MUTABLE_GET, get(0)),
  step('get seq 1', 9, MUTABLE_GET, get(1)),
  step('get seq 2: no value', 10, MUTABLE_GET, get(2)),
  step('put with a broken signature: dropped', 11, MUTABLE_PUT, put(9, 'x', { signature: fill(64, 1) })),
  step('put of an empty value is accepted', 12, MUTABLE_PUT, put(3, '')),
  step('get it', 13, MUTABLE_GET, get(0))
]

const TEXT = Buffer.from('testing')
const stored = { token: T, value: TEXT }

const immutableSteps = [
  step('get, nothing stored', 1, IMMUTABLE_GET, { target: blake(TEXT) }),
  step('put', 2, IMMUTABLE_PUT, { ...stored, target: blake(TEXT) }),
  step('put with a wrong target: dropped', 3, IMMUTABLE_PUT, { ...stored, target: TARGET }),
  step('get', 4, IMMUTABLE_GET, { from: OTHER, target: blake(TEXT) })
]

const pluginRequest = c.encode(m.pluginRequest, { plugin: 'x', version: 1, command: 0, value: null })
const pluginSteps = [step('plugin request', 1, PLUGIN, { target: TARGET, value: pluginRequest })]

// ---- forwarding: SERVER has announced itself, CLIENT asks the node to forward

function handshake (name, tid, { mode = 0, noise = 48, peerAddress = null, relayAddress = null, target = OWN, ...more } = {}) {
  const value = c.encode(m.handshake, { mode, noise: counting(noise), peerAddress, relayAddress })
  return step(name, tid, COMMANDS.PEER_HANDSHAKE, { target, value, ...more })
}

function holepunch (name, tid, { mode = 0, id = 3, peerAddress = null, ...more } = {}) {
  const value = c.encode(m.holepunch, { mode, id, payload: counting(60), peerAddress })
  return step(name, tid, COMMANDS.PEER_HOLEPUNCH, { target: OWN, value, ...more })
}

const fromServer = { from: SERVER, mode: 1, peerAddress: CLIENT }

const forwardingSteps = [
  handshake('handshake for an unknown target: empty reply with closer nodes', 0x4001),
  step('the server announces itself', 0x4002, ANNOUNCE, {
    from: SERVER,
    ...signed(KP1, OWN, SELF, { token: tokenFor(SERVER.host) })
  }),
  handshake('handshake from client: forwarded as a request to the server', 0x4003),
  handshake('server answers with mode FROM_SERVER: turned into a response to the client', 0x4003, { ...fromServer, noise: 96 }),
  handshake('handshake from client with an explicit relayAddress', 0x4004, { target: TARGET, relayAddress: P2 }),
  handshake('handshake from another relay: forwarded with both addresses', 0x4005, { from: P2, mode: 2, peerAddress: CLIENT }),
  holepunch('holepunch from client', 0x4006),
  holepunch('holepunch from client to an explicit peer address', 0x4007, { peerAddress: P2 }),
  holepunch('holepunch from server: turned into a response to the client', 0x4006, { ...fromServer, id: 0 }),
  handshake('handshake on the client socket: forwarded from the client socket without id', 0x4008, { socket: 'client' })
]

export const GROUPS = [
  { name: 'internal commands, persistent node', steps: internalSteps },
  {
    name: 'hyperdht commands, ephemeral node: only handshake and holepunch are known',
    persistent: false,
    steps: ephemeralSteps
  },
  { name: 'announce, lookup, find_peer, unannounce', steps: announceSteps },
  { name: 'refresh tokens', steps: refreshSteps },
  { name: 'mutable records', steps: mutableSteps },
  { name: 'immutable records', steps: immutableSteps },
  { name: 'plugin command without a matching plugin: dropped', steps: pluginSteps },
  { name: 'handshake and holepunch forwarding keep the tid', steps: forwardingSteps }
]
