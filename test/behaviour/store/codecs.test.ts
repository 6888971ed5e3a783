import { describe, expect, test } from 'vitest'
import { openStore, type Codec, type OpenOptions, type Storage, type Store, type WatchChange } from 'tidemark'
import { memory } from 'tidemark/memory'
import { sleep, systemClock } from '../../../src/clock.js'
import { Memtable } from '../../../src/engine/memtable.js'
import { Point } from '../../../src/engine/point.js'
import { makeSlot, tableBytes } from '../../../src/engine/slot.js'
import { encodeMemtable } from '../../../src/store/specs.js'
import { TableSpec } from '../../../src/store/table-spec.js'
import { collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const wrong = code('INVALID_ARGUMENT')
const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', ...options })
const plusOne: Codec<number> = {
  id: 'plus-one',
  encode: (v) => new TextEncoder().encode(String(v + 1)),
  decode: (b) => Number(new TextDecoder().decode(b)) - 1,
}
const until = async (isDone: () => boolean): Promise<void> => {
  await expect.poll(isDone, { interval: 1 }).toBe(true)
}

describe('a table that another codec wrote', () => {
  test('takes no deletes either: an entry would record the wrong codec', async () => {
    const storage = memory()
    const first = await open(storage)
    const json = first.table<string, number>('users')
    const second = await open(storage)
    second.table('users', { codec: plusOne }).put('a', 41)
    await second.commit()
    await first.reopen()
    expect(() => json.delete('zzz')).toThrow(wrong)
    expect(() => json.deleteRange({ prefix: 'z' })).toThrow(wrong)
    expect(() => json.clear()).toThrow(wrong)
    expect(() => json.batch([{ type: 'del', key: 'zzz' }])).toThrow(wrong)
    await first.commit()
    const third = await open(storage)
    expect(await third.table('users', { codec: plusOne }).get('a')).toBe(41)
    await Promise.all([first.close(), second.close(), third.close()])
  })

  test('is refused at commit for whatever is buffered', () => {
    const slot = makeSlot(0, tableBytes('users'))
    const spec = new TableSpec('users', slot.table, {}, { codec: 'plus-one' })
    for (const change of [
      (memtable: Memtable) => memtable.set(slot, 'json', 'a', Point.tombstone()),
      (memtable: Memtable) => memtable.deleteRange(slot, 'json', { lower: slot.prefix, upper: Uint8Array.of(255) }),
    ]) {
      const memtable = new Memtable()
      change(memtable)
      expect(() => encodeMemtable(memtable, () => spec)).toThrow(wrong)
    }
  })
})

test.each<[string, readonly unknown[]]>([
  ['ASCII', ['', 'a', { b: [1, null, true] }]],
  ['of lengths that are no ASCII', ['x'.repeat(126), 'x'.repeat(200), { long: 'y'.repeat(40_000) }, 'z']],
  ['UTF-8 beside ASCII', ['plain', 'é', '\u{1f30a} wave', 'plain too']],
  ['replacement characters beside ASCII', ['\ufffd', 'plain', { '\ufffd': '\ufffd\ufffd' }]],
  ['byte order marks beside ASCII', ['\ufeff', 'plain', '\ufeffplain']],
  ['bytes that are no UTF-8', [Uint8Array.of(0x80, 0xff), 'plain', Uint8Array.of(0xe1, 0x80), Uint8Array.of()]],
  ['bytes that are UTF-8', [Uint8Array.of(0xc3, 0xa9), 'plain', Uint8Array.of(0xef, 0xbb, 0xbf)]],
  ['tagged values', [1n, new Date(5), new Map([['é', new Set([Number.NaN])]]), { $date: 1 }, -0]],
])('a scan of a block gives values as they were put: %s', async (_, values) => {
  const store = await open(memory(), { checkpoint: { entries: 1 } })
  // With lengths before and behind them that are no ASCII either, and without.
  for (const [table, around] of [
    ['alone', []],
    ['among others', ['x'.repeat(150), 'y'.repeat(300)]],
  ] as const) {
    const all = [...around, ...values, ...around]
    const rows = store.table<number, unknown>(table)
    for (const [key, value] of all.entries()) rows.put(key, value)
    await store.commit()
    await store.checkpoint()
    // The first scan loads the block, the second one keeps what it decodes, the third one finds that.
    for (let i = 0; i < 3; i++) expect(await collect(rows.values())).toEqual(all)
    expect(await collect(rows.values({ reverse: true }))).toEqual(all.reverse())
  }
  await store.close()
})

test('a codec may hand out one array again and again, or the value itself', async () => {
  const shared = new Uint8Array(3)
  const reusing: Codec<string> = {
    id: 'reusing',
    encode: (text) => shared.subarray(0, new TextEncoder().encodeInto(text, shared).written),
    decode: (bytes) => new TextDecoder().decode(bytes),
  }
  const same: Codec<Uint8Array> = { id: 'same', encode: (bytes) => bytes, decode: (bytes) => bytes.slice() }
  const storage = memory()
  const store = await open(storage)
  const texts = store.table<string, string>('texts', { codec: reusing })
  for (const text of ['abc', 'de', 'f']) texts.put(text, text)
  // A Buffer's own slice() would be a view of it.
  const bytes = Buffer.from('abc')
  store.table('bytes', { codec: same }).put('a', bytes)
  const committing = store.commit()
  bytes[0] = 0
  await committing
  await store.close()
  const again = await open(storage)
  expect(await collect(again.table('texts', { codec: reusing }).entries())).toEqual([
    ['abc', 'abc'],
    ['de', 'de'],
    ['f', 'f'],
  ])
  expect(new TextDecoder().decode(await again.table('bytes', { codec: same }).get('a'))).toBe('abc')
  await again.close()
})

describe('what get() gives for a committed value', () => {
  class Money {
    constructor(readonly n: number) {}
  }
  const shared = { x: 1 }
  let now = 0
  const put: Record<string, [given: () => unknown, stored: unknown]> = {
    text: [() => 'text', 'text'],
    number: [() => -0, -0],
    bigint: [() => 5n, 5n],
    nothing: [() => null, null],
    money: [() => new Money(5), { n: 5 }],
    plain: [() => ({ a: [1, { b: undefined }], c: shared, d: shared }), { a: [1, {}], c: { x: 1 }, d: { x: 1 } }],
    bytes: [() => Buffer.from([1, 2]), Uint8Array.of(1, 2)],
    boxed: [() => Object(5), 5],
    // eslint-disable-next-line no-sparse-arrays
    holes: [() => [1, , 2], [1, null, 2]],
    saying: [() => ({ toJSON: () => ({ said: 1 }) }), { said: 1 }],
    getter: [
      () => ({
        get a() {
          return now
        },
      }),
      { a: 0 },
    ],
  }

  test.each(['memory', 'resident'])(
    'is what its bytes stand for, at any time and in every way to read (%s)',
    async (kind) => {
      now = 0
      const store = await open(memory(), { resident: kind === 'resident', partitions: 2 })
      const told: WatchChange[] = []
      store.watch({}, (changes) => void told.push(...changes))
      for (const [key, [given]] of Object.entries(put)) store.put(key, given())
      const committing = store.commit()
      const looks = async (): Promise<void> => {
        for (const [key, [, stored]] of Object.entries(put)) {
          expect(await store.get(key), key).toStrictEqual(stored)
          expect(await store.getMany([key])).toStrictEqual([stored])
        }
        const everything = Object.fromEntries(Object.entries(put).map(([key, [, stored]]) => [key, stored]))
        expect(Object.fromEntries(await collect(store.entries()))).toStrictEqual(everything)
      }
      now++
      // On its way, in the tail, in a segment.
      await looks()
      await committing
      await looks()
      expect(store.getSync('money')).toStrictEqual({ n: 5 })
      const snapshot = await store.snapshot()
      expect(await snapshot.get('money')).toStrictEqual({ n: 5 })
      await snapshot.close()
      expect(await store.transaction((tx) => tx.get('money'))).toStrictEqual({ n: 5 })
      await until(() => told.length === Object.keys(put).length)
      for (const { key, after } of told) expect(after).toStrictEqual(put[key as string]![1])
      await store.checkpoint()
      store.put('more', 1)
      await store.commit()
      store.delete('more')
      await store.commit()
      await looks()
      await store.close()
    },
  )

  test('is what its codec makes of the bytes, and damage at once where it can make nothing of them', async () => {
    const upper: Codec<string> = {
      id: 'upper',
      encode: (text) => new TextEncoder().encode(text.toUpperCase()),
      decode: (bytes) => {
        if (bytes.length === 0) throw new Error('nothing there')
        return new TextDecoder().decode(bytes)
      },
    }
    const store = await openStore<string, string>({ storage: memory(), name: 's', codec: upper })
    store.put('a', 'text')
    store.put('b', '')
    expect(await store.get('a')).toBe('text')
    await store.commit()
    expect(await store.get('a')).toBe('TEXT')
    await expect(store.get('b')).rejects.toThrow(code('CORRUPT'))
    await store.close()
  })
})

describe('a codec that works in place, keeps its bytes or gives them away', () => {
  const bytesOf: Codec<Uint8Array> = { id: 'bytes', encode: (value) => value, decode: (bytes) => bytes }
  const inPlace: Codec<number[]> = {
    id: 'in-place',
    encode: (value) => Uint8Array.from(value),
    decode: (bytes) => [...bytes.reverse()],
  }

  test.each(['tail', 'segment', 'resident'])('changes nothing for the next read (%s)', async (where) => {
    const storage = memory()
    const store = await open(storage, { resident: where === 'resident' })
    const first = store.table<number, number[]>('in-place', { codec: inPlace })
    const second = store.table<number, Uint8Array>('bytes', { codec: bytesOf })
    for (let i = 0; i < 20; i++) {
      first.put(i, [i, 1, 2])
      second.put(i, Uint8Array.of(i, 1, 2))
    }
    await store.commit()
    if (where !== 'tail') await store.checkpoint()
    await store.close()
    const again = await open(storage, { resident: where === 'resident' })
    const reversed = again.table<number, number[]>('in-place', { codec: inPlace })
    const kept = again.table<number, Uint8Array>('bytes', { codec: bytesOf })
    for (let round = 0; round < 2; round++) expect(await reversed.get(7)).toEqual([2, 1, 7])
    const mine = (await kept.get(7))!
    expect(mine.buffer.byteLength).toBe(3)
    structuredClone(mine, { transfer: [mine.buffer] })
    expect(await kept.get(8)).toEqual(Uint8Array.of(8, 1, 2))
    const all = await collect(kept.values({ gt: 7 }))
    for (const bytes of all) bytes.fill(0)
    expect(await collect(reversed.values({ gte: 18 }))).toEqual([
      [2, 1, 18],
      [2, 1, 19],
    ])
    const snapshot = await again.snapshot()
    const shown = snapshot.table<number, Uint8Array>('bytes', { codec: bytesOf })
    expect(await collect(shown.values({ gte: 19 }))).toEqual([Uint8Array.of(19, 1, 2)])
    await snapshot.close()
    await again.close()
  })
})

test('keys() and has() decode no value, wherever it is', async () => {
  let decoded = 0
  const counting: Codec<unknown> = {
    id: 'counting',
    encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
    decode: (bytes) => {
      decoded++
      return JSON.parse(new TextDecoder().decode(bytes))
    },
  }
  const storage = memory()
  const store = await openStore<number, unknown>({ storage, name: 's', partitions: 2, codec: counting })
  for (let i = 0; i < 10; i++) store.put(i, { i })
  await store.commit()
  await store.checkpoint()
  for (let i = 10; i < 15; i++) store.put(i, { i })
  await store.commit()
  store.put(15, 1)
  const snapshot = await store.snapshot()
  for (const [place, count] of [
    [store, 16],
    [snapshot, 15],
  ] as const) {
    expect((await collect(place.keys())).length).toBe(count)
    expect((await collect(place.keys({ reverse: true, limit: 3 }))).length).toBe(3)
    expect(await place.has(3)).toBe(true)
    expect(await place.has(12)).toBe(true)
  }
  await store.transaction(async (tx) => {
    expect((await collect(tx.keys({ gte: 5 }))).length).toBe(10)
  })
  expect(decoded).toBe(0)
  await store.get(3)
  expect(decoded).toBe(1)
  await snapshot.close()
  await store.close()
})

describe('a watch', () => {
  test('of a table that nobody has opened settles no codec for it', async () => {
    const store = await open(memory())
    const calls: WatchChange[] = []
    store.watch({ table: 'users' }, (changes) => void calls.push(...changes))
    store.table('users', { codec: plusOne }).put('a', 41)
    await store.commit()
    await until(() => calls.length === 1)
    expect(calls).toEqual([{ key: 'a', after: 41, version: store.version }])
    await store.close()
  })

  test('of a follower says which codec is wanted, and goes on once the table was opened with it', async () => {
    const storage = memory()
    const writer = await open(storage)
    const follower = await open(storage, { mode: 'follower' })
    const warnings: unknown[] = []
    const calls: WatchChange[] = []
    follower.on('warning', ({ cause }) => void warnings.push(cause))
    follower.watch({ table: 'users' }, (changes) => void calls.push(...changes))
    const users = writer.table<string, number>('users', { codec: plusOne })
    const versions: number[] = []
    for (const value of [1, 2]) {
      users.put('a', value)
      versions.push((await writer.commit()).version)
    }
    await follower.refresh()
    await until(() => warnings.length > 0)
    expect(warnings[0]).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Table "users" was written with the codec "plus-one", not "json"; open it with that codec first.',
    })
    expect(calls).toEqual([])
    follower.table('users', { codec: plusOne })
    await until(() => calls.length === 2)
    expect(calls).toEqual([
      { key: 'a', after: 1, version: versions[0] },
      { key: 'a', before: 1, after: 2, version: versions[1] },
    ])
    users.put('a', 3)
    await writer.commit()
    await follower.refresh()
    await until(() => calls.length === 3)
    await Promise.all([writer.close(), follower.close()])
  })

  test('never decodes what another codec wrote meanwhile, even where the table was opened before', async () => {
    const storage = memory()
    const writer = await open(storage)
    const follower = await open(storage, { mode: 'follower' })
    follower.table('users')
    const calls: WatchChange[] = []
    follower.watch({ table: 'users' }, (changes) => void calls.push(...changes))
    writer.table<string, number>('users', { codec: plusOne }).put('a', 41)
    await writer.commit()
    await follower.refresh()
    await sleep(systemClock, 20)
    expect(calls).toEqual([])
    follower.table('users', { codec: plusOne })
    await until(() => calls.length === 1)
    expect(calls[0]).toMatchObject({ key: 'a', after: 41 })
    await Promise.all([writer.close(), follower.close()])
  })
})

test('odd schemas, holes and getters that throw are answered with INVALID_ARGUMENT', async () => {
  const store = await open(memory(), { freeze: true })
  for (const issues of ['bad', 5, [null], [{}], true]) {
    const schema = { '~standard': { version: 1 as const, vendor: 'odd', validate: () => ({ issues }) as never } }
    expect(() => store.table('t', { schema }).put('a', 1)).toThrow(wrong)
  }
  const changes = [{ type: 'put', key: 'a', value: 1 }, , { type: 'put', key: 'b', value: 1 }] // eslint-disable-line no-sparse-arrays
  expect(() => store.batch(changes as never)).toThrow(wrong)
  // eslint-disable-next-line no-sparse-arrays
  await expect(store.getMany([, 1] as never)).rejects.toThrow(wrong)
  const throwing = {
    get a(): never {
      throw new Error('mine')
    },
  }
  expect(() => store.put('a', throwing)).toThrow(wrong)
  expect(await collect(store.keys())).toEqual([])
  await store.close()
})

test('reverse and signal of an iteration are checked', async () => {
  const store = await open(memory())
  expect(() => store.keys({ reverse: 'no' as never })).toThrow(wrong)
  expect(() => store.entries({ reverse: null as never })).toThrow(wrong)
  expect(() => store.values({ signal: 5 as never })).toThrow(wrong)
  expect(await collect(store.keys({ reverse: undefined, signal: undefined }))).toEqual([])
  await store.close()
})
