// The situations that connect-trace.mjs records: which nodes there are, and the options of both sides.

const NO_LAN = { server: { shareLocalAddress: false }, connect: { localConnection: false } }
const NO_LAN_SLOW = { ...NO_LAN, connect: { ...NO_LAN.connect, fastOpen: false } }

/**
 * By name: `note`, `testnet` (its nodes), `server` and `connect` (options), and the kinds of both peers: `firewalled`
 * by default, `open`, `default` (a node of the testnet's helper) or `node` (one of its nodes); with `relay`, a blind
 * relay that the client asks for.
 */
export const SCENARIOS = {
  default: {
    note: 'Two peers with default options on a 3-node testnet. Both consider themselves firewalled and share a host address, so the LAN shortcut (a DHT ping to the local address of the server) wins the race against holepunching.',
    testnet: 3,
    serverKind: 'default',
    clientKind: 'default'
  },
  punch: {
    note: 'Both peers believe they are firewalled; LAN shortcuts switched off on both sides (shareLocalAddress false, localConnection false), fast open left on.',
    testnet: 5,
    ...NO_LAN
  },
  slowpunch: {
    note: 'As punch, but fast open is switched off too, so the punch round and its tokens are visible.',
    testnet: 5,
    ...NO_LAN_SLOW
  },
  open: {
    note: 'Server firewalled, client not firewalled with a known address: the server connects to the client as soon as it has the handshake.',
    testnet: 3,
    clientKind: 'open',
    server: NO_LAN.server
  },
  direct: {
    note: 'The server is itself a DHT node that answers FIND_PEER for its own key, so the handshake is not relayed.',
    testnet: 3,
    serverKind: 'node'
  },
  relay: {
    note: 'Both peers firewalled, the server refuses to punch (holepunch option returns false), and the client asks for a blind relay with relayThrough.',
    testnet: 5,
    relay: true,
    ...NO_LAN_SLOW,
    server: { ...NO_LAN.server, holepunch: () => false },
    linger: 1500
  },
  upgrade: {
    note: 'As relay, but both sides may punch. The one-byte probes are held back locally until the relayed connection is up, then released: the connection moves from the relay to the direct path.',
    testnet: 5,
    relay: true,
    holdProbes: true,
    ...NO_LAN_SLOW
  },
  abort: {
    note: 'As slowpunch but with 3 testnet nodes. Only two of them answer with an id, so the server gets two NAT samples, reopens its socket three times and aborts.',
    testnet: 3,
    ...NO_LAN_SLOW
  }
}
