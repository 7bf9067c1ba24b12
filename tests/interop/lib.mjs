// Shared by the scripts here: which hyperdht to load, one printed line per event, and an orderly end.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fstatSync } from 'node:fs'

/** The reference implementation; the environment variable HYPERDHT names another installed version. */
export const DHT = (await import(process.env.HYPERDHT || 'hyperdht')).default

/** Starts an ephemeral node in the network behind `bootstrap` (HOST:PORT), or without it in the public one. */
export async function guest (bootstrap, options = {}) {
  if (!bootstrap) return new DHT(options)
  if (!bootstrap.startsWith('127.')) return new DHT({ bootstrap: [bootstrap], ...options })
  const port = await freePort()
  return new DHT({ bootstrap: [bootstrap], host: '127.0.0.1', port, ephemeral: true, ...options })
}

/** Finds a free port: a node without one takes the well-known port, which another network may want. */
export async function freePort () {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

/** Prints one event: a word, then its values. */
export function print (...words) {
  process.stdout.write(words.join(' ') + '\n')
}

/** Runs `close` and exits when standard input is closed or a signal asks the process to end. */
export function untilAsked (close) {
  let ending = false
  const end = async () => {
    if (ending) return
    ending = true
    // A peer that is gone must not keep this process running.
    setTimeout(() => process.exit(0), 5000).unref()
    await close()
    process.exit(0)
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  // A terminal or /dev/null is no request to end.
  if (fstatSync(0).isFIFO() || fstatSync(0).isSocket()) {
    process.stdin.on('end', end).on('error', end).resume()
  }
}
