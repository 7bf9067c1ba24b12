// Checks rpc.json against the text of dht-rpc.md and hyperdht-rpc.md, without any package of the reference: encodes
// and decodes every packet and message, and computes ids, tokens, namespaces, what is signed, the order of the
// routing table and the NAT sampler. Signatures themselves are left to the tests in Rust.
//
//   node rpc-check.mjs [path of rpc.json]

import fs from 'node:fs'
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'

import { blake2b } from './rpc-check/blake2b.mjs'
import { Reader, Sampler, addr4, bytes, prefixLength, u16, varuint } from './rpc-check/wire.mjs'
import * as messages from './rpc-check/messages.mjs'

const vectors = JSON.parse(fs.readFileSync(process.argv[2] || new URL('../rpc.json', import.meta.url), 'utf8'))
const hash = (...parts) => blake2b(Buffer.concat(parts))
const fromHex = (text) => text === null || text === undefined ? null : Buffer.from(text, 'hex')
const nodeId = (address) => hash(addr4(address))
let checks = 0

function equal (actual, expected, name) {
  checks++
  const plain = (value) => Buffer.isBuffer(value) ? value.toString('hex') : value
  assert.ok(isDeepStrictEqual(plain(actual), plain(expected)), `${name}: ${JSON.stringify([plain(actual), plain(expected)])}`)
}

/** Decodes a request or response by dht-rpc.md §3 to §5. */
function decodePacket (datagram, { host, port }) {
  if (datagram.length < 2 || ![0x03, 0x13].includes(datagram[0])) throw new RangeError('no packet')
  const reader = new Reader(datagram, 1)
  const flags = reader.varuint()
  const tid = reader.uint(2)
  const to = reader.addr4()
  const id = flags & 1 ? reader.take(32) : null
  const token = flags & 2 ? reader.take(32) : null
  const isOwner = id && id.equals(nodeId({ host, port }))
  const out = { tid, from: { id: isOwner ? id.toString('hex') : null, host, port }, to, token: token && token.toString('hex') }
  if (datagram[0] === 0x03) {
    out.internal = Boolean(flags & 4)
    out.command = reader.varuint()
    out.target = flags & 8 ? reader.take(32).toString('hex') : null
  } else {
    out.closerNodes = flags & 4 ? reader.array(() => reader.addr4()) : null
    out.error = flags & 8 ? reader.varuint() : 0
  }
  out.value = flags & 16 ? reader.bytes().toString('hex') : null
  return out
}

function encodeRequest ({ tid, to, token, internal, command, target, value }, id) {
  const parts = [id, fromHex(token), varuint(command), fromHex(target), value === null ? null : bytes(fromHex(value))]
  const flags = (id ? 1 : 0) | (token ? 2 : 0) | (internal ? 4 : 0) | (target ? 8 : 0) | (value !== null ? 16 : 0)
  return Buffer.concat([Buffer.from([3, flags]), u16(tid), addr4(to), ...parts.filter(Boolean)])
}

function checkPrimitives () {
  for (const { value, hex } of vectors.varuint.encode) equal(varuint(Number(value)), hex, 'varuint')
  for (const { hex, value } of vectors.varuint.decode) {
    let got
    try {
      got = String(new Reader(fromHex(hex)).varuint())
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
    equal(got, value, 'varuint ' + hex)
  }
  for (const it of vectors.ipv4Address) equal(addr4(it), it.hex, 'ipv4Address')
  for (const it of vectors.ipv6Address) equal(messages.addr6(it), it.hex, 'ipv6Address')
  for (const it of vectors.nodeId) equal(nodeId(it), it.id, 'nodeId')
  for (const { key, input, digest } of vectors.blake2b256) equal(blake2b(fromHex(input), fromHex(key)), digest, 'blake2b')
  for (const { publicKey, peerTarget } of vectors.keyPairs) equal(hash(fromHex(publicKey)), peerTarget, 'keyPairs')
  for (const { value, target } of vectors.immutable) equal(hash(fromHex(value)), target, 'immutable')
  for (const [name, { byte, namespace }] of Object.entries(vectors.namespaces.values)) {
    equal(namespaceOf(byte), namespace, name)
  }
}

function namespaceOf (byte) {
  return hash(hash(Buffer.from('hyperswarm/dht')), Buffer.from([byte]))
}

function checkPackets () {
  for (const { name, sender, hex, decoded } of vectors.requests) {
    equal(decodePacket(fromHex(hex), sender), decoded, name)
    if (name.includes('id not equal')) continue
    const givesId = sender.persistent && sender.socket === 'server'
    equal(encodeRequest(decoded, givesId ? nodeId(sender) : null), hex, name)
  }
  for (const { name, hex, accepted, decoded } of vectors.oddRequests) {
    if (name.startsWith('source port')) continue
    let got = null
    try {
      got = decodePacket(fromHex(hex), { host: '10.0.0.1', port: 40001 })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
    equal(got, accepted ? decoded : null, name)
  }
  for (const { name, responder, hex, decoded } of vectors.responses) {
    equal(decodePacket(fromHex(hex), responder), decoded, name)
  }
  const { secret0, secret1, tokens, afterTenDrains } = vectors.token
  for (const { host, withSecret0, withSecret1 } of tokens) {
    equal(blake2b(Buffer.from(host), fromHex(secret0)), withSecret0, 'token')
    equal(blake2b(Buffer.from(host), fromHex(secret1)), withSecret1, 'token')
  }
  equal(afterTenDrains.secret0, secret1, 'drains')
  equal(afterTenDrains.secret1, hash(fromHex(secret0)).toString('hex'), 'drains')
}

function checkSigned () {
  for (const { kind, target, nodeId: id, token, peer, refresh, signature, bump, signable, requestValue } of vectors.announceSignatures) {
    const namespace = namespaceOf(kind === 'announce' ? 4 : 5)
    const parts = [target, id, token].map(fromHex)
    const signed = hash(...parts, messages.peer(peer), fromHex(refresh) || Buffer.alloc(0))
    equal(Buffer.concat([namespace, signed]), signable, kind)
    equal(messages.announce({ peer, refresh, signature, bump }), requestValue, kind)
  }
  for (const { seq, value, signature, signable, getResponseValue } of vectors.mutable) {
    const record = Buffer.concat([varuint(seq), bytes(fromHex(value))])
    equal(Buffer.concat([namespaceOf(6), hash(record)]), signable, 'mutable')
    equal(Buffer.concat([record, fromHex(signature)]), getResponseValue, 'mutable')
  }
}

function checkMessages () {
  for (const name of ['handshake', 'holepunch', 'holepunchPayload', 'noisePayload', 'lookupRawReply', 'pluginRequest', 'announce']) {
    for (const { name: title, fields, hex } of vectors.messages[name]) {
      if (fields) equal(messages[name](fields), hex, `${name}: ${title}`)
    }
  }
  for (const { key, nodes, hex } of vectors.hyperdhtAddress) equal(messages.address(key, nodes), hex, 'hyperdhtAddress')
}

function checkTable () {
  const { id, nodes, closest } = vectors.routingTable
  const own = fromHex(id)
  const rows = Array.from({ length: 256 }, () => [])
  for (const node of nodes) {
    const row = prefixLength(fromHex(node.id), own)
    equal(row, node.row, 'row')
    equal(rows[row].length < 20, node.added, 'added')
    if (node.added) rows[row].push(node)
  }
  for (const row of rows) row.sort((a, b) => a.id < b.id ? -1 : 1)
  for (const { target, row, result } of closest) {
    equal(prefixLength(fromHex(target), own), row, 'row of a target')
    const order = [...rows.slice(0, row + 1).reverse(), ...rows.slice(row + 1)].flat()
    equal(order.slice(0, 20).map(({ host, port }) => ({ host, port })), result, 'closest')
  }
}

function checkSampler () {
  for (const { name, steps } of vectors.natSampler) {
    const sampler = new Sampler()
    for (const { sample, host, port } of steps) equal(sampler.add(...sample), { host, port }, name)
  }
}

function checkExchanges () {
  const { node, groups } = vectors.exchanges
  for (const { to, socket, hex, decoded } of groups.flatMap(({ steps }) => steps.flatMap(({ out }) => out))) {
    const datagram = fromHex(hex)
    equal(new Reader(datagram, 4).addr4(), to, 'to')
    if (socket !== 'server') continue
    const type = datagram[0] === 3 ? 'request' : 'response'
    equal({ type, ...decodePacket(datagram, node) }, decoded, hex)
  }
}

for (const check of [checkPrimitives, checkPackets, checkSigned, checkMessages, checkTable, checkSampler, checkExchanges]) check()
console.log(`rpc.json: ${checks} checks hold`)
