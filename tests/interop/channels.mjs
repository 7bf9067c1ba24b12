// channels.mjs serve BOOTSTRAP
// channels.mjs dial BOOTSTRAP KEY
//
// Channels of protomux over a connection. Both sides do the same: they take channels of the protocol `echo`, and
// try those of the peer. tests/channels.rs is the peer of this crate.
//
// Channels of `echo` answer the opening with the handshake `for ` and what came; messages of type 0 come back; of
// type 1 three times, as a batch, of the types 0, 1 and 0; type 2 has the channel closed. Channels of `later` are
// opened some time after the peer has opened them.
//
// `serve` prints `key HEX`. Both print `tried` once all of theirs went well, and `failed REASON` otherwise.

import assert from 'node:assert'
import Protomux from 'protomux'
import c from 'compact-encoding'
import { DHT, guest, print, untilAsked } from './lib.mjs'

const [role, bootstrap, key] = process.argv.slice(2)
const node = await guest(bootstrap)
untilAsked(() => node.destroy())
process.on('unhandledRejection', fail)

if (role === 'serve') {
  const keyPair = DHT.keyPair()
  const server = node.createServer(socket => start(socket))
  await server.listen(keyPair)
  print('key', keyPair.publicKey.toString('hex'))
} else {
  start(node.connect(Buffer.from(key, 'hex')))
}

function fail (error) {
  print('failed', String(error.stack || error).replaceAll('\n', ' | '))
}

function start (socket) {
  let done = false
  socket.on('error', error => { if (!done) fail(error) })
  const mux = Protomux.from(socket)
  mux.pair({ protocol: 'echo' }, id => echo(mux, id))
  mux.pair({ protocol: 'later' }, async id => {
    await new Promise(resolve => setTimeout(resolve, 20))
    mux.createChannel({ protocol: 'later', id, unique: false })?.open()
  })
  // Both open this one without having heard of the other's.
  const both = attempt(mux, { protocol: 'both', id: Buffer.from('id'), aliases: ['beide'] }, 'at once')
  attemptAll(mux, both).then(() => { done = true; print('tried') }, fail)
}

function echo (mux, id) {
  const channel = mux.createChannel({
    protocol: 'echo',
    id,
    unique: false,
    handshake: c.raw,
    messages: [
      { encoding: c.raw, onmessage: content => { channel.messages[0].send(content) } },
      {
        encoding: c.raw,
        onmessage (content) {
          channel.cork()
          for (const type of [0, 1, 0]) channel.messages[type].send(content)
          channel.uncork()
        }
      },
      { encoding: c.raw, onmessage: () => channel.close() }
    ],
    onopen (handshake) { channel.seen = handshake }
  })
  // The handshake of the peer is known only once the own side is open.
  channel.open(Buffer.from('for ' + (id ? id.toString() : '')))
}

/** Opens a channel; its promises are fulfilled by what the peer does. */
function attempt (mux, options, handshake) {
  const received = []
  let wake = () => {}
  const message = type => ({
    encoding: c.raw,
    onmessage (content) { received.push([type, content]); wake() }
  })
  const channel = mux.createChannel({
    unique: false,
    handshake: c.raw,
    messages: [message(0), message(1), message(2)],
    ...options,
    onopen (handshake) { opened.resolve(handshake.toString()) },
    onclose () { opened.resolve(null); closed.resolve(); wake() }
  })
  const opened = Promise.withResolvers ? Promise.withResolvers() : withResolvers()
  const closed = Promise.withResolvers ? Promise.withResolvers() : withResolvers()
  channel.open(Buffer.from(handshake))
  const next = async () => {
    while (received.length === 0) {
      if (channel.closed) throw new Error('closed before a message')
      await new Promise(resolve => { wake = resolve })
    }
    const [type, content] = received.shift()
    return [type, Buffer.from(content)]
  }
  const send = (type, content) => channel.messages[type].send(content)
  return { channel, send, next, opened: opened.promise, closed: closed.promise }
}

function withResolvers () {
  const all = {}
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }))
  return all
}

async function attemptAll (mux, both) {
  assert.strictEqual(await both.opened, 'at once')
  both.send(0, Buffer.from('crossing'))
  assert.deepStrictEqual(await both.next(), [0, Buffer.from('crossing')])

  // Ids of the own: a channel that both open is one channel.
  const ids = [role === 'serve' ? null : role, role + ' one', role + ' two', role + ' two']
  await Promise.all(ids.map(async (id, nth) => {
    const channel = attempt(mux, { protocol: 'echo', id: id && Buffer.from(id) }, 'hello')
    // Before the peer has opened its side.
    const count = 300
    for (let i = 0; i < count; i++) channel.send(0, content(nth, i))
    assert.strictEqual(await channel.opened, 'for ' + (id || ''))
    for (let i = 0; i < count; i++) assert.deepStrictEqual(await channel.next(), [0, content(nth, i)])
    const large = Buffer.alloc(3_000_000, nth)
    channel.send(0, large)
    assert.deepStrictEqual(await channel.next(), [0, large])
    // Batches both ways.
    channel.channel.cork()
    for (const text of ['x', '', 'yz']) channel.send(1, Buffer.from(text))
    channel.channel.uncork()
    for (const text of ['x', '', 'yz']) {
      for (const type of [0, 1, 0]) assert.deepStrictEqual(await channel.next(), [type, Buffer.from(text)])
    }
    if (nth % 2 === 0) {
      channel.send(2, Buffer.alloc(0))
      await channel.closed
    } else {
      channel.channel.close()
    }
  }))

  // Numbers of closed channels serve others.
  for (let i = 0; i < 50; i++) {
    const channel = attempt(mux, { protocol: 'echo', id: Buffer.from(role + i) }, '')
    channel.send(0, Buffer.from([i]))
    assert.deepStrictEqual(await channel.next(), [0, Buffer.from([i])])
    channel.channel.close()
  }
  const refused = attempt(mux, { protocol: 'nobody speaks this' }, 'hello')
  refused.send(0, Buffer.from('dropped'))
  assert.strictEqual(await refused.opened, null)
  await refused.closed
}

function content (nth, i) {
  return Buffer.alloc(i * 7 % 400, nth * 16 + i % 16)
}
