// calls.mjs serve BOOTSTRAP [SECRET]
// calls.mjs dial BOOTSTRAP KEY [SECRET]
//
// Calls of @hyperswarm/rpc. `serve` responds to the methods below and prints `key HEX`; SECRET is a capability, 64
// hexadecimal digits. `dial` calls the same methods of a server, and prints `tried` once all of them did what they
// should, or with a SECRET that is not the server's `refused MESSAGE`. Otherwise `failed REASON`.
//
// echo: the value; raw: the value, without a length in front; nothing: null; fail: an error with code and context;
// add and sum: an event that adds the value, and the sum; wait: a value after `go`; back: what the method `shout` of
// the caller makes of the value; never: nothing. tests/channels/rpc.rs is the peer of this crate.

import assert from 'node:assert'
import RPC from '@hyperswarm/rpc'
import c from 'compact-encoding'
import { guest, print, untilAsked } from './lib.mjs'

const [role, bootstrap, ...rest] = process.argv.slice(2)
const key = role === 'dial' ? Buffer.from(rest.shift(), 'hex') : null
const capability = rest[0] ? Buffer.from(rest[0], 'hex') : null
const dht = await guest(bootstrap)
const rpc = new RPC({ dht })
untilAsked(async () => { await rpc.destroy({ force: true }); await dht.destroy() })
process.on('unhandledRejection', fail)

if (role === 'serve') await serve()
else if (capability) await dialWithSecret()
else tryAll().then(() => print('tried'), fail)

function fail (error) {
  print('failed', String(error.stack || error).replaceAll('\n', ' | '))
}

async function serve () {
  const server = rpc.createServer({ capability })
  let sum = 0
  let go
  const gone = new Promise(resolve => { go = resolve })
  server.respond('echo', value => value)
  server.respond('raw', { valueEncoding: c.raw }, value => value)
  server.respond('nothing', () => null)
  server.respond('fail', () => {
    throw Object.assign(new Error('it fails'), { code: 'E_FAIL', context: 'in a test' })
  })
  server.respond('add', { valueEncoding: c.string }, value => { sum += Number(value); return '' })
  server.respond('sum', { valueEncoding: c.string }, () => String(sum))
  server.respond('wait', async value => { await gone; return value })
  server.respond('go', () => { go(); return null })
  server.respond('back', (value, rpc) => rpc.request('shout', value))
  server.respond('never', () => new Promise(() => {}))
  await server.listen()
  print('key', server.publicKey.toString('hex'))
}

async function dialWithSecret () {
  const client = rpc.connect(key, { capability })
  client.on('close', () => print('refused'))
  client.request('echo', Buffer.from('hello')).then(value => print('tried', value.toString()), () => {})
}

async function tryAll () {
  const call = (method, value, options) => rpc.request(key, method, Buffer.from(value), options)
  const parallel = Array.from({ length: 1000 }, async (_, i) => {
    assert.strictEqual((await call('echo', 'value ' + i)).toString(), 'value ' + i)
  })
  await Promise.all(parallel)
  const large = Buffer.alloc(2_000_000, 7)
  assert.deepStrictEqual(Buffer.from(await call('echo', large)), large)
  assert.strictEqual(await call('nothing', 'x'), null)

  const unknown = await call('no such method', 'x').catch(error => error)
  assert.strictEqual(unknown.code, 'UNKNOWN_METHOD')
  assert.match(unknown.message, /no such method/)
  const failed = await call('fail', 'x').catch(error => error)
  assert.strictEqual(failed.code, 'REQUEST_ERROR')
  const { message, code, context } = failed.cause
  assert.deepStrictEqual([message, code, context], ['it fails', 'E_FAIL', 'in a test'])
  const late = await call('never', 'x', { timeout: 100 }).catch(error => error)
  assert.strictEqual(late.code, 'TIMEOUT_EXCEEDED')

  for (const value of ['1', '20', '300']) rpc.event(key, 'add', value, { valueEncoding: c.string })
  assert.strictEqual(await rpc.request(key, 'sum', '', { valueEncoding: c.string }), '321')
  // The first cannot be answered before the second has been served.
  const waits = call('wait', 'patient')
  await call('go', '')
  assert.strictEqual((await waits).toString(), 'patient')

  // A channel of its own, on which the server calls back.
  const client = rpc.connect(key)
  client.rpc.respond('shout', value => Buffer.from(value.toString().toUpperCase()))
  assert.strictEqual((await client.request('back', Buffer.from('hello'))).toString(), 'HELLO')
  await client.end()
}
