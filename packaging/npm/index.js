// A network of dht-node for tests, in the shape of createTestnet of hyperdht (hyperdht testnet.js).

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const readline = require('node:readline')

module.exports = async function createTestnet (size = 10, opts = {}) {
  const teardown = typeof opts === 'function' ? opts : opts.teardown && opts.teardown.bind(opts)
  const { host = '127.0.0.1', port = 0, bootstrap = [] } = opts
  if (size === 0) return new Testnet(null, [])
  const nodes = bootstrap.map((node) => typeof node === 'string' ? node : `${node.host}:${node.port}`).join()
  const child = await start(['--json', '--bind', host, '--nodes', size, ...(port ? ['--port', port] : []),
    ...(nodes ? ['--bootstrap', nodes] : ['--new-network'])])
  const addresses = await listening(child, size)
  const testnet = new Testnet(child, bootstrap.length ? [...bootstrap] : [{ host, port: addresses[0].port }])
  if (teardown) teardown(() => testnet.destroy(), { order: Infinity })
  return testnet
}

class Testnet {
  constructor (child, bootstrap) {
    this.child = child
    this.bootstrap = bootstrap
    /** The nodes of `createNode`; those of dht-node are in another process. */
    this.nodes = []
  }

  createNode (opts = {}) {
    const DHT = require('hyperdht')
    const node = new DHT({ ephemeral: true, bootstrap: this.bootstrap, host: '127.0.0.1', ...opts })
    this.nodes.push(node)
    return node
  }

  async destroy () {
    for (const node of this.nodes) for (const server of node.listening) await server.close()
    for (const node of this.nodes.reverse()) await node.destroy()
    if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill()
    await once(this.child, 'exit')
  }

  [Symbol.iterator] () {
    return this.nodes[Symbol.iterator]()
  }
}

async function start (args) {
  const program = process.env.DHT_NODE || 'dht-node'
  const child = spawn(program, args.map(String), { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => child.kill()
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  try {
    await once(child, 'spawn')
  } catch (error) {
    throw new Error(`cannot start ${program}: ${error.message}. Install it with cargo install hyperprofile, or name it in DHT_NODE`)
  }
  return child
}

/** Waits until all nodes have joined; returns their addresses. */
async function listening (child, size) {
  const addresses = []
  let said = ''
  child.stderr.on('data', (text) => { said = (said + text).slice(-4096) })
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const event = JSON.parse(line)
    if (event.event !== 'listening') continue
    const [host, port] = event.address.split(':')
    addresses.push({ host, port: Number(port) })
    if (addresses.length === size) break
  }
  if (addresses.length === size) {
    // A pipe that nobody reads would fill up.
    child.stdout.resume()
    return addresses
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  throw new Error(`dht-node has ended with ${child.signalCode || 'code ' + child.exitCode}: ${said.trim()}`)
}
