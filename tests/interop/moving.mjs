// moving.mjs BOOTSTRAP server RELAY
// moving.mjs BOOTSTRAP client KEY RELAY BYTES
//
// A peer whose connection begins at the relay, because it holds its probes back, and migrates to a direct
// path: the probes leave once half of the bytes have arrived. The server sends back what it receives. Prints
// `key HEX` (server) and at the end `echoed BYTES` (client) or `close BYTES` (server), then `moved` if the
// address of the peer has changed, and `left` if the connection to the relay is closed.

import { createRequire } from 'node:module'
import { createCipheriv, createHash } from 'node:crypto'
import { DHT, guest, print, untilAsked } from './lib.mjs'

const [bootstrap, role, ...rest] = process.argv.slice(2)
const outcome = new Set()
let release
const released = new Promise((resolve) => { release = resolve })
holdProbes()

// Everything on loopback is reachable, which this node must not find out.
const node = await guest(bootstrap, { quickFirewall: false })
untilAsked(() => node.destroy())
watchRelay()
await node.fullyBootstrapped()
if (role === 'server') await serve(...rest)
else await connect(...rest)

async function serve (relay) {
  const options = { relayThrough: Buffer.from(relay, 'hex'), shareLocalAddress: false }
  const server = node.createServer(options, (socket) => {
    let bytes = 0
    socket.on('data', (data) => {
      bytes += data.byteLength
      if (bytes > 1_000_000) release()
      if (!socket.write(data)) socket.pause()
    })
    socket.on('drain', () => socket.resume())
    socket.on('end', () => socket.end())
    socket.on('error', (error) => print('error', error.code || error.message))
    socket.on('close', () => print('close', bytes, ...outcome))
    watch(socket)
  })
  const keyPair = DHT.keyPair()
  await server.listen(keyPair)
  print('key', keyPair.publicKey.toString('hex'))
}

async function connect (key, relay, count) {
  const socket = node.connect(Buffer.from(key, 'hex'), {
    relayThrough: Buffer.from(relay, 'hex'),
    localConnection: false
  })
  socket.on('error', (error) => print('error', error.code || error.message))
  await new Promise((resolve) => socket.once('open', resolve))
  watch(socket)
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16))
  const sent = createHash('sha256')
  const received = createHash('sha256')
  let back = 0
  socket.on('data', (data) => {
    received.update(data)
    back += data.byteLength
    if (back > count / 2) release()
  })
  for (let left = Number(count); left > 0;) {
    const chunk = cipher.update(Buffer.alloc(Math.min(left, 65536)))
    sent.update(chunk)
    left -= chunk.byteLength
    if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve))
  }
  while (back < count) await new Promise((resolve) => socket.once('data', resolve))
  const deadline = Date.now() + 30_000
  while (outcome.size < 2 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
  const same = sent.digest('hex') === received.digest('hex')
  print(same ? 'echoed' : 'changed', back, ...outcome)
  socket.end()
}

/** Notes when packets go elsewhere than at the beginning. */
function watch (socket) {
  socket.rawStream.once('remote-changed', () => outcome.add('moved'))
}

/** Notes when the node's own connection to the relay is over. */
function watchRelay () {
  const connect = node.connect.bind(node)
  node.connect = (key, options) => {
    const socket = connect(key, options)
    if (!options) socket.on('close', () => outcome.add('left'))
    return socket
  }
}

function holdProbes () {
  const hyperdht = createRequire(createRequire(import.meta.url).resolve('hyperdht'))
  const Holepuncher = hyperdht('./lib/holepuncher.js')
  const own = Holepuncher.prototype
  const { ping, openSession, _consistentProbe, _onholepunchmessage } = own
  let open = false
  released.then(() => { open = true })
  own.ping = function (...words) { return open ? ping.apply(this, words) : Promise.resolve() }
  own.openSession = function (...words) { return open ? openSession.apply(this, words) : Promise.resolve() }
  own._onholepunchmessage = function (...words) { if (open) _onholepunchmessage.apply(this, words) }
  own._consistentProbe = async function () { await released; return _consistentProbe.call(this) }
}
