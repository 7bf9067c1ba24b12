// What the scripts here share: which hyperdht to load, one printed line per event, and an orderly end.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fstatSync } from 'node:fs'

/** The reference implementation; the environment variable HYPERDHT names another installed version. */
export const DHT = (await import(process.env.HYPERDHT || 'hyperdht')).default

/** Starts a node that is a guest of the network behind `bootstrap` (HOST:PORT), or of the public one without it. */
export async function guest (bootstrap, options = {}) {
  if (!bootstrap) return new DHT(options)
  if (!bootstrap.startsWith('127.')) return new DHT({ bootstrap: [bootstrap], ...options })
  return new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', port: await freePort(), ephemeral: true, ...options })
}

/** Finds a free port, because a node without one takes the well-known one that a person's own network may want. */
export async function freePort () {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

/** Prints one event: a word, then its values. */
export function say (...words) {
  process.stdout.write(words.join(' ') + '\n')
}

/** Runs `close` and exits when whoever started us closes our standard input or asks us to end. */
export function untilTold (close) {
  let ending = false
  const end = async () => {
    if (ending) return
    ending = true
    // A peer that is gone must not keep us here.
    setTimeout(() => process.exit(0), 5000).unref()
    await close()
    process.exit(0)
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  // A terminal or /dev/null is nobody's way of telling us anything.
  if (fstatSync(0).isFIFO() || fstatSync(0).isSocket()) {
    process.stdin.on('end', end).on('error', end).resume()
  }
}
