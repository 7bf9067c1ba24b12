// npm-testnet.mjs
//
// Uses the package in packaging/npm, as a test of a JavaScript project does. Prints `echoed` once a connection over its
// network carries bytes, `joined` once another network has joined it, `refused MESSAGE` for a program that is not there, and
// `done` once all is gone.

import createTestnet from 'hyperprofile-testnet'
import { once } from 'node:events'

const print = (...words) => process.stdout.write(words.join(' ') + '\n')
const teardowns = []

const testnet = await createTestnet(4, (teardown) => teardowns.push(teardown))
await echo(testnet)
print('echoed')

const more = await createTestnet(2, { bootstrap: testnet.bootstrap, teardown: (teardown) => teardowns.push(teardown) })
if (more.bootstrap[0].port !== testnet.bootstrap[0].port) throw new Error('another network')
await echo(more)
print('joined')

const empty = await createTestnet(0)
if ([...empty].length || empty.bootstrap.length) throw new Error('not empty')
await empty.destroy()

process.env.DHT_NODE = '/nowhere/dht-node'
await createTestnet().catch((error) => print('refused', error.message))

for (const teardown of teardowns.reverse()) await teardown()
// Nothing is left that keeps this process running.
process.once('exit', () => print('done'))

async function echo (testnet) {
  const server = testnet.createNode().createServer((socket) => socket.pipe(socket))
  await server.listen()
  const socket = testnet.createNode().connect(server.publicKey)
  socket.end('hello')
  const [data] = await once(socket, 'data')
  if (String(data) !== 'hello') throw new Error(`got ${data}`)
  await once(socket, 'close')
}
