// What two streams of udx-native send each other through a forwarder, one entry per exchange:
// name, description, options if any, and what the streams do.

import { sleep } from '../lib.mjs'
import { HOST, pattern } from './packets.mjs'

export const EXCHANGES = [
  [
    'open-data-both-ways-end',
    'Both sides connect (nothing is sent for that), a writes, b writes, both half-close. Shows that no handshake exists, that every DATA is answered by a state packet at once, that END takes a sequence number, and the final close.',
    async ({ a, b, closed }) => {
      a.write(Buffer.from('hello from a'))
      await sleep(40)
      b.write(Buffer.from('hello from b'))
      await sleep(40)
      a.end()
      await sleep(40)
      b.end()
      await Promise.all([closed(a), closed(b)])
      return { keepTeardown: true }
    }
  ],

  [
    'data-and-end-in-one-packet',
    'write() and end() in the same turn of the event loop: one packet with DATA and END.',
    async ({ a, b, closed }) => {
      a.write(Buffer.from('last words'))
      a.end()
      await sleep(40)
      b.end()
      await Promise.all([closed(a), closed(b)])
      return { keepTeardown: true }
    }
  ],

  [
    'small-writes-are-combined',
    'Three writes in one turn leave as one packet; a fourth in a later turn leaves alone.',
    async ({ a, t }) => {
      a.write(Buffer.from('one.'))
      a.write(Buffer.from('two.'))
      a.write(Buffer.from('three.'))
      await sleep(40)
      a.write(Buffer.from('four.'))
      await sleep(40)
      return { until: t() }
    }
  ],

  [
    'bulk-and-mtu-probes',
    'a writes 96 KiB of the pattern with no loss. First packet carries 1132 bytes, later ones 1152; packets whose dataOffset is not 0 (or that reach a new size) are path-MTU probes with zero padding between header and payload; the payload size then grows by 32 until 1452.',
    { compact: true },
    async ({ a, t }) => {
      for (let i = 0; i < 6; i++) {
        a.write(pattern(98304).subarray(i * 16384, (i + 1) * 16384))
        await sleep(30)
      }
      await sleep(60)
      return { until: t(), patternBytes: 98304, mtu: a.mtu }
    }
  ],

  [
    'loss-two-holes-sack',
    'The forwarder drops the 2nd, 5th and 6th DATA packet of a once. b answers with SACK packets (two ranges), a marks the holes lost and sends them again. dataOffset stays 0 in SACK packets.',
    {
      compact: true,
      rule (dir, buf, d, st) {
        if (dir !== 'a>b' || !(d.type & 1)) return 'pass'
        const first = !st.seen.has(d.seq)
        st.seen.set(d.seq, true)
        return first && [1, 4, 5].includes(d.seq) ? 'drop' : 'pass'
      }
    },
    async ({ a, t }) => {
      a.write(pattern(12000))
      await sleep(400)
      return { until: t(), patternBytes: 12000, retransmits: a.retransmits, fastRecoveries: a.fastRecoveries }
    }
  ],

  [
    'reorder-spurious-retransmit',
    'The forwarder holds every copy of the 1st DATA packet back for 15 ms. b reports the later ones by SACK; with three packets selectively acknowledged and no reordering seen before, a waits no longer and sends the held one again. b acknowledges the second copy too.',
    {
      compact: true,
      rule: (dir, buf, d) => (dir === 'a>b' && d.type & 1 && d.seq === 0 ? { delay: 15 } : 'pass')
    },
    async ({ a, t }) => {
      a.write(pattern(4000))
      await sleep(400)
      return { until: t(), patternBytes: 4000, retransmits: a.retransmits }
    }
  ],

  [
    'tail-loss-probe',
    'After a warm-up round trip the forwarder drops the last DATA packet once: a repeats it after the probe time-out (about twice the smoothed RTT plus 2 ms when one packet is out), long before the retransmission time-out of at least one second.',
    {
      rule (dir, buf, d, st) {
        if (dir !== 'a>b' || !(d.type & 1) || d.seq !== 2) return 'pass'
        const first = !st.seen.has(2)
        st.seen.set(2, true)
        return first ? 'drop' : 'pass'
      }
    },
    async ({ a, t }) => {
      a.write(Buffer.from('warm up 0'))
      await sleep(50)
      a.write(Buffer.from('warm up 1'))
      await sleep(50)
      a.write(Buffer.from('dropped once'))
      await sleep(300)
      return { until: t() }
    }
  ],

  [
    'lossy-both-ways',
    'The forwarder drops every 5th datagram in both directions (fixed count, not random) while a sends 40 000 bytes and half-closes and b half-closes after it. Everything arrives.',
    {
      compact: true,
      rule: (dir, buf, d, st, n) => (n % 5 === 4 ? 'drop' : 'pass')
    },
    async ({ a, b, closed, t }) => {
      b.once('end', () => b.end())
      a.write(pattern(40000))
      a.end()
      await Promise.race([Promise.all([closed(a), closed(b)]), sleep(8000)])
      return { keepTeardown: true, patternBytes: 40000, retransmits: a.retransmits }
    }
  ],

  [
    'message',
    'Unordered messages: not acknowledged, not repeated, no sequence number used up. One with bytes, one empty, one between two DATA packets.',
    async ({ a, t }) => {
      a.trySend(Buffer.from('datagram'))
      await sleep(20)
      a.trySend(Buffer.alloc(0))
      await sleep(20)
      a.write(Buffer.from('stream 0'))
      await sleep(20)
      a.trySend(Buffer.from('in between'))
      await sleep(20)
      a.write(Buffer.from('stream 1'))
      await sleep(40)
      return { until: t() }
    }
  ],

  [
    'destroy',
    'a destroys: one DESTROY packet, never acknowledged; b closes with ECONNRESET.',
    async ({ a, b, closed }) => {
      a.write(Buffer.from('some data'))
      await sleep(40)
      a.destroy()
      await Promise.all([closed(a), closed(b)])
      return { keepTeardown: true }
    }
  ],

  [
    'keepalive',
    'a.setKeepalive(150): a HEARTBEAT after each idle period, answered by a state packet; data restarts the period.',
    async ({ a, t }) => {
      a.setKeepalive(150)
      await sleep(400)
      a.write(Buffer.from('ping'))
      await sleep(400)
      return { until: t() }
    }
  ],

  [
    'zero-window-probe',
    'The forwarder rewrites the receive window in packets of b to 0 until 3.6 s, so a has to probe: HEARTBEAT packets, answered by state packets; when the window opens the queued data leaves. (Rows of b are shown as b sent them, forwardedHex is what a got.)',
    {
      rule (dir, buf, d, st) {
        if (dir === 'b>a' && Date.now() - st.t0 < 3600) {
          const c = Buffer.from(buf)
          c.writeUInt32LE(0, 8)
          return { replace: c }
        }
        return 'pass'
      }
    },
    async ({ a, fw, t }) => {
      fw.state.t0 = Date.now()
      a.write(Buffer.from('fits'))
      await sleep(60)
      a.write(Buffer.from('has to wait'))
      await sleep(6000)
      return { until: t() }
    }
  ],

  [
    'sequence-wrap',
    'a starts at seq 4294967294 (and b is told to expect it): sequence numbers wrap to 0.',
    { a: { seq: 4294967294 }, connectB: { ack: 4294967294 } },
    async ({ a, b, closed }) => {
      for (const s of ['one', 'two', 'three', 'four']) {
        a.write(Buffer.from(s))
        await sleep(20)
      }
      a.end()
      b.end()
      await Promise.all([closed(a), closed(b)])
      return { keepTeardown: true }
    }
  ],

  [
    'data-before-connect-refused',
    'b has not connected and its firewall hook refuses (the default): packets are swallowed without an answer until b connects; then the repeated packet is taken. Shows the first retransmission delay with no RTT sample (1 s).',
    { manual: true },
    async ({ a, t, connectA, connectB }) => {
      connectA()
      a.write(Buffer.from('early'))
      await sleep(500)
      connectB()
      await sleep(1500)
      return { until: t() }
    }
  ],

  [
    'data-before-connect-accepted',
    'b has not connected but its firewall hook lets the packet in: data is delivered at once, the acknowledgement is sent the moment b connects.',
    { manual: true, b: { firewall: () => false } },
    async ({ a, t, connectA, connectB }) => {
      connectA()
      a.write(Buffer.from('early'))
      await sleep(150)
      connectB()
      await sleep(100)
      return { until: t() }
    }
  ],

  [
    'half-close-then-data-back',
    'a half-closes first; b goes on sending and a goes on acknowledging; then b half-closes and both close.',
    async ({ a, b, closed }) => {
      a.write(Buffer.from('request'))
      a.end()
      await sleep(40)
      b.write(Buffer.from('answer 1'))
      await sleep(30)
      b.write(Buffer.from('answer 2'))
      b.end()
      await Promise.all([closed(a), closed(b)])
      return { keepTeardown: true }
    }
  ],

  [
    'dual-stack-socket',
    'Both sockets are bound to :: and talk to an IPv4 address: the 40-byte IPv6 header is always counted, so payloads start at 1132 and stop at 1432.',
    { compact: true, bindHost: '::' },
    async ({ a, t }) => {
      for (let i = 0; i < 14; i++) {
        a.write(pattern(56000).subarray(i * 4000, (i + 1) * 4000))
        await sleep(15)
      }
      await sleep(60)
      return { until: t(), patternBytes: 56000, mtu: a.mtu }
    }
  ],

  [
    'change-remote-idle',
    'With nothing in flight a changes its remote to the real port of b: it counts as changed at once. Only datagrams on the first path are logged; b still answers along it, because b changed nothing.',
    async ({ a, socketA, socketB, t }) => {
      a.write(Buffer.from('via forwarder'))
      await sleep(60)
      await a.changeRemote(socketA, 0x01020304, socketB.address().port, HOST)
      a.write(Buffer.from('direct'))
      await sleep(60)
      return { until: t() }
    }
  ],

  'change-remote-in-flight',

  [
    'give-up-after-timeouts',
    'The forwarder drops everything from a. a repeats the packet: first after the probe time-out, then on each retransmission time-out, and closes with ETIMEDOUT.',
    { rule: (dir) => (dir === 'a>b' ? 'drop' : 'pass') },
    async ({ a, closed }) => {
      a.write(Buffer.from('into the void'))
      await Promise.race([closed(a), sleep(40000)])
      return { keepTeardown: true, rtoCount: a.rtoCount }
    }
  ],

  [
    'last-ack-lost',
    'Orderly end, but from the moment both sides have ended the forwarder drops what a sends: b never gets the acknowledgement of its END. a is already gone, so nothing answers the repeats and b ends with ETIMEDOUT although everything arrived. The repeats reach the socket of a as foreign datagrams.',
    {
      rule (dir, buf, d, st) {
        if (dir === 'b>a' && d.type & 2) st.over = true
        return dir === 'a>b' && st.over ? 'drop' : 'pass'
      }
    },
    async ({ a, b, socketA, closed, events, t }) => {
      socketA.on('message', (m) => events.push({ t: t(), at: 'socket of a', event: 'socket-message', hex: m.toString('hex') }))
      a.write(Buffer.from('all of it'))
      a.end()
      await sleep(40)
      b.end()
      await Promise.race([Promise.all([closed(a), closed(b)]), sleep(40000)])
      return { keepTeardown: true }
    }
  ],

  'relay'
]
