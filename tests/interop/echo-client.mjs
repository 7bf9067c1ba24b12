// echo-client.mjs BOOTSTRAP KEY MODE N [HOST:PORT,HOST:PORT]
//
// Talks to a server that echoes, through the given nodes if there are any. Modes:
//   bytes N        sends N bytes while reading, ends when all are back, expects the server to end too
//   half-close N   ends right after writing the last byte; all N must still come back, then the end
//   listen N       sends nothing, reads slowly until the server has ended, expects N bytes
//   silent N       has no keep-alive and sends N bytes, once one has come
//   abrupt N       destroys the connection when half of N bytes are back; another one must echo one byte
//   first-byte N   N times: connect, send a byte once open, print the milliseconds until it is back
//   parallel N     N connections at once, each with its own key; each echoes a byte, then all another
//   reconnect N    N times the same key: connect, echo, end
// Prints `opened MS` for the first connection, one line per result, and `done` last; else `failed REASON`
// and exits 1.

import { createCipheriv, createHash } from 'node:crypto'
import { DHT, guest, print, untilAsked } from './lib.mjs'

const [bootstrap, key, mode, count, nodes] = process.argv.slice(2)
const server = Buffer.from(key, 'hex')
const n = Number(count)
const relayAddresses = nodes?.split(',').map((node) => node.split(':')).map(([host, port]) => ({ host, port: Number(port) }))
const modes = { bytes, 'half-close': halfClose, listen, silent, abrupt, 'first-byte': firstByte, parallel, reconnect }

const node = await guest(bootstrap, mode === 'silent' ? { connectionKeepAlive: false } : {})
untilAsked(() => node.destroy())
try {
  await node.fullyBootstrapped()
  await modes[mode]()
  await node.destroy()
  print('done')
  process.exit(0)
} catch (error) {
  print('failed', error.code || '', error.message)
  process.exit(1)
}

async function bytes () {
  const socket = await open()
  await exchange(socket, n, { endEarly: false })
}

async function halfClose () {
  const socket = await open()
  await exchange(socket, n, { endEarly: true })
}

async function listen () {
  const socket = await open()
  let received = 0
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (data) => {
      received += data.byteLength
      socket.pause()
      setImmediate(() => socket.resume())
    })
    socket.on('end', resolve)
  })
  if (received !== n) throw new Error(`${received} of ${n} bytes came`)
  socket.end()
  await closed
  print('read', received)
}

async function silent () {
  const socket = await open()
  await new Promise((resolve, reject) => {
    socket.once('error', reject).once('close', () => reject(new Error('cut off')))
    socket.once('data', resolve)
  })
  socket.removeAllListeners('close')
  print('heard')
  socket.write(Buffer.alloc(n))
  await finish(socket)
}

async function abrupt () {
  const socket = await open()
  const stream = pseudoRandom()
  let back = 0
  const half = new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (data) => {
      back += data.byteLength
      if (back >= n / 2) resolve()
    })
  })
  write(socket, stream, n)
  await half
  socket.removeAllListeners('error').on('error', () => {})
  socket.destroy()
  print('destroyed', back)
  await exchange(await open(), 1, { endEarly: false })
}

async function firstByte () {
  for (let i = 0; i < n; i++) {
    const socket = await open(DHT.keyPair())
    const start = performance.now()
    await echoOne(socket, i)
    print('first-byte', (performance.now() - start).toFixed(2))
    await finish(socket)
  }
}

async function parallel () {
  const sockets = await Promise.all(Array.from({ length: n }, async (_, i) => {
    const socket = await open(DHT.keyPair())
    await echoOne(socket, i)
    return socket
  }))
  print('alive', sockets.length)
  await Promise.all(sockets.map((socket, i) => echoOne(socket, i + 1)))
  print('still-alive', sockets.length)
  await Promise.all(sockets.map(finish))
}

async function reconnect () {
  const keyPair = DHT.keyPair()
  for (let i = 0; i < n; i++) {
    const socket = await open(keyPair)
    await echoOne(socket, i)
    await finish(socket)
    print('round', i + 1)
  }
}

/** Connects and waits until the stream is open. */
function open (keyPair) {
  const start = performance.now()
  const socket = node.connect(server, { ...(keyPair && { keyPair }), relayAddresses })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed before it opened')))
    socket.once('open', () => {
      socket.removeAllListeners('error').removeAllListeners('close')
      if (!open.printed) print('opened', (performance.now() - start).toFixed(2))
      open.printed = true
      resolve(socket)
    })
  })
}

/** Sends pseudo-random bytes and compares the hash of what comes back; then both sides end. */
async function exchange (socket, length, { endEarly }) {
  const sent = createHash('sha256')
  const received = createHash('sha256')
  let back = 0
  const ended = new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (data) => {
      received.update(data)
      back += data.byteLength
      if (back === length && !endEarly) socket.end()
    })
    socket.on('end', resolve)
  })
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await Promise.race([ended, write(socket, pseudoRandom(), length, sent)])
  if (endEarly) socket.end()
  await ended
  await closed
  if (back !== length) throw new Error(`${back} of ${length} bytes came back`)
  const hash = sent.digest('hex')
  if (received.digest('hex') !== hash) throw new Error('other bytes came back')
  print('echoed', length, hash)
}

async function write (socket, stream, length, hash) {
  for (let left = length; left > 0;) {
    const chunk = stream(Math.min(left, 65536))
    hash?.update(chunk)
    left -= chunk.byteLength
    if (!socket.write(chunk)) {
      await new Promise((resolve) => {
        const go = () => resolve(socket.off('drain', go).off('close', go))
        socket.on('drain', go).on('close', go)
      })
    }
    if (socket.destroyed) return
  }
}

function echoOne (socket, value) {
  return new Promise((resolve, reject) => {
    const failed = (error) => reject(error || new Error('closed before the echo'))
    socket.once('error', failed).once('close', failed)
    socket.once('data', (data) => {
      socket.off('error', failed).off('close', failed)
      if (data.byteLength === 1 && data[0] === (value & 255)) resolve()
      else reject(new Error('another byte came back'))
    })
    socket.write(Buffer.from([value]))
  })
}

/** Ends our side and waits until the connection is closed. */
function finish (socket) {
  return new Promise((resolve, reject) => {
    socket.once('error', reject).once('close', resolve)
    socket.resume().end()
  })
}

/** Returns a source of bytes that are the same in each run. */
function pseudoRandom () {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16))
  return (length) => cipher.update(Buffer.alloc(length))
}
