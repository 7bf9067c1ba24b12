// rebinding.mjs BOOTSTRAP server AT PAUSE
// rebinding.mjs BOOTSTRAP client KEY AT BYTES
//
// A peer that sends from another port once AT bytes have come, the server PAUSE ms later, as if its router had
// forgotten the one before. The server sends back what it receives, the client checks what comes back. Prints `key HEX` (server), `port
// PORT` when it has changed, and at the end `echoed BYTES` (client) or `close BYTES` (server).

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { DHT, guest, print, untilAsked } from './lib.mjs'

const [bootstrap, role, ...rest] = process.argv.slice(2)
const node = await guest(bootstrap)
untilAsked(() => node.destroy())
await node.fullyBootstrapped()
if (role === 'server') await serve(...rest)
else await connect(...rest)

async function serve (at, pause) {
  const server = node.createServer({ shareLocalAddress: false }, (socket) => {
    let bytes = 0
    socket.on('data', (data) => {
      bytes += data.byteLength
      if (bytes >= at) setTimeout(rebind, pause, socket)
      if (!socket.write(data)) socket.pause()
    })
    socket.on('drain', () => socket.resume())
    socket.on('end', () => socket.end())
    socket.on('error', (error) => print('error', error.code || error.message))
    socket.on('close', () => print('close', bytes))
  })
  const keyPair = DHT.keyPair()
  await server.listen(keyPair)
  print('key', keyPair.publicKey.toString('hex'))
}

async function connect (key, at, count) {
  const socket = node.connect(Buffer.from(key, 'hex'), { localConnection: false })
  socket.on('error', (error) => print('error', error.code || error.message))
  await once(socket, 'open')
  const content = randomBytes(Number(count))
  const received = createHash('sha256')
  let back = 0
  socket.on('data', (data) => {
    received.update(data)
    back += data.byteLength
    if (back >= at) rebind(socket)
  })
  for (let from = 0; from < content.byteLength; from += 65536) {
    if (!socket.write(content.subarray(from, from + 65536))) await once(socket, 'drain')
  }
  while (back < count) await once(socket, 'data')
  const same = createHash('sha256').update(content).digest('hex') === received.digest('hex')
  print(same ? 'echoed' : 'changed', back)
  socket.end()
}

/** Makes what follows leave from another port, once. */
function rebind (socket) {
  if (socket.rebound) return
  socket.rebound = true
  const stream = socket.rawStream
  const other = node.udx.createSocket()
  other.bind(0, '127.0.0.1')
  stream.changeRemote(other, stream.remoteId, stream.remotePort, stream.remoteHost)
  print('port', other.address().port)
}
