// another-version.mjs BOOTSTRAP LAYER
//
// A server of another version. LAYER names the layer in which it differs:
//   handshake   its Noise payload has version 2
//   refusal     it refuses the version of the client's Noise payload
//   profile     it greets with version 2 of the profile protocol
// Prints `key HEX` when it is announced.

import { createRequire } from 'node:module'
import { DHT, guest, print, untilAsked } from './lib.mjs'

// The very object that hyperdht encodes and decodes with.
const hyperdht = createRequire(createRequire(import.meta.url).resolve('hyperdht'))
const { noisePayload } = hyperdht('./lib/messages.js')
const { encode, decode } = noisePayload

const [bootstrap, layer] = process.argv.slice(2)
if (layer === 'handshake') {
  noisePayload.encode = (state, payload) => {
    const { start } = state
    encode(state, payload)
    state.buffer[start] = 2
  }
} else if (layer === 'refusal') {
  // What is not version 1 comes out of the decoder as a version and nothing else.
  noisePayload.decode = (state) => {
    state.buffer[state.start] = 2
    return decode(state)
  }
} else if (layer !== 'profile') {
  throw new Error(`no layer ${layer}`)
}

const node = await guest(bootstrap)
const server = node.createServer((socket) => {
  socket.on('error', () => {})
  const params = { protocol: 2, record: null, limits: { profileBytes: 8192, lineBytes: 65536 } }
  socket.write(JSON.stringify({ jsonrpc: '2.0', method: 'hello', params }) + '\n')
})
untilAsked(() => node.destroy())
const keyPair = DHT.keyPair()
await server.listen(keyPair)
print('key', keyPair.publicKey.toString('hex'))
