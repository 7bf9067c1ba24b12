// dht-peer.mjs BOOTSTRAP COMMAND…
//
// An ephemeral node that makes one query, prints the outcome and ends. Keys and targets are hexadecimal, key
// pairs are given by their seed.
//
//   immutable-put TEXT                prints `hash HEX`
//   immutable-get HASH                prints `value TEXT` or `nothing`
//   mutable-put SEED SEQ TEXT         prints `key HEX`
//   mutable-get KEY                   prints `value SEQ TEXT` or `nothing`
//   announce TOPIC SEED               prints `key HEX`
//   unannounce TOPIC SEED             prints `key HEX`
//   lookup TOPIC                      prints `peer HEX` for each
//   echo KEY                          connects to an echo server, prints `echoed` once a line came back
//   say KEY TEXT                      connects, sends TEXT and ends, prints `heard TEXT` with all that came

import { guest, print, DHT } from './lib.mjs'

const [bootstrap, command, ...words] = process.argv.slice(2)
const bytes = hex => Buffer.from(hex, 'hex')
const dht = await guest(bootstrap)

const commands = {
  async 'immutable-put' (text) {
    const { hash } = await dht.immutablePut(Buffer.from(text))
    print('hash', hash.toString('hex'))
  },
  async 'immutable-get' (hash) {
    const found = await dht.immutableGet(bytes(hash))
    if (found) print('value', found.value.toString())
    else print('nothing')
  },
  async 'mutable-put' (seed, seq, text) {
    const keyPair = DHT.keyPair(bytes(seed))
    await dht.mutablePut(keyPair, Buffer.from(text), { seq: Number(seq) })
    print('key', keyPair.publicKey.toString('hex'))
  },
  async 'mutable-get' (key) {
    const found = await dht.mutableGet(bytes(key), { latest: true })
    if (found) print('value', found.seq, found.value.toString())
    else print('nothing')
  },
  async announce (topic, seed) {
    const keyPair = DHT.keyPair(bytes(seed))
    await dht.announce(bytes(topic), keyPair).finished()
    print('key', keyPair.publicKey.toString('hex'))
  },
  async unannounce (topic, seed) {
    const keyPair = DHT.keyPair(bytes(seed))
    await dht.unannounce(bytes(topic), keyPair)
    print('key', keyPair.publicKey.toString('hex'))
  },
  async lookup (topic) {
    const peers = new Set()
    for await (const answer of dht.lookup(bytes(topic))) {
      for (const peer of answer.peers) peers.add(peer.publicKey.toString('hex'))
    }
    for (const peer of peers) print('peer', peer)
  },
  async echo (key) {
    const stream = dht.connect(bytes(key))
    stream.write('hello')
    for await (const data of stream) {
      if (data.toString() === 'hello') print('echoed')
      break
    }
  },
  async say (key, text) {
    const stream = dht.connect(bytes(key))
    stream.end(text)
    let heard = ''
    for await (const data of stream) heard += data
    print('heard', heard)
  }
}

try {
  await commands[command](...words)
} catch (error) {
  print('failed', error.stack)
}
await dht.destroy({ force: true })
process.exit(0)
