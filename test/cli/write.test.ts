/** put and delete: what they write, and what they refuse. */
import { Readable } from 'node:stream'
import { openStore, systemClock, type Clock, type Codec } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { expect, test } from 'vitest'
import { cli, filesOf, storeWith, temporaryFolder, upper } from '../support/cli.js'

const withOne = (): Promise<string> =>
  storeWith(
    async (store) => {
      store.put('k', 1)
      store.table('names', { codec: upper }).put('n', 'ada')
      await store.commit({ offsets: { clicks: 7 } })
    },
    { partitions: 2 },
  )

const json = async (folder: string, ...args: string[]): Promise<string> =>
  (await cli(['get', folder, ...args, '--json'])).out.trim()

test('put writes JSON, text, stdin and the tags of the default codec, as a version of its own', async () => {
  const folder = await withOne()
  const run = (...args: string[]) => cli(['put', folder, ...args])
  expect(await run('o-1', '{"total":12}')).toEqual({
    code: 0,
    out: 'Written as version 4 of store "orders".\n',
    err: '',
  })
  expect(await json(folder, 'o-1')).toBe('{"total":12}')
  expect(JSON.parse((await run('t', 'Ada', '--text', '--json')).out)).toMatchObject({ store: 'orders' })
  expect(await json(folder, 't')).toBe('"Ada"')
  await run('d', '{"$date":0}')
  expect(await json(folder, 'd')).toBe('{"$date":0}')
  await run('--json-key', '["a",1]', 'true')
  expect(await json(folder, '--json-key', '["a",1]')).toBe('true')
  await cli(['put', folder, 'in', '-'], { stdin: Readable.from(['[1,', '2]\n']) })
  expect(await json(folder, 'in')).toBe('[1,2]')
  await run('u', '1', '--table', 'new', '--partition', '1')
  expect(await json(folder, 'u', '--table', 'new', '--partition', '1')).toBe('1')
  // A program goes on with all of it, and with its own offsets.
  const store = await openStore({ storage: nodeFs(folder), name: 'orders' })
  expect([await store.get('o-1'), await store.get('d'), store.offsets]).toEqual([
    { total: 12 },
    new Date(0),
    { clicks: 7 },
  ])
  await store.close()
})

test('what is put with --ttl is gone when its time is over', async () => {
  const folder = await withOne()
  await cli(['put', folder, 'soon', '1', '--ttl', '1h'])
  expect(await json(folder, 'soon')).toBe('1')
  const store = await openStore({
    storage: nodeFs(folder),
    name: 'orders',
    mode: 'follower',
    clock: later(2 * 3_600_000),
  })
  expect(await store.get('soon')).toBeUndefined()
  await store.close()
})

test('delete takes a key away, and says when there was none; the codec of its table stays', async () => {
  const folder = await withOne()
  const { version } = JSON.parse((await cli(['delete', folder, 'k', '--json'])).out) as { version: number }
  expect((await cli(['get', folder, 'k'])).err).toMatch(/NOT_FOUND/)
  expect(await json(folder, 'k', '--at', String(version - 1))).toBe('1')
  expect((await cli(['delete', folder, 'k'])).err).toBe(
    'tidemark: NOT_FOUND: There is no key "k" in store "orders"; nothing was deleted.\n',
  )
  expect((await cli(['delete', folder, 'n', '--table', 'names'])).out).toMatch(
    /^Deleted as version \d+ of store "orders"\.\n$/,
  )
  const store = await openStore({ storage: nodeFs(folder), name: 'orders' })
  const names = store.table('names', { codec: upper as Codec<string> })
  expect(await names.get('n')).toBeUndefined()
  names.put('n', 'again')
  await store.commit()
  await store.close()
})

test('put refuses what it cannot write in one sentence that names what to do, and writes nothing', async () => {
  const folder = await withOne()
  const before = filesOf(folder)
  const refused = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await cli(args)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^tidemark: (INVALID_ARGUMENT|NOT_FOUND): /)
    return err
  }
  expect(await refused('put', folder, 'k', 'Ada')).toMatch(/not JSON.*--text/)
  expect(await refused('put', folder, 'k')).toContain('give the value')
  expect(await refused('put', folder, '--json-key', '5')).toContain('give the value')
  expect(await refused('put', folder, '--json-key', '{', '1')).toContain('no key in JSON')
  expect(await refused('put', folder, 'k', '1', '--ttl', '0s')).toContain('--ttl')
  expect(await refused('put', folder, 'k', '{"$what":1}')).toContain('{"$object":')
  expect(await refused('put', temporaryFolder(), 'k', '1')).toContain('There is no store')
  expect(filesOf(folder)).toEqual(before)
  // By then the store is open to write; its content stays as it is.
  expect(await refused('put', folder, 'k', '1', '--partition', '2')).toContain(
    '--partition: a whole number from 0 to 1',
  )
  expect(await refused('put', folder, 'n', '"x"', '--table', 'names')).toMatch(/codec "upper", and only a program/)
  expect(await json(folder, 'k')).toBe('1')
})

test('a store that several write is written beside them', async () => {
  const folder = temporaryFolder()
  const store = await openStore({ storage: nodeFs(folder), name: 's', mode: 'shared' })
  store.put('k', 1)
  await store.commit()
  expect((await cli(['put', folder, 'l', '2'])).code).toBe(0)
  expect((await cli(['delete', folder, 'k'])).code).toBe(0)
  await store.refresh()
  expect(await store.getMany(['k', 'l'])).toEqual([undefined, 2])
  await store.close()
})

function later(ms: number): Clock {
  return { ...systemClock, now: () => Date.now() + ms }
}
