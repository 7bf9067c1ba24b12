// punch.mjs BOOTSTRAP
//
// Two ephemeral nodes that assume firewalls in front of them, one of them a server: they meet through the
// nodes of the network and punch.
// Prints `punches N`, the ones that the client counted, once a line came back.

import { guest, print } from './lib.mjs'

const [bootstrap] = process.argv.slice(2)
// Without the quick check they do not find out that nothing keeps others out on loopback.
const far = await guest(bootstrap, { quickFirewall: false })
const near = await guest(bootstrap, { quickFirewall: false })

const server = far.createServer((socket) => {
  socket.on('error', () => {})
  socket.pipe(socket)
})
await server.listen()

try {
  // Not over the network that they share, and not before both sides have said what they know of their NATs.
  const socket = near.connect(server.publicKey, { localConnection: false, fastOpen: false })
  socket.write('hello')
  for await (const data of socket) {
    if (data.toString() !== 'hello') throw new Error('another answer')
    break
  }
  const { consistent, random, open } = near.stats.punches
  if (open > 0) throw new Error('no need to punch')
  print('punches', consistent + random)
} catch (error) {
  print('failed', error.stack)
}
await near.destroy({ force: true })
await far.destroy({ force: true })
process.exit(0)
