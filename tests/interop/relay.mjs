// relay.mjs BOOTSTRAP
//
// A blind relay. Prints `key HEX` when it is announced, then `paired` for each side of a pair.

import { createRequire } from 'node:module'
import { DHT, guest, print, untilAsked } from './lib.mjs'

// It comes with hyperdht, which does not export it.
const { Server } = createRequire(createRequire(import.meta.url).resolve('hyperdht'))('blind-relay')

const [bootstrap] = process.argv.slice(2)
const keyPair = DHT.keyPair()
// A relay is publicly reachable: clients behind any NAT come to it.
const node = await guest(bootstrap, { firewalled: false })
await node.fullyBootstrapped()
const relay = new Server({ createStream: (options) => node.createRawStream({ ...options, framed: true }) })

const server = node.createServer({ shareLocalAddress: false }, (socket) => {
  socket.on('error', () => {})
  const session = relay.accept(socket, { id: socket.remotePublicKey })
  session.on('error', () => {}).on('pair', () => print('paired'))
})
untilAsked(() => node.destroy())
await server.listen(keyPair)
print('key', keyPair.publicKey.toString('hex'))
