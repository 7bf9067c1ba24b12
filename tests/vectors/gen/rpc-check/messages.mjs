// Encoders of the messages by hyperdht-rpc.md §3.

import { addr4, array, bytes, u16, varuint } from './wire.mjs'

const fixed = (hex) => Buffer.from(hex || '', 'hex')
const concat = (...parts) => Buffer.concat(parts.filter(Boolean))
const optional = (value, encode) => value === null || value === undefined ? null : encode(value)
const flags = (...present) => varuint(present.reduce((sum, it, bit) => sum | (it ? 1 << bit : 0), 0))
const isSet = (value) => value !== null && value !== undefined

export function addr6 ({ host, port }) {
  const [front, back] = host.split('::').map((half) => half.split(':').filter(Boolean))
  const zeros = back ? Array(8 - front.length - back.length).fill('0') : []
  const groups = [...front, ...zeros, ...(back || [])]
  return concat(Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex'), u16(port))
}

export function peer ({ publicKey, relayAddresses }) {
  return concat(fixed(publicKey), array(addr4, relayAddresses))
}

export function handshake ({ mode, noise, peerAddress, relayAddress }) {
  const addresses = [optional(peerAddress, addr4), optional(relayAddress, addr4)]
  return concat(flags(peerAddress, relayAddress), varuint(mode), bytes(fixed(noise)), ...addresses)
}

export function holepunch ({ mode, id, payload, peerAddress }) {
  return concat(flags(peerAddress), varuint(mode), varuint(id), bytes(fixed(payload)), optional(peerAddress, addr4))
}

export function holepunchPayload (it) {
  return concat(
    flags(it.connected, it.punching, isSet(it.addresses), it.remoteAddress, it.token, it.remoteToken),
    varuint(it.error), varuint(it.firewall), varuint(it.round),
    optional(it.addresses, (list) => array(addr4, list)), optional(it.remoteAddress, addr4),
    fixed(it.token), fixed(it.remoteToken)
  )
}

export function noisePayload (it) {
  const has4 = it.addresses4 && it.addresses4.length > 0
  const has6 = it.addresses6 && it.addresses6.length > 0
  const relay = ({ relayAddress, peerAddress }) => concat(addr4(relayAddress), addr4(peerAddress))
  return concat(
    varuint(1),
    flags(it.holepunch, has4, has6, it.udx, isSet(it.secretStream), it.relayThrough, isSet(it.relayAddresses)),
    varuint(it.error), varuint(it.firewall),
    optional(it.holepunch, ({ id, relays }) => concat(varuint(id), array(relay, relays))),
    has4 && array(addr4, it.addresses4),
    has6 && array(addr6, it.addresses6),
    optional(it.udx, (udx) => concat(varuint(1), varuint(udx.reusableSocket ? 1 : 0), varuint(udx.id), varuint(udx.seq))),
    optional(it.secretStream, () => varuint(1)),
    optional(it.relayThrough, ({ publicKey, token }) => concat(varuint(1), varuint(0), fixed(publicKey), fixed(token))),
    optional(it.relayAddresses, (list) => array(addr4, list))
  )
}

export function lookupRawReply ({ peers, bump }) {
  return concat(array(peer, peers), varuint(bump))
}

export function pluginRequest ({ plugin, version, command, value }) {
  const head = concat(bytes(Buffer.from(plugin)), varuint(version), varuint(command))
  return concat(head, flags(isSet(value)), optional(value, (it) => bytes(fixed(it))))
}

export function announce ({ peer: record, refresh, signature, bump }) {
  const front = concat(flags(record, refresh, signature, bump), optional(record, peer))
  return concat(front, fixed(refresh), fixed(signature), bump ? varuint(bump) : null)
}

export function address (key, nodes) {
  return concat(fixed(key), flags(isSet(nodes)), optional(nodes, (list) => array(addr4, list)))
}
