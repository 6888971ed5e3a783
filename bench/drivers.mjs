/**
 * The drivers of Tidemark beside those that they stand in for, by the same calls: `npm run bench:drivers -- --help`.
 *
 * Each run of a driver is a process of its own on an empty folder. The two take turns within a round, and another one begins
 * each time. Of a round only the ratio counts; the median over the rounds is shown, with the lowest and the highest.
 *
 * Tidemark's calls are durable when they resolve. classic-level is asked for that by `sync`, session-file-store syncs each file,
 * keyv-file writes its whole file each time and syncs nothing, and the fs driver of unstorage syncs nothing.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { printTable } from './report.mjs'

const value = (i) => ({ id: i, name: `name ${i}`, tags: ['a', 'b'], total: i * 1.5, note: 'x'.repeat(60) })
const key = (i) => `key-${String(i).padStart(8, '0')}`
/** Which key comes next when they are read in no order. */
const anyOf = (i, count) => (i * 7919) % count

/** For each driver: how its two sides are opened, and what is done with either. */
const drivers = {
  level: {
    title: 'abstract-level: TidemarkLevel beside classic-level (sync: true)',
    incumbent: 'classic-level',
    async open(peer, folder) {
      if (peer === 'tidemark') {
        const { TidemarkLevel } = await import('tidemark/level')
        return { db: new TidemarkLevel(await place(folder), { valueEncoding: 'json' }), sync: {} }
      }
      const { ClassicLevel } = await import('classic-level')
      return { db: new ClassicLevel(folder, { valueEncoding: 'json' }), sync: { sync: true } }
    },
    async run({ db, sync }, { rows, calls }, measure) {
      await db.open()
      await measure('puts, one after another/s', calls, async (i) => db.put(key(i), value(i), sync))
      await measure('puts, 100 at once/s', calls, (i) => db.put(key(i), value(i), sync), 100)
      await measure('batches of 1,000/s', Math.ceil(rows / 1000), (n) => {
        const operations = Array.from({ length: 1000 }, (_, i) => n * 1000 + i)
        return db.batch(
          operations.map((i) => ({ type: 'put', key: key(i), value: value(i) })),
          sync,
        )
      })
      await measure('gets/s', rows, (i) => db.get(key(anyOf(i, rows))))
      await measure('whole iterations/s', 3, async () => {
        let seen = 0
        for await (const _ of db.iterator()) seen++
        if (seen < rows) throw new Error(`${seen} rows are there.`)
      })
      await db.close()
    },
  },
  keyv: {
    title: 'Keyv: KeyvTidemark beside keyv-file (writeDelay: 0)',
    incumbent: 'keyv-file',
    async open(peer, folder) {
      const { default: Keyv } = await import('keyv')
      if (peer === 'tidemark') {
        const { KeyvTidemark } = await import('tidemark/keyv')
        return new Keyv({ store: new KeyvTidemark(await place(folder)) })
      }
      const { KeyvFile } = await import('keyv-file')
      return new Keyv({ store: new KeyvFile({ filename: join(folder, 'keyv.json'), writeDelay: 0 }) })
    },
    async run(keyv, { calls }, measure) {
      await measure('sets, one after another/s', calls, (i) => keyv.set(key(i), value(i), 600_000))
      await measure('sets, 100 at once/s', calls, (i) => keyv.set(key(i), value(i), 600_000), 100)
      await measure('gets/s', calls * 10, (i) => keyv.get(key(anyOf(i, calls))))
      await measure('getMany of 100/s', calls / 10, (n) =>
        keyv.getMany(Array.from({ length: 100 }, (_, i) => key(anyOf(n * 100 + i, calls)))),
      )
      await keyv.disconnect()
    },
  },
  unstorage: {
    title: 'unstorage: tidemarkDriver beside its own fs driver',
    incumbent: 'fs driver',
    async open(peer, folder) {
      const { createStorage } = await import('unstorage')
      if (peer === 'tidemark') {
        const { tidemarkDriver } = await import('tidemark/unstorage')
        return createStorage({ driver: tidemarkDriver(await place(folder)) })
      }
      const { default: fs } = await import('unstorage/drivers/fs')
      return createStorage({ driver: fs({ base: folder }) })
    },
    async run(storage, { calls }, measure) {
      await measure('setItem, one after another/s', calls, (i) => storage.setItem(key(i), value(i)))
      await measure('setItem, 100 at once/s', calls, (i) => storage.setItem(key(i), value(i)), 100)
      await measure('getItem/s', calls * 10, (i) => storage.getItem(key(anyOf(i, calls))))
      await measure('getKeys/s', 20, () => storage.getKeys())
      await storage.dispose()
    },
  },
  session: {
    title: 'express-session: expressStore beside session-file-store',
    incumbent: 'session-file-store',
    async open(peer, folder) {
      const { default: session } = await import('express-session')
      if (peer === 'tidemark') {
        const { expressStore } = await import('tidemark/session')
        return expressStore(session, await place(folder))
      }
      const FileStore = createRequire(import.meta.url)('session-file-store')(session)
      return new FileStore({ path: folder, logFn: () => undefined, reapInterval: -1 })
    },
    async run(store, { calls }, measure) {
      const call = (name, ...args) => promisify(store[name].bind(store))(...args)
      const session = (i) => ({ cookie: { originalMaxAge: null, path: '/' }, ...value(i) })
      await measure('sets, one after another/s', calls, (i) => call('set', key(i), session(i)))
      await measure('sets, 100 at once/s', calls, (i) => call('set', key(i), session(i)), 100)
      await measure('gets/s', calls * 5, (i) => call('get', key(anyOf(i, calls))))
      await measure('touches/s', calls, (i) => call('touch', key(i), session(i)))
      await store.close?.()
    },
  },
}

const task = process.argv[2]?.startsWith('{') ? JSON.parse(process.argv[2]) : undefined
await (task ? inChild(task) : main())

async function place(folder) {
  const { nodeFs } = await import('tidemark/node-fs')
  return { storage: nodeFs(folder), name: 'bench' }
}

/** Runs one side of one driver and prints its figures. */
async function inChild({ driver, peer, folder, ...counts }) {
  const { open, run } = drivers[driver]
  const figures = {}
  await run(await open(peer, folder), counts, async (name, calls, call, atOnce = 1) => {
    const started = performance.now()
    for (let i = 0; i < calls; i += atOnce) {
      if (atOnce === 1) await call(i)
      else await Promise.all(Array.from({ length: Math.min(atOnce, calls - i) }, (_, more) => call(i + more)))
    }
    figures[name] = (calls / (performance.now() - started)) * 1000
  })
  console.log(JSON.stringify(figures))
}

async function main() {
  const { values: flags } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      rows: { type: 'string', default: '20000' },
      calls: { type: 'string', default: '1000' },
      drivers: { type: 'string', default: Object.keys(drivers).join(',') },
      folder: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (flags.help) {
    console.log(`npm run bench:drivers -- [flags]

  --rounds 5          how often each side has its turn
  --rows 20000        rows of the level
  --calls 1000        calls that write, of each kind
  --drivers a,b       ${Object.keys(drivers).join(', ')}
  --folder path       where the stores are made; default: the system's folder for temporary files
  --json file         writes every figure of every round`)
    return
  }
  const base = mkdtempSync(join(flags.folder ?? tmpdir(), 'tidemark-drivers-'))
  process.on('exit', () => rmSync(base, { recursive: true, force: true }))
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
  }
  const [rows, rounds, calls] = [flags.rows, flags.rounds, flags.calls].map(Number)
  const results = { machine, rows, rounds, calls, figures: [] }
  for (const driver of flags.drivers.split(',')) {
    const { title, incumbent } = drivers[driver]
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? ['tidemark', incumbent] : [incumbent, 'tidemark']
      for (const peer of order) {
        const folder = join(base, 'run')
        rmSync(folder, { recursive: true, force: true })
        mkdirSync(folder)
        const given = JSON.stringify({ driver, peer, folder, rows, calls })
        const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, given], {
          timeout: 600_000,
        })
        results.figures.push({ driver, peer, round, figures: JSON.parse(stdout.trim().split('\n').at(-1)) })
      }
    }
    printTable(results, `${title} (${rounds} rounds)`, (row) => row.driver === driver)
  }
  if (flags.json) writeFileSync(flags.json, JSON.stringify(results, undefined, 1))
}
