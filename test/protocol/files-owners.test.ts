/** Rules R41 to R48 of docs/protocol.md: who owns a log of files, and what a new owner takes over. */
import { readFileSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { ModelFs, type ProcessOptions } from '../support/model-fs.js'
import { edit, rule } from '../support/mutated.js'
import { filesRule } from '../support/rule-simulations.js'
import { code, logFolder, logOn, open, put } from '../support/rule-stores.js'
import { temporaryFolder } from '../support/storages.js'

filesRule(
  'R41',
  'an owner does not write to a file of a former one',
  [
    edit(
      'adapters/node-fs/log/cleanup.ts',
      'for (const name of unneeded) await discard(directory.fs, directory.place(name))',
      `for (const name of unneeded) {
    if (!files.includes(name)) await discard(directory.fs, directory.place(name))
    else await directory.fs.rename(directory.place(name), directory.temporary(top.g) + '.spare')
  }`,
    ),
    edit(
      'adapters/node-fs/log/writer.ts',
      "const fd = await fs.open(temporary, 'create')",
      `const spare = (await directory.list()).names.find((name) => name.endsWith('.spare'))
    if (spare !== undefined) await fs.rename(directory.place(spare), temporary)
    const fd = await fs.open(temporary, spare === undefined ? 'create' : 'update')`,
    ),
  ],
  /is damaged|was acknowledged/,
)

rule(
  'R42',
  'what the last owner may not have made durable is written again',
  [
    edit(
      'adapters/node-fs/log/generation.ts',
      'const begin = Math.min(from, this.#settledBefore + 1, source.proven + 1, latest)',
      'const begin = latest',
    ),
  ],
  async ({ fileStorage }) => {
    const disk = new ModelFs()
    let isFailing = false
    const onStep: NonNullable<ProcessOptions['onStep']> = ({ call }) =>
      isFailing && call === 'fdatasync' ? { before: 'EIO' } : undefined
    const first = logOn(fileStorage, disk.process({ onStep }))
    await first.claim(1, new Uint8Array(8), 1)
    await first.append(2, new Uint8Array(8), 1)
    isFailing = true
    expect(await first.append(3, new Uint8Array(8), 1)).toMatchObject({ outcome: 'unknown' })
    // It is in the page cache, and so the next owner finds it.
    const second = logOn(fileStorage, disk.process())
    expect((await second.list(1)).numbers).toEqual([1, 2, 3])
    expect(await second.claim(4, new Uint8Array(8), 4)).toMatchObject({ outcome: 'committed' })
    const after = logOn(fileStorage, disk.crash({ seed: 1 }).process())
    expect((await after.list(1)).numbers.at(-1)).toBe(4)
    await expect(after.read(3)).resolves.toMatchObject({ bytes: new Uint8Array(8) })
  },
)

filesRule(
  'R43',
  'a file has its name when its first records are durable',
  [
    edit(
      'adapters/node-fs/log/writer.ts',
      'await writeZeros(directory, fd, size, room)\n      await fs.fdatasync(fd)',
      'await writeZeros(directory, fd, size, room)',
    ),
    edit(
      'adapters/node-fs/log/writer.ts',
      'this.#isNamed = true\n    await this.#directory.sync()',
      'this.#isNamed = true\n    await this.#directory.sync()\n    await this.#directory.fs.fdatasync(this.#fd)',
    ),
  ],
  /is damaged|was acknowl/,
)

rule(
  'R44',
  'an owner that others have overtaken while it wrote acknowledges nothing',
  [
    edit(
      'adapters/node-fs/log/owner.ts',
      'pending = await own.write(',
      'isCurrent = own.isCurrent(this.#generation.g)\n      pending = await own.write(',
    ),
    edit('adapters/node-fs/log/owner.ts', 'isCurrent = own.isCurrent(this.#generation.g)\n      await', 'await'),
  ],
  async ({ fileStorage }) => {
    const disk = new ModelFs()
    const second = logOn(fileStorage, disk.process())
    let isNext = false
    const onStep: NonNullable<ProcessOptions['onStep']> = async ({ call }) => {
      if (!isNext || call !== 'write') return undefined
      isNext = false
      expect(await second.claim(3, new Uint8Array(8), 1)).toMatchObject({ outcome: 'committed' })
      return undefined
    }
    const first = logOn(fileStorage, disk.process({ onStep }))
    await first.claim(1, new Uint8Array(8), 1)
    await first.append(2, new Uint8Array(8), 1)
    isNext = true
    expect(await first.append(3, new Uint8Array(8), 1)).toMatchObject({ outcome: 'lost' })
  },
)

filesRule(
  'R45',
  'the file of the newest owner decides',
  [
    edit(
      'adapters/node-fs/log/owner.ts',
      'const isDecisive = before.files.at(-1)?.g === listing.newest',
      'const isDecisive = true',
    ),
  ],
  /was acknowledged|was lost and is/,
)

filesRule(
  'R46',
  'nobody takes away the marker of another',
  [
    edit(
      'adapters/node-fs/log/cleanup.ts',
      "leftovers(listing.names, top.g, 'owner')",
      "leftovers(listing.names, Infinity, 'owner')",
    ),
  ],
  /was acknowledged|was lost and is/,
)

rule(
  'R47',
  'a log that lost its last file does not end in the one before',
  [
    edit(
      'adapters/node-fs/log/cleanup.ts',
      'await directory.fs.rename(directory.place(name), directory.place(pastName(name))).catch(noneIfAbsent)',
      '',
    ),
  ],
  async (sources) => {
    const root = temporaryFolder()
    const storage = sources.nodeFs(root)
    for (let i = 0; i < 2; i++) {
      const store = await open(sources, storage)
      await put(store, 'a', i)
      // So that the next file begins behind it, and this one is kept.
      if (i === 0) await store.checkpoint()
      await store.close()
    }
    const folder = logFolder(root)
    unlinkSync(
      join(
        folder,
        readdirSync(folder).findLast((name) => name.startsWith('log.'))!,
      ),
    )
    await expect(open(sources, sources.nodeFs(root))).rejects.toThrow(code('CORRUPT'))
  },
)

rule(
  'R48',
  'a marker says what was there before it',
  [edit('adapters/node-fs/log/generation.ts', 'mark(g, { settled, proven })', 'mark(g, { settled: 0, proven: 0 })')],
  async (sources) => {
    const root = temporaryFolder()
    const first = await open(sources, sources.nodeFs(root))
    for (let i = 0; i < 5; i++) await put(first, `key${i}`, i)
    await first.close()
    const folder = logFolder(root)
    const logs = (): string[] => readdirSync(folder).filter((name) => /^(?:log|past)\./.test(name))
    const [name] = logs()
    const bytes = readFileSync(join(folder, name!))
    await (await open(sources, sources.nodeFs(root))).close()
    // As if the second owner had died before it had a file, and the first one's were cut since.
    for (const file of logs()) unlinkSync(join(folder, file))
    writeFileSync(join(folder, name!), bytes.fill(0, bytes.indexOf('key2')))
    await expect(open(sources, sources.nodeFs(root))).rejects.toThrow(code('CORRUPT'))
  },
)
