// Hooks into the reference that only watch: plaintexts of handshakes and holepunches, sockets, streams, keys.

import SecretStream from '@hyperswarm/secret-stream'
import c from 'compact-encoding'
import NoiseWrap from 'hyperdht/lib/noise-wrap.js'
import m from 'hyperdht/lib/messages.js'
import SecurePayload from 'hyperdht/lib/secure-payload.js'
import UDX from 'udx-native'
import UDXSocket from 'udx-native/lib/socket.js'

import { hex, view } from '../lib.mjs'

/** What has been seen so far; bytes are keys in hexadecimal. */
export const seen = { noise: new Map(), boxes: new Map(), sockets: [], streams: [], sessions: [] }

/** While true, probes of one byte are dropped before they are sent. */
export const probes = { held: false }

const decoded = (encoding, value) => view(c.decode(encoding, c.encode(encoding, value)))

/** Replaces a method by one that calls `after` with what the method was called with and has returned. */
function watch (prototype, name, after) {
  const original = prototype[name]
  prototype[name] = function (...args) {
    const result = original.apply(this, args)
    after.call(this, result, ...args)
    return result
  }
}

watch(NoiseWrap.prototype, 'send', function (message, payload) {
  const side = this.isInitiator ? 'initiator' : 'responder'
  seen.noise.set(hex(message), { side, payload: decoded(m.noisePayload, payload) })
})

watch(SecurePayload.prototype, 'encrypt', (box, payload) => {
  seen.boxes.set(hex(box), decoded(m.holepunchPayload, payload))
})

watch(UDX.prototype, 'createSocket', function (socket) {
  const entry = { udx: this, port: 0 }
  seen.sockets.push(entry)
  socket.on('listening', () => { entry.port = socket.address().port })
})

watch(UDX.prototype, 'createStream', function (stream, id) {
  seen.streams.push({ udx: this, id })
})

watch(SecretStream.prototype, '_setupSecretStream', function (_, tx, rx, hash, publicKey, remotePublicKey) {
  seen.sessions.push({
    publicKey: hex(publicKey),
    remotePublicKey: hex(remotePublicKey),
    localStreamId: this._rawStream.id,
    remoteStreamId: this._rawStream.remoteId,
    isInitiator: this.isInitiator,
    tx: hex(tx),
    rx: hex(rx),
    handshakeHash: hex(hash)
  })
})

const send = UDXSocket.prototype.send
UDXSocket.prototype.send = function (bytes, ...rest) {
  return probes.held && bytes.byteLength === 1 ? Promise.resolve(true) : send.call(this, bytes, ...rest)
}
