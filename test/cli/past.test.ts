/** The commands on old versions: looking at them, comparing them, putting them back and keeping them. */
import { openStore, systemClock, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { describe, expect, test } from 'vitest'
import { cli, filesOf, parseLines, storeWith, upper, type Ran } from '../support/cli.js'
import { temporaryFolder } from '../support/storages.js'

const NOW = 1_700_000_000_000
let now = NOW
const clock = { ...systemClock, now: () => now, monotonic: () => now }
const run = (...args: string[]): Promise<Ran> => cli(args, { clock })

/** Versions 2, 3 and 4, an hour apart, the second of them tagged "two". */
async function threeVersions(): Promise<string> {
  now = NOW
  return storeWith(
    async (store: Store) => {
      for (let i = 1; i <= 3; i++) {
        store.put('same', { is: i })
        store.put(`only ${i}`, i)
        if (i === 3) store.delete('only 1')
        store.table('names', { codec: upper }).put('n', `v${i}`)
        await store.commit({ offsets: { src: { 0: i, 1: i } } })
        if (i === 2) await store.tag('two')
        now += 3_600_000
      }
    },
    { clock, partitions: 2 },
  )
}

describe('--at', () => {
  test('shows a store as it was, by version, tag and date', async () => {
    const folder = await threeVersions()
    for (const at of [
      '3',
      'two',
      '2023-11-14T23:30Z',
      '2023-11-14T23:30',
      '2023-11-15T00:30+01:00',
      '2023-11-14 23:30',
    ]) {
      expect((await run('get', folder, 'same', '--json', '--at', at)).out, at).toBe('{"is":2}\n')
    }
    expect((await run('scan', folder, '--keys', '--at', '2')).out).toBe('"only 1"\n"same"\n')
    const [facts] = parseLines((await run('inspect', folder, '--json', '--at', 'two')).out)
    expect(facts).toMatchObject({ version: 3, offsets: { src: { 0: 2 } }, tags: [{ name: 'two', version: 3 }] })
    expect((await run('inspect', folder)).out).toMatch(
      /tag {2}version {2}time {21,}ends\ntwo {8}3 {2}2023-11-14T23:13:20.000Z/,
    )
    expect((await run('versions', folder)).out).toMatch(/ 3 {2}2023-11-14T23:13:20.000Z .* two /)
  })

  test.each([
    ['1.5', 'INVALID_ARGUMENT'],
    ['2023-13-01', 'INVALID_ARGUMENT'],
    ['Not', 'INVALID_ARGUMENT'],
    ['9', 'NOT_FOUND'],
    ['none', 'NOT_FOUND'],
    ['2023-11-14', 'NOT_FOUND'],
  ])('%s is %s', async (at, code) => {
    const { code: exit, err } = await run('get', await threeVersions(), 'same', '--at', at)
    expect(exit).toBe(1)
    expect(err).toContain(`tidemark: ${code}: `)
  })
})

describe('diff', () => {
  test('prints what differs, for people and for programs, and writes nothing', async () => {
    const folder = await threeVersions()
    const before = filesOf(folder)
    expect((await run('diff', folder, 'two', '4')).out).toBe(
      '- "only 1"  1\n+ "only 3"  3\n~ "same"  {"is":2} -> {"is":3}\n',
    )
    expect(parseLines((await run('diff', folder, '4', '2', '--json', '--prefix', 'only')).out)).toEqual([
      { key: 'only 1', after: 1 },
      { key: 'only 2', before: 2 },
      { key: 'only 3', before: 3 },
    ])
    expect((await run('diff', folder, '2', '3', '--table', 'names')).out).toBe(
      '~ "n"  <2 bytes 5631> -> <2 bytes 5632>\n',
    )
    expect((await run('diff', folder, '3', '3')).out).toBe('')
    const { code, err } = await run('diff', folder, '2', '3', '--table', 'no')
    expect([code, err]).toEqual([1, expect.stringContaining('NOT_FOUND: Store "orders" has no table "no"') as string])
    expect((await run('diff', folder, '2')).err).toContain("missing required argument 'b'")
    expect(filesOf(folder)).toEqual(before)
  })
})

describe('restore', () => {
  test('puts a version back, says how that is undone, and first what would change', async () => {
    const folder = await threeVersions()
    const before = filesOf(folder)
    const dry = await run('restore', folder, 'two', '--dry-run')
    expect(dry.out).toBe('Version 3 of 2023-11-14T23:13:20.000Z would be put back, and 4 keys change.\n')
    expect(filesOf(folder)).toEqual(before)
    const { code, out, err } = await run('restore', folder, 'two')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^Version 3 is put back as version \d+; restoring 4 undoes it\.\n$/)
    expect((await run('get', folder, 'same', '--json')).out).toBe('{"is":2}\n')
    const [undone] = parseLines((await run('restore', folder, '4', '--json', '--label', 'undo')).out)
    expect(undone).toMatchObject({ restored: 4 })
    expect((await run('diff', folder, '4', String((undone as { version: number }).version))).out).toBe('')
    expect((await run('versions', folder, '--limit', '1', '--reverse')).out).toContain('undo')
  })

  test('of some partitions leaves the others', async () => {
    const folder = await threeVersions()
    const keys = async (partition: string): Promise<string> =>
      (await run('scan', folder, '--json', '--partition', partition)).out
    const [mine, old] = [await keys('0'), (await run('scan', folder, '--json', '--partition', '1', '--at', '2')).out]
    const { out } = await run('restore', folder, '2', '--partition', '1')
    expect(out).toMatch(/^In a partition version 2 is put back as version/)
    expect([await keys('0'), await keys('1')]).toEqual([mine, old])
    const wrong = await run('restore', folder, '2', '--partition', '1', '2')
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('INVALID_ARGUMENT') as string])
  })
})

test('tag, untag and fork keep versions by name, and fence a running owner', async () => {
  const folder = await threeVersions()
  const owner = await openStore({ storage: nodeFs(folder), name: 'orders', clock })
  expect((await run('tag', folder, 'one', '--at', '2', '--ttl', '12h')).out).toBe(
    'Tag "one" keeps version 2 of 2023-11-14T22:13:20.000Z until 2023-11-15T13:13:20.000Z.\n',
  )
  owner.put('k', 1)
  await expect(owner.commit()).rejects.toMatchObject({ code: 'FENCED' })
  await owner.close()
  const again = await run('tag', folder, 'one', '--json')
  expect([again.code, JSON.parse(again.err)]).toMatchObject([1, { error: { code: 'INVALID_ARGUMENT' } }])
  expect(JSON.parse((await run('untag', folder, 'one', '--json')).out)).toEqual({ name: 'one' })
  expect((await run('untag', folder, 'one')).err).toMatch(/^tidemark: NOT_FOUND: /)
  expect((await run('fork', folder, 'what-if', '--at', 'two')).out).toBe(
    'Store "what-if" begins with version 3 of store "orders".\n',
  )
  expect((await run('get', folder, 'same', '--store', 'what-if', '--json')).out).toBe('{"is":2}\n')
  const { out } = await run('verify', folder, '--store', 'orders')
  expect(out).toContain('tags     two\nforks    what-if\n')
  expect((await run('tag', '--help')).out).toContain('is fenced')
})

test('maintain says what is due and does it, and keeps what the owner keeps', async () => {
  const folder = await storeWith(
    async (store) => {
      for (let i = 0; i < 60; i++) {
        store.put('same', i)
        await store.commit()
      }
    },
    { checkpoint: { entries: 16 } },
  )
  const before = filesOf(folder)
  const dry = await run('maintain', folder, '--dry-run', '--keep-versions', '3')
  expect(dry.out).toMatch(/^A dry run: nothing was done\.\nkept {7}from version \d+ on\n/)
  expect(filesOf(folder)).toEqual(before)
  now = NOW + 10_000
  expect(JSON.parse((await run('maintain', folder, '--json')).out)).toMatchObject({
    keeps: 0,
    condemned: { entries: 0 },
  })
  const keep = ['--keep-versions', '3', '--grace', '1s']
  expect((await run('maintain', folder, ...keep)).out).toMatch(/^folded .*\nkept .*\n.*\ncondemned {2}\d\d entries/)
  now += 5_000
  expect((await run('maintain', folder, ...keep, '--max-deletes', '1000')).out).toMatch(
    /\ndeleted {4}\d\d entries, \d+ segments, \d/,
  )
  expect(parseLines((await run('versions', folder, '--json')).out).length).toBe(3)
  expect((await run('verify', folder)).code).toBe(0)
})

test('a store that several write is changed by the command line beside them', async () => {
  const folder = temporaryFolder()
  const store = await openStore({ storage: nodeFs(folder), name: 's', mode: 'shared' })
  store.put('k', 1)
  const { version } = await store.commit()
  store.put('k', 2)
  await store.commit()
  expect((await run('restore', folder, String(version))).code).toBe(0)
  store.put('blind', 1)
  await store.commit()
  expect(await store.getMany(['k', 'blind'])).toEqual([1, 1])
  await store.close()
})
