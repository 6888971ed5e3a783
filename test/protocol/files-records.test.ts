/** Rules R49 to R54 of docs/protocol.md: when a record of a log of files counts. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { ModelFs } from '../support/model-fs.js'
import { edit, rule } from '../support/mutated.js'
import { filesRule } from '../support/rule-simulations.js'
import { code, due, logFolder, logOn, open, pause, put } from '../support/rule-stores.js'
import { gate } from '../support/shared.js'
import { temporaryFolder } from '../support/storages.js'

rule(
  'R49',
  'a record of another file is none of this one',
  [
    edit('adapters/node-fs/log/format.ts', 'crc32(into.subarray(4, size), idSeed)', 'crc32(into.subarray(4, size))'),
    edit(
      'adapters/node-fs/log/format.ts',
      'crc32(record.subarray(4, head.size), idSeed)',
      'crc32(record.subarray(4, head.size))',
    ),
  ],
  async (sources) => {
    const bytes = new Uint8Array(64)
    sources.encodeRecord(bytes, 1, { before: 0, n: 7, synced: 6, writer: 1 }, Uint8Array.of(1, 2, 3))
    const head = sources.recordHead(bytes)!
    expect(sources.isIntact(bytes, head, 1)).toBe(true)
    expect(sources.isIntact(bytes, head, 2)).toBe(false)
  },
)

rule(
  'R50',
  'a damaged record that later ones claim is damage, not the end',
  [
    edit(
      'adapters/node-fs/log/file.ts',
      'const whole = this.#offsets.length > 0 && this.#claimed <= this.last\n        if (whole && !(search && (await this.#isClaimedAhead(window)))) break',
      'if (search || this.#offsets.length > 0) break',
    ),
  ],
  async (sources) => {
    const root = temporaryFolder()
    const store = await open(sources, sources.nodeFs(root))
    for (let i = 0; i < 9; i++) await put(store, `key${i}`, i)
    await store.close()
    const folder = logFolder(root)
    const file = join(
      folder,
      readdirSync(folder).find((name) => name.startsWith('log.'))!,
    )
    const bytes = readFileSync(file)
    bytes[bytes.indexOf('key5')]! ^= 1
    writeFileSync(file, bytes)
    await expect(open(sources, sources.nodeFs(root))).rejects.toThrow(code('CORRUPT'))
  },
)

filesRule(
  'R51',
  'a sync that failed is not tried again',
  [
    edit(
      'adapters/node-fs/log/writer.ts',
      'sync ? this.#directory.fs.fdatasync(this.#fd) :',
      'sync ? this.#directory.fs.fdatasync(this.#fd).catch(() => this.#directory.fs.fdatasync(this.#fd)) :',
    ),
  ],
  /is damaged|was acknowledged/,
)

rule(
  'R52',
  'the log is synced before anything is deleted',
  [edit('src/engine/gc/collector.ts', "if (this.#ctx.durability === 'relaxed') await log.sync()", '')],
  async (sources) => {
    const calls: string[] = []
    const store = await due(sources, { durability: 'relaxed' }, ({ method }) => void calls.push(method))
    calls.length = 0
    expect((await store.maintain()).deleted.entries).toBeGreaterThan(0)
    expect(calls.slice(0, calls.indexOf('remove'))).toContain('sync')
    await store.close()
  },
)

rule(
  'R53',
  'a follower shows nothing of a file that a newer owner has read before',
  [
    edit(
      'adapters/node-fs/log/view.ts',
      'return now.newest === newest && now.names.includes(top.name) ? { settled, proven } : undefined',
      'return { settled, proven }',
    ),
  ],
  async ({ fileStorage }) => {
    const disk = new ModelFs()
    const first = logOn(fileStorage, disk.process())
    await first.claim(1, Uint8Array.of(1), 1)
    await first.append(2, Uint8Array.of(2), 1)
    const [naming, named] = [gate(), gate()]
    ;[naming, named].forEach((way) => way.shut())
    const second = logOn(
      fileStorage,
      disk.process({
        onStep: async ({ call, path }) => {
          if (call !== 'rename' || !path.includes('/log.')) return undefined
          naming.open()
          await named.passed
          return undefined
        },
      }),
    )
    let claiming: Promise<unknown> | undefined
    let hasListed = false
    const follower = logOn(
      fileStorage,
      disk.process({
        onStep: async ({ call, path }) => {
          if (call === 'names') hasListed = true
          if (claiming || !hasListed || call !== 'open' || !path.includes('/log.')) return undefined
          claiming = second.claim(3, Uint8Array.of(33), 1)
          await naming.passed
          await first.append(3, Uint8Array.of(3), 1)
          return undefined
        },
      }),
    )
    const seen = (await follower.read(3)).bytes
    named.open()
    await claiming
    const history = (await logOn(fileStorage, disk.process()).read(3)).bytes
    expect(history).toEqual(Uint8Array.of(33))
    expect(seen ?? history).toEqual(history)
  },
)

rule(
  'R54',
  'an error that belongs to a record is told to its own sync',
  [
    edit('adapters/node-fs/log/writer.ts', "const fd = await fs.open(this.file.path, 'update')", 'const fd = this.#fd'),
    edit('adapters/node-fs/log/writer.ts', 'await fs.close(fd)', ''),
  ],
  async ({ fileStorage }) => {
    const disk = new ModelFs()
    let [isFailing, hasFailed] = [false, false]
    const fs = disk.process({
      onStep: async ({ call }) => {
        if (call !== 'fdatasync') return undefined
        await pause()
        if (!isFailing) return undefined
        ;[isFailing, hasFailed] = [false, true]
        return { before: 'EIO' }
      },
    })
    const log = logOn(fileStorage, fs, 'relaxed')
    await log.claim(1, new Uint8Array(8), 1)
    // It fits, and is not synced; behind it the file grows for those to come.
    await log.append(2, new Uint8Array(500).fill(1), 1)
    isFailing = true
    await expect.poll(() => hasFailed).toBe(true)
    await pause()
    const isDurable = await log.sync().then(
      () => true,
      () => false,
    )
    const after = logOn(fileStorage, disk.crash({ seed: 1 }).process())
    const { numbers } = await after.list(1)
    expect(isDurable && !numbers.includes(2)).toBe(false)
  },
)
