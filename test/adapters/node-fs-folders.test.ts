/** nodeFs() and its folders: what it asks of one, what it leaves there, and what it does when one is taken from under it. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { nodeFs, type FileSystem } from 'tidemark/node-fs'
import { destroyStore, listStores } from 'tidemark/tools'
import { ModelFs, type ModelProcess, type Step } from '../support/model-fs.js'
import { modelClock } from '../support/model-fs-run.js'
import { forAdapter } from '../support/counting.js'

forAdapter('nodeFs')

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tidemark-folders-')))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let made = 0
const fresh = (): string => {
  const root = join(folder, `root-${++made}`)
  mkdirSync(root)
  return root
}
const below = (root: string): string[] => readdirSync(root, { recursive: true }).map(String).sort()
const onModel = (fs: FileSystem): Storage => nodeFs('/disk', { fs, clock: modelClock(++made) })

async function use(storage: Storage, name = 's'): Promise<void> {
  const store = await openStore({ storage, name })
  store.put('key', 'value')
  await store.commit()
  await store.checkpoint()
  await store.tag('kept')
  await store.close()
}

describe('a new store on a local file system', () => {
  test('takes twelve syncs, none of them for the probe, which leaves nothing behind', async () => {
    const steps: Step[] = []
    const fs = new ModelFs().process({ onStep: (step) => void steps.push(step) })
    await openStore({ storage: onModel(fs), name: 's' })
    // Five folders and the names in two of them, a marker, a log file, an anchor.
    expect(steps.filter(({ call }) => /sync/i.test(call)).length).toBe(12)
    expect(steps.length).toBeLessThan(100)
    const [log, anchor, ...more] = await fs.names('/disk/s/0')
    expect([log, anchor, more]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), 'anchor@0000000000000001', []])
  })

  const good: [string, (fs: ModelProcess) => Partial<FileSystem>][] = [
    ['as the model has it', () => ({})],
    [
      'that does not tell capitals from small letters but keeps them, as those of macOS and Windows',
      (fs) => ({
        open: async (path, how) => {
          const [at] = [path.lastIndexOf('/')]
          const names = await fs.names(path.slice(0, at))
          const taken = names.find((name) => name.toLowerCase() === path.slice(at + 1).toLowerCase())
          return fs.open(taken === undefined ? path : path.slice(0, at + 1) + taken, how)
        },
      }),
    ],
  ]
  test.each(good)('is made on one %s', async (_, change) => {
    const fs = new ModelFs().process()
    await use(onModel({ ...fs, ...change(fs) }))
  })

  const bad: [string, string, (fs: ModelProcess) => Partial<FileSystem>][] = [
    [
      'without hard links',
      'has no hard links',
      () => ({ link: () => Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM' })) }),
    ],
    [
      'whose links replace',
      'gave a file a name that was taken',
      (fs) => ({
        async link(from, to) {
          await fs.unlink(to).catch(() => {})
          await fs.link(from, to)
        },
      }),
    ],
    [
      'that opens what it should create',
      'created a file whose name was taken',
      (fs) => ({
        open: (path, how) =>
          how === 'create' ? fs.open(path, how).catch(() => fs.open(path, 'update')) : fs.open(path, how),
      }),
    ],
    [
      'that writes all names in capitals',
      'changed the names of files',
      (fs) => ({ names: async (path) => (await fs.names(path)).map((name) => name.toUpperCase()) }),
    ],
    [
      'that writes all names in small letters',
      'changed the names of files',
      (fs) => ({ names: async (path) => (await fs.names(path)).map((name) => name.toLowerCase()) }),
    ],
    [
      'that cuts long names',
      'changed the names of files',
      (fs) => ({ names: async (path) => (await fs.names(path)).map((name) => name.slice(0, 32)) }),
    ],
    [
      'that reads from the beginning whatever part is asked for',
      'returned other bytes than were written there',
      (fs) => ({ read: (fd, into) => fs.read(fd, into, 0) }),
    ],
    [
      'that loses what is renamed',
      'returned other bytes than were written there',
      (fs) => ({
        async rename(from, to) {
          await fs.unlink(from)
          await fs.close(await fs.open(to, 'create'))
        },
      }),
    ],
  ]
  test.each(bad)('is refused on one %s, and nothing is left of it', async (_, what, change) => {
    const fs = new ModelFs().process()
    const storage = onModel({ ...fs, ...change(fs) })
    const error = { code: 'STORAGE_UNSAFE', retryable: false, message: expect.stringContaining(what) }
    await expect(openStore({ storage, name: 's' })).rejects.toMatchObject(error)
    expect(await fs.names('/disk/s/0')).toEqual([])
    expect(fs.openFiles).toBe(0)
  })
})

describe('destroyStore()', () => {
  const LEFT = /^s\/0\/anchor@\d{16}$/

  test('leaves one empty file in its folder, however often the store is made again', async () => {
    const root = fresh()
    const storage = nodeFs(root)
    for (let i = 0; i < 12; i++) {
      await use(storage)
      await destroyStore({ storage, name: 's' })
      expect(await listStores(storage)).toEqual([])
      const [s, shard, anchor, ...more] = below(root)
      expect([s, shard, more]).toEqual(['s', 's/0', []])
      expect(anchor).toMatch(LEFT)
    }
  })

  test('leaves as little of a store that others have open, and what they write does not come back', async () => {
    const root = fresh()
    const [storage, other] = [nodeFs(root), nodeFs(root)]
    await use(storage)
    const open = await openStore<string, string>({ storage: other, name: 's' })
    open.put('key', 'of the store before')
    await destroyStore({ storage, name: 's' })
    await expect(open.commit()).rejects.toMatchObject({ name: 'TidemarkError', retryable: false })
    await expect(open.checkpoint()).rejects.toMatchObject({ name: 'TidemarkError', retryable: false })
    await expect(open.tag('later')).rejects.toMatchObject({ name: 'TidemarkError', retryable: false })
    await open.close()
    expect(below(root).length).toBe(3)
    await use(storage)
    const again = await openStore<string, string>({ storage: other, name: 's' })
    expect(await again.get('key')).toBe('value')
    await again.close()
  })

  test('a creator that stalls while the store is made and destroyed lands in no successor', async () => {
    const disk = new ModelFs()
    const path = 's/0/anchor'
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
    for (const successor of [false, true]) {
      let go!: () => void
      const stalled = new Promise<void>((resolve) => (go = resolve))
      const fs = disk.process({ onStep: ({ call }) => (call === 'link' ? stalled.then(() => undefined) : undefined) })
      const first = onModel(disk.process()).anchor(path)
      const late = onModel(fs).anchor(path).swap(undefined, bytes('late'), 0)
      await new Promise((resolve) => setImmediate(resolve))
      expect(await first.swap(undefined, bytes('first'), 0)).toMatchObject({ outcome: 'committed' })
      await first.remove()
      if (successor) expect(await first.swap(undefined, bytes('next'), 0)).toMatchObject({ outcome: 'committed' })
      go()
      expect((await late).outcome).not.toBe('committed')
      const { bytes: found } = await first.read()
      expect(found && new TextDecoder().decode(found)).toBe(successor ? 'next' : undefined)
      await first.remove()
    }
  })
})

describe('a folder that is removed', () => {
  const remakes = [
    ['and not made anew', false],
    ['and made anew', true],
  ] as const

  test.each(remakes)('%s, between two openings by one nodeFs(), holds a new store', async (_, isRemade) => {
    const root = fresh()
    const storage = nodeFs(root)
    for (let i = 0; i < 2; i++) {
      await use(storage)
      rmSync(root, { recursive: true })
      if (isRemade) mkdirSync(root)
      expect(await listStores(storage)).toEqual([])
      await expect(openStore({ storage, name: 's', create: false })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }
    await use(storage)
    rmSync(join(root, 's', '0'), { recursive: true })
    await use(storage)
    expect((await listStores(storage)).map(({ name }) => name)).toEqual(['s'])
  })

  const calls: [string, (store: Store<string, string>) => Promise<unknown>][] = [
    ['a commit', (store) => store.commit()],
    ['a large commit', (store) => (store.put('large', 'x'.repeat(2 << 20)), store.commit())],
    ['a fold', (store) => store.checkpoint()],
    ['a tag', (store) => store.tag('later')],
  ]
  for (const [how, isRemade] of remakes) {
    test.each(calls)(`${how}, while a store is open: %s fails, and the store can be made anew`, async (_, call) => {
      const root = fresh()
      const storage = nodeFs(root)
      const store = await openStore<string, string>({ storage, name: 's', checkpoint: { bytes: 1 << 20 } })
      store.put('key', 'before')
      await store.commit()
      rmSync(root, { recursive: true })
      if (isRemade) mkdirSync(root)
      store.put('key', 'after')
      await expect(call(store)).rejects.toMatchObject({ name: 'TidemarkError', retryable: false })
      await expect(call(store)).rejects.toMatchObject({ name: 'TidemarkError', retryable: false })
      const again = await openStore<string, string>({ storage, name: 's' })
      expect(await again.get('key')).toBeUndefined()
      again.put('key', 'anew')
      await again.commit()
      await store.close()
      expect(await again.get('key')).toBe('anew')
      await again.close()
    })
  }
})

describe("Node's permission model", () => {
  const script = fileURLToPath(new URL('../support/permitted.mjs', import.meta.url))
  const flag = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'

  function run(root: string, mode: string, allowed: readonly string[]): unknown {
    const args = [flag, '--no-warnings', ...allowed, script, root, mode]
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  }

  test('lets everything be done where reading and writing is allowed: everywhere, or in the folder alone', () => {
    const [root, everywhere] = [fresh(), fresh()]
    expect(run(everywhere, 'exclusive', ['--allow-fs-read=*', '--allow-fs-write=*'])).toEqual({ value: 'value' })
    expect(run(root, 'exclusive', ['--allow-fs-read=*', `--allow-fs-write=${root}/*`])).toEqual({ value: 'value' })
    expect(run(root, 'follower', ['--allow-fs-read=*'])).toEqual({ value: 'value' })
  })

  test('is named where it refuses, and trying again is not advised', () => {
    const [root, other] = [fresh(), fresh()]
    run(root, 'exclusive', ['--allow-fs-read=*', '--allow-fs-write=*'])
    const refused = (how: string) => ({
      code: 'STORAGE_UNAVAILABLE',
      retryable: false,
      message: expect.stringMatching(new RegExp(`permission model.*${how}`)),
    })
    const elsewhere = ['--allow-fs-read=*', `--allow-fs-write=${other}/*`]
    expect(run(root, 'exclusive', elsewhere)).toMatchObject(refused('--allow-fs-write'))
    const code = fileURLToPath(new URL('../..', import.meta.url))
    const unreadable = [`--allow-fs-read=${code}*`, `--allow-fs-write=${root}/*`]
    expect(run(root, 'follower', unreadable)).toMatchObject(refused('--allow-fs-read'))
  })
})
