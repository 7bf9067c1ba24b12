// requests.mjs NODE
//
// A node of bare dht-rpc with a command of its own, 300, that answers with the value and `!`, and refuses any
// other with error 99. Prints `address HOST:PORT`. Sends command 300 with the value `hello` to NODE, and again
// with the token of the answer, prints `answer ERROR VALUE` for each, and stays.

import RPC from 'dht-rpc'
import { freePort, print, untilAsked } from './lib.mjs'

const [target] = process.argv.slice(2)
const [host, port] = target.split(':')
const node = new RPC({
  bootstrap: [],
  host: '127.0.0.1',
  port: await freePort(),
  ephemeral: false,
  firewalled: false
})
node.on('request', request => {
  if (request.command === 300) request.reply(Buffer.concat([request.value, Buffer.from('!')]))
  else request.error(99)
})
untilAsked(() => node.destroy())
await node.fullyBootstrapped()
print('address', `127.0.0.1:${node.address().port}`)
let token = null
for (let i = 0; i < 2; i++) {
  const request = { token, command: 300, value: Buffer.from('hello') }
  const answer = await node.request(request, { host, port: Number(port) })
  print('answer', answer.error, answer.value?.toString())
  token = answer.token
}
