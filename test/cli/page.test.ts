/** How the command line looks: as wide as the terminal, in colours where they are wanted; and how it counts keys. */
import { Writable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import stringWidth from 'string-width'
import { openStore, systemClock, type Codec, type OpenOptions, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { memory } from 'tidemark/memory'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { cli, parseLines, storeWith, temporaryFolder } from '../support/cli.js'

/** A terminal before which a person sits, with all that was written to it. */
class Terminal extends Writable {
  readonly isTTY = true
  text = ''

  declare readonly columns: number

  constructor(columns: number | undefined) {
    super()
    Object.assign(this, { columns })
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

const ESCAPE = '\u001b'

beforeEach(() => {
  vi.stubEnv('NO_COLOR', undefined)
  vi.stubEnv('TERM', 'xterm-256color')
  return () => vi.unstubAllEnvs()
})

const LONG = 'a-name-that-is-longer-than-most-and-goes-on-and-on-until-it-has-64'.slice(0, 64)
const codec: Codec<string> = { id: 'c'.repeat(255), encode: () => new Uint8Array(1), decode: () => '' }

/** A store in which everything that is shown is as long as can be. */
async function longStore(): Promise<string> {
  const folder = await storeWith(
    async (store) => {
      store.put('k', 'v')
      store.table('t'.repeat(255), { codec }).put('k', 'v')
      const offsets = { [`source ${'s'.repeat(100)}`]: { 0: 'p'.repeat(100), 1: 2 }, other: '漢'.repeat(60) }
      await store.commit({ label: '漢字'.repeat(60), offsets })
      await store.tag(LONG)
      await store.tag('until', { ttlMs: 1e9 })
      store.put('k', 'w')
      await store.commit({ label: 'a label of words' })
    },
    { name: LONG, job: 'j '.repeat(500) },
  )
  await cli(['fork', folder, `f-${LONG}`.slice(0, 64)])
  return folder
}

const TABLES = [['stores'], ['inspect'], ['versions'], ['backups'], ['verify'], ['maintain', '--dry-run']]

describe('tables and lists', () => {
  test.each([
    [undefined, 80],
    [80, 80],
    [120, 120],
  ])('fit a terminal that says %s', async (columns, width) => {
    const folder = await longStore()
    for (const [command = '', ...more] of TABLES) {
      const stdout = new Terminal(columns)
      expect((await cli([command, folder, ...more], { stdout })).code).toBe(0)
      const lines = stripVTControlCharacters(stdout.text).split('\n')
      // A name is never broken: it is there to be copied.
      const wide = lines.filter(
        (line) => stringWidth(line) > width && line.split(' ').every((word) => word.length < 70),
      )
      expect([command, wide]).toEqual([command, []])
    }
  })

  test('fit 80 columns where there is no terminal, and say no less where there is room', async () => {
    const folder = await longStore()
    for (const [command = '', ...more] of TABLES) {
      const { out } = await cli([command, folder, ...more])
      expect([command, out.split('\n').filter((line) => stringWidth(line) > 80)]).toEqual([command, []])
    }
    const stdout = new Terminal(300)
    await cli(['versions', folder], { stdout })
    expect(stdout.text).toContain('漢字'.repeat(20))
    const [version] = parseLines((await cli(['versions', folder, '--json', '--limit', '1'])).out)
    expect(version).toMatchObject({ label: '漢字'.repeat(60) })
  })
})

describe('colours', () => {
  const painted = async (args: string[]): Promise<string> => {
    const stdout = new Terminal(100)
    await cli(args, { stdout })
    return stdout.text
  }

  test('are for terminals, unless NO_COLOR or a dumb terminal says no', async () => {
    const folder = await longStore()
    const commands = [['versions'], ['inspect'], ['scan'], ['diff', '2', '3'], ['stores']].map(
      ([name = '', ...more]) => [name, folder, ...more],
    )
    for (const args of commands) {
      const { out } = await cli(args)
      expect([args[0], out.includes(ESCAPE)]).toEqual([args[0], false])
      const text = await painted(args)
      expect([args[0], text.includes(ESCAPE)]).toEqual([args[0], true])
      // The words are the same.
      vi.stubEnv('NO_COLOR', '1')
      expect(await painted(args)).toBe(stripVTControlCharacters(text))
      vi.stubEnv('NO_COLOR', '')
      expect(await painted(args)).toBe(text)
      vi.stubEnv('TERM', 'dumb')
      expect(await painted(args)).toBe(stripVTControlCharacters(text))
      vi.stubEnv('TERM', 'xterm')
      expect((await painted([...args, '--json'])).includes(ESCAPE)).toBe(false)
    }
  })
})

describe('inspect counts keys', () => {
  async function keysOf(
    fill: (store: Store) => Promise<void>,
    options: Partial<OpenOptions> = {},
  ): Promise<[unknown, string]> {
    const storage = memory()
    const store = await openStore({ storage, name: 'orders', ...options })
    await fill(store)
    await store.close()
    const [facts] = parseLines((await cli(['inspect', 'memory', '--json'], { open: () => storage })).out)
    const { out } = await cli(['inspect', 'memory'], { open: () => storage })
    return [(facts as { keys: unknown }).keys, /\nkeys +(.*)\n/.exec(out)![1]!]
  }

  const many = async (store: Store, count: number, from = 0): Promise<void> => {
    for (let i = from; i < from + count; i++) store.put(i, 0)
    await store.commit()
  }

  test('of the tail as of the segments, without what was deleted, written again or has expired', async () => {
    const counted = await keysOf(async (store) => {
      await many(store, 100)
      await store.checkpoint()
      await many(store, 50)
      store.deleteRange({ gte: 90, lt: 100 })
      store.put('soon', 1, { ttlMs: 1 })
      store.table('t').put('k', 1)
      await store.commit()
    })
    expect(counted).toEqual([{ count: 91, exact: true }, '91'])
  })

  test('of a large commit that no fold has listed yet, such as the first one of a resident store', async () => {
    const one = await keysOf((store) => many(store, 120_000), { resident: true })
    expect(one).toEqual([{ count: 120_000, exact: true }, '120,000'])
  })

  test('of more than can be walked in a moment, about', async () => {
    const [counted, shown] = await keysOf(
      async (store) => {
        for (let round = 0; round < 3; round++) {
          await many(store, 110_000)
          await store.checkpoint()
        }
        store.deleteRange({ gte: 50_000, lt: 80_000 })
        await many(store, 500)
      },
      { resident: true, blockBytes: 1024 },
    )
    const { count, exact } = counted as { count: number; exact: boolean }
    expect([exact, shown]).toEqual([false, `about ${count.toLocaleString('en')}`])
    expect(Math.abs(count - 80_000)).toBeLessThan(20_000)
  })
})

test('what verify calls orphans comes with who sees to them, and when', async () => {
  const folder = temporaryFolder()
  const storage = nodeFs(folder)
  const store = await openStore({ storage, name: 'orders' })
  store.put('k', 1)
  await store.commit()
  await store.checkpoint()
  await store.commit()
  await store.close()
  const { items } = await storage.blobs.list('orders/', {})
  const segment = items.find(({ name }) => name.includes('/seg/'))!
  const { bytes } = await storage.blobs.get(segment.name)
  await storage.blobs.put(segment.name.replace(/[0-9a-f]{32}$/, 'f'.repeat(32)), bytes!)
  const { code, out } = await cli(['verify', folder])
  expect(code).toBe(0)
  expect(out).toMatch(/orphans {2}1 blobs/)
  expect(out.replaceAll('\n', ' ')).toMatch(/`tidemark maintain` does.*a grace period \(an hour, unless/)
  // And so it is.
  const later = (hours: number) => ({ clock: { ...systemClock, now: () => Date.now() + hours * 3_600_000 } })
  await cli(['maintain', folder], later(0))
  expect((await cli(['verify', folder])).out).toMatch(/orphans {2}1 blobs/)
  await cli(['maintain', folder], later(2))
  expect((await cli(['verify', folder])).out).toContain('orphans  none')
})
