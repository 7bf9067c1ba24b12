// echo-server.mjs BOOTSTRAP [SEED [open]]
//
// Sends back what it receives, and ends its side when the peer has ended its own. SEED is 64 hexadecimal
// digits or -; with `open` the node assumes that it is reachable, without a check for a firewall.
// Prints `key HEX` when it is announced, then for each connection `open PEER` and `close PEER BYTES [ERROR]`.

import { DHT, guest, print, untilAsked } from './lib.mjs'

const [bootstrap, seed = '-', open] = process.argv.slice(2)
const keyPair = DHT.keyPair(seed === '-' ? undefined : Buffer.from(seed, 'hex'))
const node = await guest(bootstrap, open ? { firewalled: false } : {})

const server = node.createServer((socket) => {
  const peer = socket.remotePublicKey.toString('hex')
  let bytes = 0
  let failure = ''
  print('open', peer)
  socket.on('data', (data) => {
    bytes += data.byteLength
    if (!socket.write(data)) socket.pause()
  })
  socket.on('drain', () => socket.resume())
  socket.on('end', () => socket.end())
  socket.on('error', (error) => { failure = error.code || error.message })
  socket.on('close', () => print('close', peer, bytes, failure))
})

untilAsked(() => node.destroy())
await server.listen(keyPair)
print('key', keyPair.publicKey.toString('hex'))
