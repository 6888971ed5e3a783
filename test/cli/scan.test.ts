/** `scan`: ranges, kinds of keys, limits, and what a terminal must not be sent. */
import { Writable } from 'node:stream'
import { openStore, type Codec, type Key, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { describe, expect, test } from 'vitest'
import { cli, parseLines, type Ran } from '../support/cli.js'

async function storageWith(fill: (store: Store) => void, partitions = 1): Promise<Storage> {
  const storage = memory()
  const store = await openStore({ storage, name: 'orders', partitions })
  fill(store)
  await store.commit()
  await store.close()
  return storage
}

function scan(storage: Storage, ...args: string[]): Promise<Ran> {
  return cli(['scan', 'memory', ...args], { open: () => storage })
}

const keysOf = ({ out }: Ran): unknown[] => parseLines(out).map((line) => (line as { key: unknown }).key)

const letters = (store: Store): void => {
  for (const letter of ['a', 'b', 'ba', 'bb', 'c']) store.put(letter, { is: letter })
}

describe('scan', () => {
  test('prints a line for each entry, in the order of keys', async () => {
    const storage = await storageWith((store) => {
      store.put('b', { n: 1, list: [1, 'x'] })
      store.put('a', new Map([[1n, new Date(0)]]))
      store.put(3, 'three')
      store.put(['c', 1], null)
      store.put(new Uint8Array([255]), 1)
    }, 4)
    const { code, out, err } = await scan(storage)
    expect([code, err]).toEqual([0, ''])
    expect(out).toBe(
      [
        '3  "three"',
        '"a"  Map {1n:Date(1970-01-01T00:00:00.000Z)}',
        '"b"  {"n":1,"list":[1,"x"]}',
        '<1 byte ff>  1',
        '["c",1]  null',
        '',
      ].join('\n'),
    )
  })

  test('prints lines of tagged JSON with --json', async () => {
    const storage = await storageWith((store) => {
      store.put(5n, new Set([1]))
      store.put(['k', new Uint8Array([1, 2])], new Uint8Array([3]))
      store.put(-Infinity, { $date: 1 })
    })
    expect(parseLines((await scan(storage, '--json')).out)).toEqual([
      { key: { $number: '-Infinity' }, value: { $object: { $date: 1 } } },
      { key: { $bigint: '5' }, value: { $set: [1] } },
      { key: ['k', { $bytes: 'AQI=' }], value: { $bytes: 'Aw==' } },
    ])
  })

  test.each([
    [
      ['--prefix', 'b'],
      ['b', 'ba', 'bb'],
    ],
    [
      ['--gt', 'b', '--lt', 'c'],
      ['ba', 'bb'],
    ],
    [
      ['--gte', 'b', '--lte', 'c', '--reverse'],
      ['c', 'bb', 'ba', 'b'],
    ],
    [
      ['--limit', '2', '--reverse'],
      ['c', 'bb'],
    ],
    [['--limit', '0'], []],
    [
      ['--json-keys', '--prefix', '"b"'],
      ['b', 'ba', 'bb'],
    ],
  ])('takes %j', async (args, expected) => {
    const storage = await storageWith(letters, 3)
    expect(keysOf(await scan(storage, '--json', ...args))).toEqual(expected)
    expect(parseLines((await scan(storage, '--json', '--keys', ...args)).out)).toEqual(expected.map((key) => ({ key })))
    const lines = (await scan(storage, '--keys', ...args)).out
    expect(lines).toBe(expected.map((key) => `"${key}"\n`).join(''))
  })

  test('takes bounds of other types as JSON', async () => {
    const storage = await storageWith((store) => {
      const keys: Key[] = [1, 2, 30, 5n, ['u', 1], ['u', 2], ['v', 1], new Uint8Array([1])]
      for (const key of keys) store.put(key, 0)
    })
    const json = (...args: string[]): Promise<unknown[]> => scan(storage, '--json', '--json-keys', ...args).then(keysOf)
    expect(await json('--gte', '2', '--lt', '{"$bigint":"0"}')).toEqual([2, 30])
    expect(await json('--prefix', '["u"]')).toEqual([
      ['u', 1],
      ['u', 2],
    ])
    expect(await json('--gte', '{ "$bytes": "AQ==" }', '--lt', '[]')).toEqual([{ $bytes: 'AQ==' }])
  })

  test('looks into tables and partitions', async () => {
    const storage = await storageWith((store) => {
      store.partition(0).put('k', 'p0')
      store.partition(1).put('l', 'p1')
      store.table('t').put('m', 't')
    }, 2)
    expect(keysOf(await scan(storage, '--json'))).toEqual(['k', 'l'])
    expect(keysOf(await scan(storage, '--json', '--partition', '1'))).toEqual(['l'])
    expect(keysOf(await scan(storage, '--json', '--table', 't'))).toEqual(['m'])
  })

  test('shows the bytes of another codec', async () => {
    const codec: Codec<number> = { id: 'byte', encode: (n) => Uint8Array.of(n), decode: (bytes) => bytes[0]! }
    const storage = await storageWith((store) => store.table('t', { codec }).put('k', 7))
    expect((await scan(storage, '--table', 't')).out).toBe('"k"  <1 byte 07>\n')
    expect(parseLines((await scan(storage, '--table', 't', '--json')).out)).toEqual([
      { key: 'k', value: { $bytes: 'Bw==' } },
    ])
  })
})

describe('long output', () => {
  const many = (store: Store): void => {
    for (let i = 0; i < 20_000; i++) store.put(i, 'x'.repeat(20))
  }

  test('ends after 100 lines for a person, who is told so', async () => {
    const storage = await storageWith(many)
    const { out, err } = await scan(storage)
    expect(out.split('\n')).toHaveLength(101)
    expect(err).toBe('tidemark: These are the first 100; --limit shows more.\n')
    const asked = await scan(storage, '--limit', '150')
    expect([asked.out.split('\n').length, asked.err]).toEqual([151, ''])
  })

  test('is complete for a program', async () => {
    const { out } = await scan(await storageWith(many), '--json', '--keys')
    expect(parseLines(out)).toHaveLength(20_000)
  })

  test.each(['EPIPE', 'ERR_STREAM_DESTROYED'])('stops quietly when its reader leaves with %s', async (code) => {
    let writes = 0
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        writes++
        done(writes < 2 ? null : Object.assign(new Error('the reader left'), { code }))
      },
    })
    const storage = await storageWith(many)
    const { code: exit, err } = await cli(['scan', 'memory', '--json'], { open: () => storage, stdout })
    expect([exit, err]).toEqual([0, ''])
    expect(writes).toBe(2)
  })

  test('that cannot be written is a failure', async () => {
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(new Error('no space')) })
    const storage = await storageWith(letters)
    const { code, err } = await cli(['scan', 'memory'], { open: () => storage, stdout })
    expect([code, err]).toEqual([1, 'tidemark: STORAGE_UNAVAILABLE: The output could not be written: no space.\n'])
  })

  test('waits for a slow reader instead of piling up', async () => {
    let waiting = 0
    let most = 0
    const stdout = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, done) {
        waiting += chunk.length
        most = Math.max(most, waiting, stdout.writableLength)
        setImmediate(() => {
          waiting -= chunk.length
          done()
        })
      },
    })
    const storage = await storageWith(many)
    expect((await cli(['scan', 'memory', '--json'], { open: () => storage, stdout })).code).toBe(0)
    expect(most).toBeLessThan(40_000)
  })
})

describe('control characters of what is stored', () => {
  const nasty = '\u001b[31m\u0007\u009b\u202e\r\n\u007f'
  // Everything but printable characters and the ends of lines.
  const unsafe = /[^\n\P{Cc}]|\p{Bidi_Control}/u

  test('reach no terminal, whichever command prints them', async () => {
    const storage = memory()
    const store = await openStore({ storage, name: 'orders', job: nasty })
    const codec: Codec<string> = { id: `id${nasty}`, encode: () => new Uint8Array(1), decode: () => '' }
    store.put(nasty, { [nasty]: [nasty, new Map([[nasty, nasty]])] })
    store.table(nasty, { codec }).put('k', 'v')
    await store.commit({ label: nasty, meta: nasty, offsets: { [nasty]: nasty } })
    await store.close()
    const key = JSON.stringify(nasty)
    for (const args of [
      ['inspect'],
      ['versions'],
      ['scan'],
      ['get', '--json-key', key],
      ['get', `absent${nasty}`],
      ['get', 'absent', '--table', nasty],
      ['get', 'absent', '--table', 'absent'],
    ]) {
      for (const json of [[], ['--json']]) {
        const { out, err } = await cli([args[0]!, 'memory', ...args.slice(1), ...json], { open: () => storage })
        expect([args, unsafe.exec(out), unsafe.exec(err)]).toEqual([args, null, null])
      }
    }
    expect((await scan(storage, '--keys')).out).toBe(String.raw`"\u001b[31m\u0007\u009b\u202e\r\n\u007f"` + '\n')
    expect(keysOf(await scan(storage, '--json'))).toEqual([nasty])
  })
})
