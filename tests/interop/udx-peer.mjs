// udx-peer.mjs LOCAL_ID REMOTE_ID BYTES
//
// One end of a bare UDX stream of the reference, without DHT and encryption. Prints `port PORT`, reads the
// other end's port from its first line of input, sends BYTES bytes of a pattern and ends; prints `received
// COUNT HASH` (BLAKE2b-512) once the other end has ended.

import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { print } from './lib.mjs'

const require = createRequire(import.meta.url)
const UDX = require(require.resolve('udx-native', { paths: [require.resolve('hyperdht')] }))

const [localId, remoteId, bytes] = process.argv.slice(2).map(Number)
const udx = new UDX()
const socket = udx.createSocket()
socket.bind(0, '127.0.0.1')
print('port', socket.address().port)

const [line] = await once(createInterface(process.stdin), 'line')
// What arrives before connect is refused, so connect comes first.
const stream = udx.createStream(localId)
stream.connect(socket, remoteId, Number(line), '127.0.0.1')
stream.on('error', (error) => {
  print('failed', error.code ?? error.message)
  process.exit(1)
})

const hash = createHash('blake2b512')
let received = 0
stream.on('data', (data) => {
  received += data.byteLength
  hash.update(data)
})
stream.on('end', () => print('received', received, hash.digest('hex')))
stream.on('close', async () => {
  await socket.close()
  process.exit(0)
})

for (let left = bytes, state = 1; left > 0;) {
  const part = Buffer.alloc(Math.min(left, 65536))
  for (let i = 0; i < part.length; i++) {
    // A linear congruential generator whose top byte is the pattern: no two parts of it are alike.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    part[i] = state >>> 24
  }
  left -= part.length
  if (!stream.write(part)) await once(stream, 'drain')
}
stream.end()
