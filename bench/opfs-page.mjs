// @ts-nocheck: runs in a page, whose types the scripts are not checked with
/** The two sides of bench/opfs.mjs, each with what its storage would do for an opening and for a commit. */
import { indexedDb } from 'tidemark/indexeddb'

const STATE = 100 << 10
const TAIL = 16
const ENTRY = 300

function noise(length) {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  return bytes
}

/** The adapter as it is: a log, an anchor, a blob. */
const inIndexedDb = {
  async fill() {
    const storage = indexedDb('bench')
    await storage.blobs.put('s/0/id/seg/state', noise(STATE))
    const log = storage.log('s/0/id')
    for (let n = 1; n <= TAIL; n++) await log.append(n, noise(ENTRY), 1)
    await storage.anchor('s/0/anchor').swap(undefined, new TextEncoder().encode(String(TAIL)), 0)
  },
  async open() {
    const storage = indexedDb('bench')
    const log = storage.log('s/0/id')
    const anchor = storage.anchor('s/0/anchor')
    const { bytes, token } = await anchor.read()
    const head = Number(new TextDecoder().decode(bytes))
    const [state] = await Promise.all([
      storage.blobs.get('s/0/id/seg/state'),
      ...Array.from({ length: TAIL }, (_, i) => log.read(head - i)),
    ])
    if (state.bytes.length !== STATE) throw new Error('the state is not whole')
    await Promise.all([log.claim(head + 1, noise(ENTRY), 1), anchor.read()])
    let n = head + 1
    return {
      commit: async (entry) => {
        if ((await log.append(++n, entry, 1)).outcome !== 'committed') throw new Error('not committed')
      },
      close: async () => void (await anchor.swap(token, new TextEncoder().encode(String(n)), 0)),
    }
  },
}

/** A file in a worker, as sync access handles are to be had there alone: requests by messages. */
const inOpfs = {
  fill: async () => {
    const worker = await connect()
    await worker.ask({ op: 'fill', state: noise(STATE), tail: noise(TAIL * ENTRY) })
    worker.end()
  },
  async open() {
    const worker = await connect()
    const { state, tail } = await worker.ask({ op: 'open', fence: noise(ENTRY) })
    if (state.length !== STATE || tail.length < TAIL * ENTRY) throw new Error('the state is not whole')
    return {
      commit: (entry) => worker.ask({ op: 'commit', entry: new Uint8Array(entry) }),
      close: async () => {
        await worker.ask({ op: 'close' })
        worker.end()
      },
    }
  },
}

async function connect() {
  const worker = new Worker('/bench/opfs-worker.mjs', { type: 'module' })
  const waiting = []
  worker.addEventListener('message', ({ data }) => {
    const { resolve, reject } = waiting.shift()
    if (data.error) reject(new Error(data.error))
    else resolve(data)
  })
  return {
    ask: (message) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        const buffers = Object.values(message).filter((value) => value instanceof Uint8Array)
        worker.postMessage(
          message,
          buffers.map(({ buffer }) => buffer),
        )
      }),
    end: () => worker.terminate(),
  }
}

async function timed(act) {
  const began = performance.now()
  const result = await act()
  return [performance.now() - began, result]
}

globalThis.run = async ({ side, what, commits }) => {
  const chosen = side === 'opfs' ? inOpfs : inIndexedDb
  if (what === 'fill') return chosen.fill()
  const [open, store] = await timed(() => chosen.open())
  const entry = noise(ENTRY)
  for (let i = 0; i < 20; i++) await store.commit(entry)
  const times = []
  for (let i = 0; i < commits; i++) times.push((await timed(() => store.commit(entry)))[0])
  await store.close()
  const [warm, again] = await timed(() => chosen.open())
  await again.close()
  return { open, warm, commit: times.sort((a, b) => a - b)[times.length >> 1] }
}
globalThis.ready = true
