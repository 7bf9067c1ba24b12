// Logs every datagram that the JavaScript side of UDX sends or receives.

import UDXSocket from 'udx-native/lib/socket.js'

import { hex } from '../lib.mjs'

export const lines = []

const start = Date.now()
/** Lines of sent datagrams that have not been received yet, by direction and bytes. */
const onTheWay = new Map()
let count = 0

/** Notes what happens next. */
export function mark (name) {
  lines.push({ kind: 'phase', t: Date.now() - start, name })
}

function log (entry) {
  const line = { kind: 'dgram', n: count++, t: Date.now() - start, ...entry }
  lines.push(line)
  return line
}

for (const method of ['send', 'trySend']) {
  const original = UDXSocket.prototype[method]
  UDXSocket.prototype[method] = function (bytes, port, host, ttl) {
    const src = this.address() && this.address().port
    const line = log({ dir: 'tx', src, dst: port, ttl: ttl || 0, hex: hex(bytes) })
    const key = `${src}>${port}:${line.hex}`
    if (!onTheWay.has(key)) onTheWay.set(key, [])
    onTheWay.get(key).push(line.n)
    return original.call(this, bytes, port, host, ttl)
  }
}

const emit = UDXSocket.prototype.emit
UDXSocket.prototype.emit = function (name, bytes, from) {
  if (name === 'message') {
    const dst = this.address() && this.address().port
    const sent = onTheWay.get(`${from.port}>${dst}:${hex(bytes)}`) || []
    const line = log({ dir: 'rx', src: from.port, dst, tx: sent.length ? sent.shift() : null })
    // Sent by the native part: a stream packet whose stream is gone already.
    if (line.tx === null) line.hex = hex(bytes)
  }
  return emit.apply(this, arguments)
}
