// connect-errors.json: what a caller of connect sees, and after how long, when things go wrong. On loopback.

import BlindRelay from 'blind-relay'
import DHT from 'hyperdht'
import NoiseWrap from 'hyperdht/lib/noise-wrap.js'
import createTestnet from 'hyperdht/testnet.js'

import { main, seed, sleep, versions, writeJSON } from './lib.mjs'

const ignore = () => {}
let servers = 100

/** Dials a server once and returns what both sides have seen. */
async function attempt (nodes, { name, server: serverOptions = null, connect = {} }) {
  const keyPair = DHT.keyPair(seed(++servers))
  const serverSaw = []
  let server = null
  if (serverOptions) {
    server = nodes.server.createServer({ shareLocalAddress: false, ...serverOptions }, (stream) => {
      serverSaw.push('connection')
      stream.on('error', ignore)
      stream.on('end', () => stream.end())
    })
    await server.listen(keyPair)
  }
  const start = Date.now()
  const options = { localConnection: false, keyPair: DHT.keyPair(seed(7)), ...connect }
  const stream = nodes.client.connect(keyPair.publicKey, options)
  const outcome = await new Promise((resolve) => {
    stream.on('error', (error) => resolve({ code: error.code || null, message: error.message }))
    stream.on('open', () => resolve({ code: null, message: 'opened' }))
    setTimeout(resolve, 60000, { message: 'nothing after 60 s' }).unref()
  })
  const ms = Date.now() - start
  stream.on('error', ignore)
  stream.destroy()
  await sleep(50)
  if (server) await server.close()
  return { name, ...outcome, afterMs: Math.round(ms / 100) * 100, serverSaw }
}

/** Returns the option that lets `change` replace how a side writes its payload. */
function payload (change) {
  return {
    createHandshake (keyPair, remotePublicKey) {
      const handshake = new NoiseWrap(keyPair, remotePublicKey)
      const send = handshake.send.bind(handshake)
      handshake.send = (payload) => change(handshake, send, payload)
      return handshake
    }
  }
}

const ofVersion2 = payload((handshake) => handshake.handshake.send(Buffer.from([2, 9, 9, 9])))
const withoutUdx = payload((handshake, send, payload) => send({ ...payload, udx: null }))
const undecodable = payload((handshake) => {
  handshake.final = () => ({ holepunchSecret: seed(1) })
  return Buffer.alloc(80, 1)
})
const NO_PUNCH = { holepunch: () => false }
const SLOW = { fastOpen: false }

const CASES = [
  { name: 'key nobody announces' },
  { name: 'normal punch', server: {} },
  { name: 'server firewall hook refuses (no answer is ever sent)', server: { firewall: () => true } },
  { name: 'server firewall hook throws', server: { firewall () { throw new Error('x') } } },
  { name: 'server constructed with holepunch false, client firewalled', server: { holepunch: false } },
  { name: 'server holepunch hook refuses', server: NO_PUNCH, connect: SLOW },
  { name: 'server holepunch hook refuses but fast open is on', server: NO_PUNCH },
  { name: 'client holepunch hook refuses', server: {}, connect: { ...SLOW, ...NO_PUNCH } },
  { name: 'client sends a payload of version 2', server: {}, connect: ofVersion2 },
  { name: 'client sends no udx info', server: {}, connect: withoutUdx },
  { name: 'server answers with version 2', server: ofVersion2 },
  { name: 'server answers without udx info', server: withoutUdx },
  { name: 'server answers with undecodable bytes', server: undecodable }
]

/** Starts a node with a server that may be a blind relay; returns the server's key. */
async function startRelay (options, byte, isRelay) {
  const node = new DHT(options)
  await node.fullyBootstrapped()
  const relay = new BlindRelay.Server({ createStream: (o) => node.createRawStream({ ...o, framed: true }) })
  const server = node.createServer({ shareLocalAddress: false }, (stream) => {
    stream.on('error', ignore)
    if (isRelay) relay.accept(stream, { id: stream.remotePublicKey }).on('error', ignore)
  })
  await server.listen(DHT.keyPair(seed(byte)))
  return server.publicKey
}

async function relayCases (options) {
  const nowhere = DHT.keyPair(seed(99)).publicKey
  const mute = await startRelay(options, 98, false)
  const works = await startRelay(options, 97, true)
  const through = (relayThrough) => ({ server: NO_PUNCH, connect: { ...SLOW, relayThrough } })
  return [
    { name: 'relayThrough a key nobody announces, server refuses to punch', ...through(nowhere) },
    { name: 'relayThrough a node that never answers, server refuses to punch', ...through(mute) },
    { name: 'relayThrough a working relay, server refuses to punch', ...through(works) },
    {
      name: 'server side relayThrough a working relay, client refuses to punch',
      server: { relayThrough: works },
      connect: { ...SLOW, ...NO_PUNCH }
    }
  ]
}

main(async () => {
  const testnet = await createTestnet(6)
  const options = { bootstrap: testnet.bootstrap, host: '127.0.0.1', quickFirewall: false, ephemeral: true }
  const nodes = { server: new DHT(options), client: new DHT(options) }
  await nodes.server.fullyBootstrapped()
  await nodes.client.fullyBootstrapped()
  const results = []
  for (const it of CASES) results.push(await attempt(nodes, it))
  for (const it of await relayCases(options)) results.push(await attempt(nodes, it))
  await nodes.client.suspend()
  results.push(await attempt(nodes, { name: 'connect on a suspended node' }))
  writeJSON('connect-errors.json', {
    about: 'Outcome of connect on a loopback testnet of 6 nodes; both peers firewalled, no LAN shortcut. afterMs is rounded to 100 ms.',
    versions: versions(),
    results
  })
})
