/** Stores of several shards at the command line: how they are split and merged, and what other commands do with them. */
import { openStore } from 'tidemark'
import { joinGroup } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import type { ReadOptions, SourceEvent } from 'tidemark/stream'
import { describe, expect, test } from 'vitest'
import { cli, parseLines, storeWith, type Ran } from '../support/cli.js'

/** A store of eight partitions; `k0` to `k19` are in a segment, a change of `k1` is in the tail. */
function filled(): Promise<string> {
  return storeWith(
    async (store) => {
      for (let i = 0; i < 20; i++) store.put(`k${i}`, i)
      await store.commit({ offsets: { clicks: 1 } })
      await store.checkpoint()
      store.put('k1', 'one')
      await store.commit()
    },
    { partitions: 8 },
  )
}

function runIn(folder: string): (line: string) => Promise<Ran> {
  return (line) => cli(line.split(' '), { cwd: folder })
}

async function linesOf(run: (line: string) => Promise<Ran>, line: string): Promise<unknown[]> {
  const { code, out, err } = await run(line)
  expect([code, err]).toEqual([0, ''])
  return parseLines(out)
}

describe('split, merge and rescale', () => {
  test('say what they have done, and keep what the store holds', async () => {
    const run = runIn(await filled())
    const before = (await run('scan . --json')).out
    expect((await run('split . --at 4')).out).toBe('Store "orders" has 2 shards now: 0-3, 4-7.\n')
    expect((await run('split . --at 2,6')).out).toBe('Store "orders" has 4 shards now: 0-1, 2-3, 4-5, 6-7.\n')
    expect((await run('split . --at 4')).out).toBe('Store "orders" has 4 shards already: 0-1, 2-3, 4-5, 6-7.\n')
    expect((await run('merge . --first 2 --last 7')).out).toBe('Store "orders" has 2 shards now: 0-1, 2-7.\n')
    expect((await run('rescale . --shards 3')).out).toBe('Store "orders" has 3 shards now: 0-2, 3-4, 5-7.\n')
    expect((await run('scan . --json')).out).toBe(before)
    expect(await linesOf(run, 'rescale . --cuts 7 --json')).toEqual([
      {
        store: 'orders',
        changed: true,
        shards: [
          { first: 0, last: 6 },
          { first: 7, last: 7 },
        ],
      },
    ])
    expect((await run('rescale . --shards 1')).out).toBe('Store "orders" has one shard now: 0-7.\n')
    expect((await run('scan . --json')).out).toBe(before)
  })

  test.each([
    ['split .', /INVALID_ARGUMENT: required option '--at <partitions>'/],
    ['split . --at 4,', /Partitions are expected, with commas between: 16,32/],
    ['split . --at 8', /INVALID_ARGUMENT: --at: partitions from 1 to 7 are expected, not 8/],
    ['split . --at 0', /--at: partitions from 1 to 7 are expected, not 0/],
    ['merge . --first 1 --last 7', /--first: a shard begins with 0, 4, not with 1/],
    ['merge . --first 4 --last 3', /--last: a shard from 4 on ends with 7, not with 3/],
    ['merge . --first 0 --last 5', /--last: a shard from 0 on ends with 3, 7, not with 5/],
    ['rescale .', /give either --shards or --cuts/],
    ['rescale . --shards 2 --cuts 4', /give either --shards or --cuts/],
    ['rescale . --shards 9', /--shards: a number from 1 to 8 is expected/],
    ['rescale . --cuts 5,3', /--cuts: partitions from 1 to 7 are expected, ascending/],
    ['rescale . --shards 2 --store none', /NOT_FOUND: There is no store "none"/],
    ['shards . --store none', /NOT_FOUND: There is no store "none"/],
  ])('%s is refused, and nothing is changed', async (line, message) => {
    const run = runIn(await filled())
    await run('split . --at 4')
    const before = (await run('shards .')).out
    const { code, out, err } = await run(line)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(message)
    expect((await run('shards .')).out).toBe(before)
  })
})

describe('shards', () => {
  test('lists the one of a store that was never split', async () => {
    const run = runIn(await filled())
    const [shard, ...others] = await linesOf(run, 'shards . --json')
    expect(others).toEqual([])
    expect(shard).toEqual({
      first: 0,
      last: 7,
      version: 4,
      log: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      parents: [],
      tail: { entries: 2, bytes: expect.any(Number) as number },
      segments: { own: expect.any(Number) as number, borrowed: 0 },
      owner: null,
    })
  })

  test('tells where their segments lie, and what they came of', async () => {
    const run = runIn(await filled())
    const [root] = (await linesOf(run, 'shards . --json')) as { log: string; segments: { own: number } }[]
    await run('split . --at 4')
    const shards = (await linesOf(run, 'shards . --json')) as { log: string }[]
    for (const shard of shards) {
      expect(shard).toMatchObject({ parents: [root!.log], segments: { own: 0, borrowed: root!.segments.own } })
    }
    const [head, ...rows] = (await run('shards .')).out.trimEnd().split('\n')
    expect(head).toMatch(/^partitions +version +tail +bytes +own +borrowed +log id +parents$/)
    expect(rows.map((row) => /^\S+/.exec(row)![0])).toEqual(['0-3', '4-7'])
    for (const [i, row] of rows.entries())
      expect(row).toMatch(new RegExp(`${shards[i]!.log}  ${root!.log.slice(0, 8)}$`))
  })
})

describe('on a store of two shards,', () => {
  test('inspect shows both as one store, and the family of its logs', async () => {
    const run = runIn(await filled())
    await run('split . --at 4')
    const [facts] = (await linesOf(run, 'inspect . --json')) as [{ family: { log: string; children: string[] }[] }]
    expect(facts).toMatchObject({
      partitions: 8,
      logId: null,
      keys: { count: 20, exact: true },
      shards: [
        { first: 0, last: 3 },
        { first: 4, last: 7 },
      ],
      family: [
        { first: 0, last: 7, sealed: expect.any(Number) as number },
        { first: 0, last: 3 },
        { first: 4, last: 7 },
      ],
    })
    const [root, ...children] = facts.family
    expect(root!.children).toEqual(children.map(({ log }) => log))
    const { out } = await run('inspect .')
    expect(out).toContain('\nshards      0-3, 4-7\n')
    expect(out).toMatch(
      /log +partitions +came to\n\w{8} +0-7 +sealed by entry \d+, then \w{8}, \w{8}\n\w{8} +0-3 +lives\n/,
    )
    const [one] = (await linesOf(run, 'inspect . --partition 5 --json')) as [{ logId: string }]
    expect(one.logId).toBe(children[1]!.log)
  })

  test('keys are read and written where they are, whether a partition is named or not', async () => {
    const folder = await filled()
    const run = runIn(folder)
    await run('split . --at 4')
    for (let i = 0; i < 8; i++) {
      expect((await run(`put . k${i} ${i + 100}`)).out).toMatch(/^Written as version \d+ of store "orders"\.\n$/)
      expect((await run(`get . k${i}`)).out).toBe(`${i + 100}\n`)
    }
    expect((await run('delete . k3')).code).toBe(0)
    expect((await run('get . k3')).err).toMatch(/NOT_FOUND/)
    expect((await run('put . only 1 --partition 6')).code).toBe(0)
    expect((await run('get . only --partition 6')).out).toBe('1\n')
    const store = await openStore({ storage: nodeFs(folder), name: 'orders', mode: 'follower' })
    expect(await store.partition(6).get('only')).toBe(1)
    await store.close()
  })

  test('writing commands take the shard of --partition, and say so when none is named', async () => {
    const run = runIn(await filled())
    await run('split . --at 4')
    for (const line of ['restore . 2']) {
      expect((await run(line)).err).toBe(
        'tidemark: INVALID_ARGUMENT: Store "orders" has 2 shards (0-3, 4-7): name one by --partition, with a partition of it.\n',
      )
    }
    expect((await run('tag . t --partition 1')).out).toMatch(/^Tag "t" keeps version \d+/)
    await run('put . k2 changed')
    await run('delete . k2')
    const { out } = await run('restore . t --partition 0 1 2 3')
    expect(out).toMatch(/^Version \d+ is put back as version \d+/)
    expect((await run('untag . t --partition 1')).code).toBe(0)
    expect((await run('get . k1 --partition 9')).err).toMatch(
      /INVALID_ARGUMENT: --partition: store "orders" has no partition 9/,
    )
  })

  test('tag, restore and untag are of all shards where no partition is named', async () => {
    const run = runIn(await filled())
    await run('split . --at 4')
    expect((await run('tag . t')).out).toBe('Tag "t" keeps a version of each shard: 6 of 0-3, 6 of 4-7.\n')
    expect((await run('tag . u --at 6')).err).toMatch(/INVALID_ARGUMENT: --at: each shard has versions of its own/)
    const before = (await run('scan . --json')).out
    for (let i = 0; i < 4; i++) await run(`put . k${i} changed --text`)
    const tried = await run('restore . t --dry-run')
    expect([tried.out, tried.err]).toEqual(['What was then in each shard would be put back, and 4 keys change.\n', ''])
    const some = (await run('restore . t --dry-run --partition 0 1 2 3')).out
    const others = (await run('restore . t --dry-run --partition 4 5 6 7')).out
    const changes = [some, others].map((text) => Number(/and (\d+) keys? changes?\./.exec(text)?.[1]))
    expect(changes[0]! + changes[1]!).toBe(4)
    expect((await run('restore . t')).out).toMatch(
      /^Each shard is put back as it was: version \d+ of 0-3, version \d+ of 4-7\.\n$/,
    )
    expect((await run('scan . --json')).out).toBe(before)
    expect((await run('restore . none')).err).toMatch(/NOT_FOUND/)
    expect((await run('untag . t')).out).toBe('Tag "t" is gone.\n')
    expect((await run('untag . t')).err).toMatch(/NOT_FOUND/)
  })

  test('maintain sees to one shard after another, or to that of --partition', async () => {
    const run = runIn(await filled())
    await run('split . --at 4')
    expect((await run('maintain .')).out).toMatch(/^Partitions 0 to 3:\nfolded [^]*\n\nPartitions 4 to 7:\nfolded /)
    expect(await linesOf(run, 'maintain . --dry-run --json')).toMatchObject([
      { first: 0, last: 3, deleted: {} },
      { first: 4, last: 7, deleted: {} },
    ])
    expect((await run('maintain . --partition 6')).out).toMatch(/^Partitions 4 to 7:\nfolded [^:]*$/)
    expect((await run('verify .')).code).toBe(0)
  })

  test.each(['fork . f', 'push . copy', 'export . x.zip', 'backups .'])(
    '%s says that one shard is needed',
    async (line) => {
      const run = runIn(await filled())
      await run('split . --at 4')
      const { code, err } = await run(line)
      expect(code).toBe(1)
      expect(err).toMatch(
        /INVALID_ARGUMENT: Store "orders" has 2 shards, and only a store of one can be (?:forked|copied) as yet\. Bring them together first, by `tidemark rescale` with --shards 1\./,
      )
    },
  )

  test('they do so once it is one shard again', async () => {
    const run = runIn(await filled())
    const before = (await run('scan . --json')).out
    await run('split . --at 4')
    await run('rescale . --shards 1')
    for (const line of ['push . copy', 'export . x.zip', 'fork . f', 'tag . t', 'versions .', 'verify .']) {
      expect([line, (await run(line)).err]).toEqual([line, ''])
    }
    await run('import other x.zip')
    for (const place of ['copy', 'other', '. --store f']) expect((await run(`scan ${place} --json`)).out).toBe(before)
    expect((await run('backups .')).out).toMatch(/^backup .*\nt /)
  })

  test('stores lists it, and destroy removes all of it', async () => {
    const folder = await filled()
    const run = runIn(folder)
    await run('split . --at 4')
    expect((await run('stores .')).out).toMatch(/^store .*\norders +6 /)
    expect((await run('destroy . --yes')).out).toBe('Store "orders" is gone.\n')
    expect((await run('stores .')).out).toBe('There is no store in ..\n')
  })
})

describe('where a group shares out the shards,', () => {
  test('shards names the owner, and writing takes --force', async () => {
    const storage = memory()
    const run = (line: string): Promise<Ran> => cli(line.split(' '), { open: () => storage })
    const group = await joinGroup({ storage, name: 'orders', partitions: 4 })
    const source = { name: 'none', read: nothing }
    const running = group.run(source, () => undefined)
    const owner = async (): Promise<unknown> =>
      ((await linesOf(run, 'shards . --json')) as { owner: unknown }[]).map((shard) => shard.owner)[0]
    await expect.poll(owner).toMatchObject({ generation: expect.any(Number) as number, released: false, trial: false })
    const { member } = (await owner()) as { member: string }
    expect((await run('shards .')).out).toContain(`  ${member.slice(0, 8)}  `)
    expect((await run('put . k 1')).err).toBe(
      'tidemark: CONFLICT: A member of a group owns this shard of store "orders". Write through the group, or add --force when no member lives.\n',
    )
    expect((await run('get . k')).err).toMatch(/NOT_FOUND/)
    expect(await run('put . k 1 --force')).toMatchObject({ code: 0, err: '' })
    expect((await run('get . k')).out).toBe('1\n')
    await group.leave()
    await running
  })

  test('split and merge are done by its members, who own what comes of it', async () => {
    const storage = memory()
    const run = (line: string): Promise<Ran> => cli(line.split(' '), { open: () => storage })
    const group = await joinGroup({ storage, name: 'orders', partitions: 8, leaseMs: 1_500 })
    const ended: unknown[] = []
    group.on('rebalance', ({ lost }) => ended.push(...lost))
    const running = group.run({ name: 'none', read: nothing }, () => undefined)
    expect((await run('split . --at 2,4')).out).toBe('Store "orders" has 3 shards now: 0-1, 2-3, 4-7.\n')
    expect((await run('merge . --first 0 --last 3')).out).toBe('Store "orders" has 2 shards now: 0-3, 4-7.\n')
    expect(group.assignment()).toMatchObject([{ first: 0 }, { first: 4 }])
    const { member } = group.status()
    const owner = { member, released: false }
    expect(await linesOf(run, 'shards . --json')).toMatchObject([{ owner }, { owner }])
    await group.leave()
    await running
    expect(ended).toEqual([])
  })
})

/** Events that never come. */
async function* nothing(_: number, __: unknown, { signal }: ReadOptions): AsyncGenerator<SourceEvent> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  yield* []
}
