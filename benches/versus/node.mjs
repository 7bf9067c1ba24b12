// node.mjs
//
// Runs one persistent node of the reference on 127.0.0.1, prints `listening IP:PORT PID`, and stays.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../tests/interop/package.json', import.meta.url))
const DHT = require('hyperdht')

const socket = createSocket('udp4').bind(0, '127.0.0.1')
await once(socket, 'listening')
const { port } = socket.address()
socket.close()

const node = DHT.bootstrapper(port, '127.0.0.1', { host: '127.0.0.1' })
await node.fullyBootstrapped()
process.stdout.write(`listening 127.0.0.1:${node.address().port} ${process.pid}\n`)
