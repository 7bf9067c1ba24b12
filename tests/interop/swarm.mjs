// swarm.mjs BOOTSTRAP TOPIC [--server] [--client] [--seed HEX] [--peer KEY] [--say TEXT]
//
// A swarm of npm hyperswarm that joins a topic (hexadecimal) as a server, a client or both, and dials a peer by
// its key. Says TEXT on each connection, and answers each message `echo` with `echoed`. Prints
//
//   key HEX            its own key, once it has joined and is announced
//   connected HEX ROLE a connection is open; ROLE is `client` if this side has dialled
//   said HEX TEXT      a message
//   closed HEX         a connection has ended
//
// Each line on standard input is said on all connections, but `leave`, which leaves the topic, and `reset`, which
// destroys all connections. Ends when standard input does.

import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import Hyperswarm from 'hyperswarm'
import { guest, print, untilAsked } from './lib.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: 'boolean', default: false },
    client: { type: 'boolean', default: false },
    seed: { type: 'string' },
    peer: { type: 'string' },
    say: { type: 'string' }
  }
})
const [bootstrap, topicHex] = positionals
const topic = Buffer.from(topicHex, 'hex')
const seed = values.seed && Buffer.from(values.seed, 'hex')
const swarm = new Hyperswarm({ dht: await guest(bootstrap), seed })
untilAsked(() => swarm.destroy())

swarm.on('connection', (connection, info) => {
  const key = connection.remotePublicKey.toString('hex')
  print('connected', key, info.client ? 'client' : 'server')
  connection.on('error', () => {})
  connection.on('close', () => print('closed', key))
  connection.on('data', data => {
    print('said', key, data)
    if (data.toString() === 'echo') connection.write('echoed')
  })
  if (values.say) connection.write(values.say)
})

createInterface({ input: process.stdin }).on('line', async line => {
  if (line === 'leave') {
    await swarm.leave(topic)
    print('left')
  } else if (line === 'reset') {
    for (const connection of swarm.connections) connection.destroy()
  } else {
    for (const connection of swarm.connections) connection.write(line)
  }
})

if (values.server || values.client) {
  await swarm.join(topic, { server: values.server, client: values.client }).flushed()
} else {
  await swarm.listen()
}
if (values.peer) swarm.joinPeer(Buffer.from(values.peer, 'hex'))
print('key', swarm.keyPair.publicKey.toString('hex'))
