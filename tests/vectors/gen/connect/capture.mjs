// Captures the UDP datagrams of the loopback interface by capture.py, since Node opens no packet sockets.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { sleep } from '../lib.mjs'

/** Starts a capture; returns, once it runs, a function that ends it and returns its rows. */
export async function capture () {
  const script = fileURLToPath(new URL('capture.py', import.meta.url))
  const child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const rows = []
  let dropped = null
  const started = new Promise((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      const row = JSON.parse(line)
      if (row.ready) resolve()
      else if ('dropped' in row) dropped = row.dropped
      else rows.push(row)
    })
    closed.then(() => reject(new Error('capture.py ended; it needs the right to open a packet socket')))
  })
  await started
  return async () => {
    await sleep(200)
    child.stdin.end()
    await closed
    if (dropped !== 0) throw new Error('the capture lost packets: ' + dropped)
    return rows
  }
}
