// drive.mjs BOOTSTRAP put TEXT      makes a drive with one file and serves it; prints `drive KEY`, and `topic HEX`
// drive.mjs BOOTSTRAP get KEY       finds that drive by its topic and reads the file; prints `content TEXT`
//
// Both hold their drive in a folder that goes with the process, and find each other by npm hyperswarm.

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import Hyperswarm from 'hyperswarm'
import { guest, print, untilAsked } from './lib.mjs'

const [bootstrap, command, word] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'drive-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const store = new Corestore(folder)
const swarm = new Hyperswarm({ dht: await guest(bootstrap) })
untilAsked(async () => {
  await swarm.destroy()
  await store.close()
})
swarm.on('connection', connection => {
  connection.on('error', () => {})
  store.replicate(connection)
})

const drive = new Hyperdrive(store, command === 'get' ? Buffer.from(word, 'hex') : undefined)
await drive.ready()
if (command === 'put') {
  await drive.put('/file.txt', Buffer.from(word))
  await swarm.join(drive.discoveryKey, { server: true, client: true }).flushed()
  print('topic', drive.discoveryKey.toString('hex'))
  print('drive', drive.key.toString('hex'))
} else {
  const appended = once(drive.core, 'append')
  swarm.join(drive.discoveryKey, { server: true, client: true })
  if (drive.core.length === 0) await appended
  const content = await drive.get('/file.txt')
  print('content', content.toString())
}
