/** The commands on stores in a folder: what people and programs get to see of them. */
import { basename, join } from 'node:path'
import { openStore, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { describe, expect, test } from 'vitest'
import { cli, filesOf, parseLines, storeWith, temporaryFolder, upper } from '../support/cli.js'

async function twoVersions(store: Store): Promise<void> {
  store.put('o-1', { total: 12, note: 'x' })
  store.put('o-2', [1, 2])
  await store.commit({ offsets: { clicks: 7, views: { 0: 'x', 12: 9n } } })
  await store.checkpoint()
  store.delete('o-2')
  store.table('users').put('u', 1)
  store.table('names', { codec: upper }).put('n', 'ada')
  await store.commit({ label: 'hourly', meta: { by: 'test' }, offsets: { clicks: 8 } })
}

describe('inspect', () => {
  test('says to a person what a store is and what it consists of', async () => {
    const folder = await storeWith(twoVersions, { job: 'orders-v1', partitions: 4 })
    const { code, out, err } = await cli(['inspect', folder])
    expect([code, err]).toEqual([0, ''])
    expect(out.replace(/[0-9a-f]{32}/, '<id>').replace(/\d+ B$/gm, (size) => size.replace(/\d/g, '#'))).toBe(
      [
        'store       orders',
        'job         orders-v1',
        'partitions  4',
        'version     4, 2023-11-14T22:13:20.000Z',
        'head        entry 4',
        'mode        exclusive',
        'created     2023-11-14T22:13:20.000Z',
        'log id      <id>',
        '',
        'holds                   count  bytes',
        'keys                        3',
        'segments                    1   ## B',
        'runs of segments            1',
        'records in them             2   ## B',
        'tombstones among these      0',
        'entries in the tail         2   ## B',
        '',
        'source  partition  read next from',
        'clicks             8',
        'views           0  x',
        'views          12  9',
        '',
        'table      codec  keys',
        '(default)  json      1',
        'names      upper     1',
        'users      json      1',
        '',
      ].join('\n'),
    )
  })

  test('gives a program the same as one object', async () => {
    const folder = await storeWith(twoVersions, { job: 'orders-v1', partitions: 4 })
    const { out } = await cli(['inspect', folder, '--json'])
    expect(parseLines(out)).toEqual([
      {
        name: 'orders',
        job: 'orders-v1',
        partitions: 4,
        version: 4,
        versionTime: 1_700_000_000_000,
        head: 4,
        mode: 'exclusive',
        offsets: { clicks: 8, views: { 0: 'x', 12: { $bigint: '9' } } },
        logId: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
        created: 1_700_000_000_000,
        keys: { count: 3, exact: true },
        segments: {
          count: 1,
          records: 2,
          tombstones: 0,
          bytes: expect.any(Number) as number,
          rawBytes: expect.any(Number) as number,
        },
        runs: 1,
        tail: { entries: 2, bytes: expect.any(Number) as number },
        tables: [
          { name: '', codec: 'json', keys: 1 },
          { name: 'names', codec: 'upper', keys: 1 },
          { name: 'users', codec: 'json', keys: 1 },
        ],
        tags: [],
      },
    ])
  })

  test('describes a store in which nothing was committed', async () => {
    const folder = await storeWith(async () => undefined)
    const { out } = await cli(['inspect', folder])
    expect(out).toContain('job         (none)')
    expect(out).toContain('version     0, nothing is committed')
    const [facts] = parseLines((await cli(['inspect', folder, '--json'])).out)
    expect(facts).toMatchObject({ job: null, version: 0, versionTime: null, offsets: {}, tables: [] })
  })
})

describe('versions', () => {
  test('are a table for people', async () => {
    const folder = await storeWith(twoVersions, { partitions: 4 })
    const { code, out } = await cli(['versions', folder])
    expect(code).toBe(0)
    expect(out.replace(/\d+ B/g, '### B').replace(/ +### B/g, '  ### B')).toBe(
      [
        'version  time                      kind    bytes  label   offsets',
        '      2  2023-11-14T22:13:20.000Z  commit  ### B          clicks 7, views 0:x 1…',
        '      4  2023-11-14T22:13:20.000Z  commit  ### B  hourly  clicks 8, views 0:x 1…',
        '',
      ].join('\n'),
    )
  })

  test('are lines of JSON for programs, with the fields of the API', async () => {
    const folder = await storeWith(twoVersions)
    const lines = parseLines((await cli(['versions', folder, '--json', '--reverse', '--limit', '1'])).out)
    expect(lines).toEqual([
      {
        version: 4,
        time: 1_700_000_000_000,
        kind: 'commit',
        label: 'hourly',
        meta: { by: 'test' },
        offsets: { clicks: 8, views: { 0: 'x', 12: { $bigint: '9' } } },
        tags: [],
        bytes: expect.any(Number) as number,
        folded: false,
      },
    ])
  })

  test('can be bounded and reversed', async () => {
    const folder = await storeWith(async (store) => {
      for (let i = 0; i < 5; i++) await store.commit()
    })
    const numbers = async (...args: string[]): Promise<unknown[]> =>
      parseLines((await cli(['versions', folder, '--json', ...args])).out).map(
        (v) => (v as { version: number }).version,
      )
    expect(await numbers()).toEqual([2, 3, 4, 5, 6])
    expect(await numbers('--gte', '3', '--lte', '5', '--reverse')).toEqual([5, 4, 3])
    expect(await numbers('--limit', '2')).toEqual([2, 3])
  })

  test('come in pages, each with the names of its columns', async () => {
    const folder = await storeWith(async (store) => {
      for (let i = 0; i < 201; i++) await store.commit()
    })
    const lines = (await cli(['versions', folder])).out.trimEnd().split('\n')
    expect(lines).toHaveLength(203)
    expect(lines[201]).toBe(lines[0]!.trimEnd())
  })
})

describe('a store that is looked into', () => {
  test('may have a living writer, which goes on', async () => {
    const folder = temporaryFolder()
    const writer = await openStore({ storage: nodeFs(folder), name: 'orders' })
    for (let i = 1; i <= 3; i++) {
      writer.put('i', i)
      await writer.commit()
      expect((await cli(['get', folder, 'i'])).out).toBe(`${i}\n`)
    }
    writer.put('i', 'uncommitted')
    expect((await cli(['get', folder, 'i'])).out).toBe('3\n')
    await writer.close()
  })

  test('is not changed by a single byte', async () => {
    const folder = await storeWith(twoVersions)
    const before = filesOf(folder)
    for (const args of [['inspect'], ['versions'], ['scan'], ['get', 'o-1'], ['get', 'absent']]) {
      await cli([args[0]!, folder, ...args.slice(1)])
    }
    expect(filesOf(folder)).toEqual(before)
  })

  test('is named relative to the current folder', async () => {
    const folder = await storeWith(twoVersions)
    const { out } = await cli(['get', join('..', basename(folder)), 'o-1', '--json'], { cwd: folder })
    expect(JSON.parse(out)).toEqual({ total: 12, note: 'x' })
  })
})
