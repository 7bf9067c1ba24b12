// Primitive encodings, hashes, numbers and keys.

import HyperDHT from 'hyperdht'
import HyperDHTAddress from 'hyperdht-address'
import INTERNAL from 'dht-rpc/lib/commands.js'
import c from 'compact-encoding'
import hypercoreCrypto from 'hypercore-crypto'
import peer from 'dht-rpc/lib/peer.js'
import { BOOTSTRAP_NODES, COMMANDS, ERROR, FIREWALL, NS } from 'hyperdht/lib/constants.js'

import { blake, KP1 } from './common.mjs'
import { counting, fill, hex, view } from '../lib.mjs'

const out = {}

function tryDecode (enc, hexStr) {
  const buffer = Buffer.from(hexStr, 'hex')
  const state = { start: 0, end: buffer.byteLength, buffer }
  try {
    const value = enc.decode(state)
    return { hex: hexStr, value: view(value), consumed: state.start }
  } catch (err) {
    return { hex: hexStr, error: err.message }
  }
}

out.varuint = {
  encode: [
    0, 1, 127, 128, 251, 252, 253, 254, 255, 256, 0xfffe, 0xffff, 0x10000, 0xfffffffe, 0xffffffff, 0x100000000,
    1700000000000, Number.MAX_SAFE_INTEGER
  ].map((n) => ({ value: String(n), hex: hex(c.encode(c.uint, n)) })),
  decode: [
    '00', 'fc', 'fdfd00', 'fd0100', 'fe01000000', 'ff0100000000000000', 'ffffffffffffff1f00', 'ffffffffffffff1f01',
    'ff0000000000002000', 'ffffffffffffffffff', 'fd', 'fd01', 'fe000000', 'ff00000000000000', ''
  ].map((h) => {
    const r = tryDecode(c.uint, h)
    if ('value' in r) r.value = String(r.value)
    return r
  })
}

out.fixedInts = {
  uint16: [0, 1, 255, 256, 49737, 65535].map((n) => ({ value: n, hex: hex(c.encode(c.uint16, n)) })),
  uint32: [0, 1, 10000, 0xffffffff].map((n) => ({ value: n, hex: hex(c.encode(c.uint32, n)) }))
}

out.buffer = {
  encode: [Buffer.alloc(0), Buffer.from('hello'), counting(252), counting(253)].map((b) => ({
    value: hex(b),
    hex: hex(c.encode(c.buffer, b))
  })),
  decode: ['00', '0168', '0268', '05616263'].map((h) => tryDecode(c.buffer, h))
}

out.string = ['', 'abc', 'pl\u00fcgin', '\u{1F310}'].map((s) => ({ value: s, hex: hex(c.encode(c.string, s)) }))

out.ipv4Address = [
  { host: '127.0.0.1', port: 49737 },
  { host: '0.0.0.0', port: 0 },
  { host: '255.255.255.255', port: 65535 },
  { host: '1.2.3.4', port: 1 },
  { host: '192.168.122.238', port: 256 },
  { host: '88.99.3.86', port: 49737 }
].map((a) => ({ ...a, hex: hex(c.encode(c.ipv4Address, a)) }))

out.ipv6Address = [
  { host: '::1', port: 42420 },
  { host: '2001:db8::ff00:42:8329', port: 49737 },
  { host: 'fe80:0:0:0:1:2:3:4', port: 1 }
].map((a) => {
  const b = c.encode(c.ipv6Address, a)
  return { ...a, hex: hex(b), decoded: c.decode(c.ipv6Address, b).host }
})

out.ipv4Array = [[], [{ host: '10.0.0.1', port: 1000 }], [{ host: '10.0.0.1', port: 1000 }, { host: '10.0.0.2', port: 2000 }]].map(
  (list) => ({ value: list, hex: hex(c.encode(c.array(c.ipv4Address), list)) })
)
out.arrayLimit = {
  note: 'array decode refuses a count above 0x100000 before reading elements; at or below it just runs out of bytes',
  decode: ['fe01001000', 'fe00001000'].map((h) => tryDecode(c.array(c.ipv4Address), h))
}

// ------------------------------------------------------------ hashes and keys

out.nodeId = [
  { host: '127.0.0.1', port: 49737 },
  { host: '88.99.3.86', port: 49737 },
  { host: '142.93.90.113', port: 49737 },
  { host: '138.68.147.8', port: 49737 },
  { host: '1.2.3.4', port: 5678 },
  { host: '203.0.113.7', port: 256 }
].map(({ host, port }) => ({
  host,
  port,
  preimage: hex(c.encode(c.ipv4Address, { host, port })),
  id: hex(peer.id(host, port))
}))

out.blake2b256 = [
  { input: '', digest: hex(blake(Buffer.alloc(0))) },
  { input: hex(Buffer.from('testing')), digest: hex(blake(Buffer.from('testing'))) },
  { input: hex(counting(64)), digest: hex(blake(counting(64))) },
  { key: hex(counting(32)), input: hex(Buffer.from('127.0.0.1')), digest: hex(blake(Buffer.from('127.0.0.1'), counting(32))) }
]

out.commands = { internal: { ...INTERNAL }, hyperdht: { ...COMMANDS } }
out.firewall = { ...FIREWALL }
out.errors = { rpc: { UNKNOWN_COMMAND: HyperDHT.ERROR_UNKNOWN_COMMAND, INVALID_TOKEN: HyperDHT.ERROR_INVALID_TOKEN }, hyperdht: { ...ERROR } }
out.bootstrapNodes = BOOTSTRAP_NODES

out.namespaces = {
  name: 'hyperswarm/dht',
  nameHash: hex(blake(Buffer.from('hyperswarm/dht'))),
  derivation: 'blake2b256( blake2b256(name) || one byte: the command number )',
  values: Object.fromEntries(Object.keys(NS).map((k) => [k, { byte: COMMANDS[k], namespace: hex(NS[k]) }]))
}

out.keyPairs = [1, 2, 3].map((n) => {
  const kp = HyperDHT.keyPair(fill(32, n))
  return {
    seed: hex(fill(32, n)),
    publicKey: hex(kp.publicKey),
    secretKey: hex(kp.secretKey),
    peerTarget: hex(HyperDHT.hash(kp.publicKey)),
    discoveryKey: hex(hypercoreCrypto.discoveryKey(kp.publicKey))
  }
})

out.hyperdhtAddress = [
  { key: KP1.publicKey, nodes: null },
  { key: KP1.publicKey, nodes: [{ host: '10.0.0.1', port: 1000 }, { host: '10.0.0.2', port: 2000 }] }
].map(({ key, nodes }) => ({ key: hex(key), nodes, hex: hex(HyperDHTAddress.encode(key, nodes)) }))

export default out
