// reuse.mjs BOOTSTRAP server
// reuse.mjs BOOTSTRAP client KEY COUNT
//
// A peer that reuses its sockets and assumes a firewall in front of it. The server prints `key HEX`, then
// `connection HOST:PORT` for each one, and sends back what it receives. The client connects COUNT times, each
// time while the earlier connections are open, and prints for each `echoed HOST:PORT` and the nodes that it
// has asked, HOST:PORT each; then `done`.

import { once } from 'node:events'
import { createRequire } from 'node:module'
import { DHT, guest, print, untilAsked } from './lib.mjs'

const [bootstrap, role, key, count] = process.argv.slice(2)
// Everything on loopback is reachable, which this node must not find out.
const node = await guest(bootstrap, { quickFirewall: false })
untilAsked(() => node.destroy())
await node.fullyBootstrapped()
if (role === 'server') await serve()
else await connect()

async function serve () {
  const server = node.createServer({ reusableSocket: true, shareLocalAddress: false }, (socket) => {
    print('connection', place(socket))
    socket.on('error', (error) => print('error', error.code || error.message))
    socket.pipe(socket)
  })
  const keyPair = DHT.keyPair()
  await server.listen(keyPair)
  print('key', keyPair.publicKey.toString('hex'))
}

async function connect () {
  const asked = watchHandshakes()
  for (let n = 0; n < count; n++) {
    asked.length = 0
    const socket = node.connect(Buffer.from(key, 'hex'), { reusableSocket: true, localConnection: false })
    socket.on('error', (error) => print('error', error.code || error.message))
    socket.write('hello')
    const [data] = await once(socket, 'data')
    if (data.toString() !== 'hello') throw new Error('another answer')
    print('echoed', place(socket), ...asked)
  }
  print('done')
}

function place ({ rawStream }) {
  return `${rawStream.remoteHost}:${rawStream.remotePort}`
}

/** Returns the nodes that the next handshakes are sent to, as they are. */
function watchHandshakes () {
  const Router = createRequire(createRequire(import.meta.url).resolve('hyperdht'))('./lib/router.js')
  const { peerHandshake } = Router.prototype
  const asked = []
  Router.prototype.peerHandshake = function (target, message, to) {
    asked.push(`${to.host}:${to.port}`)
    return peerHandshake.call(this, target, message, to)
  }
  return asked
}
