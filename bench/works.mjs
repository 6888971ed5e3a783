/**
 * The works that are measured: each runs in a process of its own, against one peer, and answers figures. A rate is per
 * second and higher is better; all others are lower is better. `needs` is how many rows are there before it begins.
 */
import { readFileSync } from 'node:fs'
import { keyOf, quantile, random, valueOf } from './data.mjs'

/** @type {Record<string, { title: string, needs: (rows: number) => number, options?: (rows: number) => object, run: (task: object) => Promise<Record<string, number>> }>} */
export const works = {
  load: {
    title: 'Bulk load and one durable commit',
    needs: () => 0,
    async run({ db, rows, value }) {
      const begun = performance.now()
      for (let i = 0; i < rows; i++) db.put(keyOf(i), value(i))
      await db.commit()
      return { 'load ms': performance.now() - begun }
    },
  },

  epochs: {
    title: '200 epochs of 1,000 random updates, each durable, with an offset',
    needs: (rows) => rows,
    run: (task) => epochs(task),
  },

  unmaintained: {
    title: 'The same epochs with maintenance off',
    needs: (rows) => rows,
    options: () => ({ maintenance: false }),
    run: (task) => epochs(task),
  },

  one: {
    title: 'One-key durable commits, one after the other',
    needs: (rows) => rows,
    async run({ db, rows, value, counts: { commits } }) {
      const next = random(2)
      const took = []
      const before = written()
      const begun = performance.now()
      for (let i = 0; i < commits; i++) {
        const row = Math.floor(next() * rows)
        const start = performance.now()
        await db.set(keyOf(row), value(row, i))
        took.push(performance.now() - start)
      }
      const seconds = (performance.now() - begun) / 1000
      await db.close()
      return {
        'commits/s': commits / seconds,
        'p50 ms': quantile(took, 0.5),
        'p99 ms': quantile(took, 0.99),
        'bytes per commit': (written() - before) / commits,
      }
    },
  },

  flight: {
    title: 'One-key durable commits, 64 in flight',
    needs: (rows) => rows,
    async run({ db, rows, value, counts: { commits } }) {
      const next = random(3)
      const total = commits * 4
      let left = total
      const begun = performance.now()
      const writer = async () => {
        while (left-- > 0) {
          const row = Math.floor(next() * rows)
          await db.set(keyOf(row), value(row, left))
        }
      }
      await Promise.all(Array.from({ length: 64 }, writer))
      return { 'commits/s': total / ((performance.now() - begun) / 1000) }
    },
  },

  puts: {
    title: '1,000,000 puts over 100,000 keys, then one commit',
    needs: () => 0,
    async run({ db, rows, value }) {
      const next = random(4)
      const keys = Array.from({ length: rows }, (_, i) => keyOf(i))
      const begun = performance.now()
      for (let i = 0; i < rows * 10; i++) {
        const row = Math.floor(next() * rows)
        db.put(keys[row], value(row, i))
      }
      await db.commit()
      return { 'puts/s': (rows * 10) / ((performance.now() - begun) / 1000) }
    },
  },

  open: {
    title: 'Open and first get in a fresh process',
    needs: (rows) => rows,
    opensItself: true,
    async run({ open, rows, importMs }) {
      const begun = performance.now()
      const db = await open()
      const row = await db.get(keyOf(Math.floor(rows / 2)))
      const took = performance.now() - begun
      if (row === undefined) throw new Error('The first get found nothing.')
      await db.close()
      return { 'open ms': took, 'import ms': importMs }
    },
  },

  resident: {
    title: 'Gets, resident, getSync',
    needs: (rows) => rows,
    options: () => ({ resident: true }),
    async run({ db, rows, counts: { gets } }) {
      const keys = Array.from({ length: rows }, (_, i) => keyOf(i))
      await warm(db, keys)
      return rate('gets/s', gets, random(5), (next) => db.getSync(keys[Math.floor(next() * rows)]))
    },
  },

  warm: {
    title: 'Gets, awaited, not resident, warm',
    needs: (rows) => rows,
    options: (rows) => ({ cacheBytes: Math.max(64 << 20, rows * 1000) }),
    async run({ db, rows, counts: { gets } }) {
      const keys = Array.from({ length: rows }, (_, i) => keyOf(i))
      await warm(db, keys)
      const next = random(6)
      const begun = performance.now()
      for (let i = 0; i < gets; i++) {
        if ((await db.get(keys[Math.floor(next() * rows)])) === undefined) throw new Error('A key is missing.')
      }
      return { 'gets/s': gets / ((performance.now() - begun) / 1000) }
    },
  },

  cold: {
    title: 'Gets, not resident, state four times the cache, uniformly random',
    needs: (rows) => rows,
    options: (rows) => ({ cacheBytes: Math.floor((rows * 131) / 4) }),
    async run({ db, rows, counts: { gets } }) {
      const keys = Array.from({ length: rows }, (_, i) => keyOf(i))
      const next = random(7)
      const total = Math.floor(gets / 4)
      for (let i = 0; i < total / 2; i++) await db.get(keys[Math.floor(next() * rows)])
      const begun = performance.now()
      for (let i = 0; i < total; i++) {
        if ((await db.get(keys[Math.floor(next() * rows)])) === undefined) throw new Error('A key is missing.')
      }
      const awaited = { 'gets/s': total / ((performance.now() - begun) / 1000) }
      let sync
      try {
        sync = rate('getSync/s', total, next, (n) => db.getSync(keys[Math.floor(n() * rows)]))
      } catch {
        // Not in memory: this peer answers only when it is waited for.
      }
      return { ...awaited, ...sync }
    },
  },

  scan: {
    title: 'Scan, warm',
    needs: (rows) => rows,
    options: (rows) => ({ cacheBytes: Math.max(64 << 20, rows * 1000) }),
    run: (task) => scan(task),
  },

  'scan-resident': {
    title: 'Scan, resident',
    needs: (rows) => rows,
    options: () => ({ resident: true }),
    run: (task) => scan(task),
  },

  memory: {
    title: 'Memory after a scan, 8 MiB of cache',
    needs: (rows) => rows,
    options: () => ({ cacheBytes: 8 << 20 }),
    async run({ db }) {
      await db.scan()
      return { 'RSS MiB': process.memoryUsage.rss() / 2 ** 20 }
    },
  },
}

async function epochs({ db, rows, value, counts: { epochs: count } }) {
  const next = random(1)
  const took = []
  const before = written()
  const begun = performance.now()
  for (let epoch = 1; epoch <= count; epoch++) {
    const start = performance.now()
    for (let i = 0; i < 1000; i++) {
      const row = Math.floor(next() * rows)
      db.put(keyOf(row), value(row, epoch))
    }
    await db.commitAt(epoch * 1000)
    took.push(performance.now() - start)
  }
  // The work that was put off belongs to it.
  await db.close()
  const seconds = (performance.now() - begun) / 1000
  return {
    'epochs/s': count / seconds,
    'p50 ms': quantile(took, 0.5),
    'p99 ms': quantile(took, 0.99),
    'bytes per epoch': (written() - before) / count,
  }
}

async function scan({ db, rows }) {
  await db.scan()
  await db.scan()
  const begun = performance.now()
  let seen = 0
  let rounds = 0
  while (performance.now() - begun < 500) {
    seen += await db.scan()
    rounds++
  }
  if (seen < rows * rounds) throw new Error(`A scan saw ${seen} rows in ${rounds} rounds.`)
  return { 'rows/s': seen / ((performance.now() - begun) / 1000) }
}

async function warm(db, keys) {
  for (let round = 0; round < 2; round++) for (const key of keys) await db.get(key)
}

function rate(name, count, next, act) {
  const begun = performance.now()
  for (let i = 0; i < count; i++) if (act(next) === undefined) throw new Error('A key is missing.')
  return { [name]: count / ((performance.now() - begun) / 1000) }
}

/** Bytes that this process has handed to the kernel's write calls, by any thread; 0 where the kernel does not say. */
function written() {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

export const valuesOf = (values) => valueOf[values]
