/** `get`: values and keys of every kind, tables, partitions and codecs. */
import fc from 'fast-check'
import type { Codec } from 'tidemark'
import { describe, expect, test } from 'vitest'
import { encodeKey } from '../../src/bytes/keys.js'
import { keyOfJson, taggedJson } from '../../src/cli/json.js'
import { keys } from '../support/arbitraries.js'
import { cli, parseLines, storeWith, upper } from '../support/cli.js'

describe('get', () => {
  test('prints a value as JSON that a person can read', async () => {
    const folder = await storeWith(async (store) => {
      store.put('o-1', { total: 12, note: 'x' })
      await store.commit()
    })
    const { code, out, err } = await cli(['get', folder, 'o-1'])
    expect([code, out, err]).toEqual([0, '{\n  "total": 12,\n  "note": "x"\n}\n', ''])
  })

  const rich = {
    big: 5n,
    when: new Date(0),
    bytes: new Uint8Array([1, 2, 255]),
    map: new Map<unknown, unknown>([['k', new Set([1, Number.NaN])]]),
    none: [],
  }

  test('has words for what JSON has none for', async () => {
    const folder = await storeWith(async (store) => {
      store.put('k', rich)
      await store.commit()
    })
    expect((await cli(['get', folder, 'k'])).out).toBe(
      [
        '{',
        '  "big": 5n,',
        '  "when": Date(1970-01-01T00:00:00.000Z),',
        '  "bytes": <3 bytes 0102ff>,',
        '  "map": Map {',
        '    "k": Set [',
        '      1,',
        '      NaN',
        '    ]',
        '  },',
        '  "none": []',
        '}',
        '',
      ].join('\n'),
    )
  })

  test('prints the tags of the default codec with --json', async () => {
    const folder = await storeWith(async (store) => {
      store.put('k', rich)
      store.put('bytes', new Uint8Array([1, 2]))
      await store.commit()
    })
    expect(parseLines((await cli(['get', folder, 'k', '--json'])).out)).toEqual([
      {
        big: { $bigint: '5' },
        when: { $date: 0 },
        bytes: { $bytes: 'AQL/' },
        map: { $map: [['k', { $set: [1, { $number: 'NaN' }] }]] },
        none: [],
      },
    ])
    expect((await cli(['get', folder, 'bytes', '--json'])).out).toBe('{"$bytes":"AQI="}\n')
  })

  test.each([
    ['a number', 5, '5'],
    ['a bigint', 5n, '{ "$bigint": "5" }'],
    ['bytes', new Uint8Array([1, 2]), '{"$bytes":"AQI="}'],
    ['an array', ['a', 1, [new Uint8Array([3]), 2n]], '["a", 1, [{"$bytes":"Aw=="}, {"$bigint":"2"}]]'],
    ['a string', '5', '"5"'],
  ])('finds the key that is %s, written in JSON', async (_, key, json) => {
    const folder = await storeWith(
      async (store) => {
        for (const other of [5, 5n, '5', [5]]) store.put(other, 'other')
        store.put(key, 'this')
        await store.commit()
      },
      { partitions: 3 },
    )
    expect((await cli(['get', folder, '--json-key', json])).out).toBe('"this"\n')
  })

  test('takes plain text for a string, and -- before one that begins with a dash', async () => {
    const folder = await storeWith(async (store) => {
      store.put('5', 'string')
      store.put(5, 'number')
      store.put('--json', 'dash')
      await store.commit()
    })
    expect((await cli(['get', folder, '5'])).out).toBe('"string"\n')
    expect((await cli(['get', folder, '--', '--json'])).out).toBe('"dash"\n')
  })

  test('looks into a table, and into a partition', async () => {
    const folder = await storeWith(
      async (store) => {
        store.partition(1).put('k', 'in 1')
        store.partition(2).put('k', 'in 2')
        store.partition(2).table('t').put('k', 't in 2')
        await store.commit()
      },
      { partitions: 3 },
    )
    expect((await cli(['get', folder, 'k', '--partition', '1'])).out).toBe('"in 1"\n')
    expect((await cli(['get', folder, 'k', '--partition', '2', '--table', 't'])).out).toBe('"t in 2"\n')
    const absent = await cli(['get', folder, 'k', '--partition', '1', '--table', 't'])
    expect(absent.err).toBe('tidemark: NOT_FOUND: There is no key "k" in partition 1 of table "t" of store "orders".\n')
  })

  test.each([true, false])('shows the bytes of another codec, folded: %s', async (folded) => {
    const folder = await storeWith(
      async (store) => {
        store.put('k', 'ada')
        store.table('json').put('k', 'Ada')
        await store.commit()
        if (folded) await store.checkpoint()
      },
      { codec: upper as Codec<unknown> },
    )
    expect((await cli(['get', folder, 'k'])).out).toBe('<3 bytes 414441>\n')
    expect((await cli(['get', folder, 'k', '--json'])).out).toBe('{"$bytes":"QURB"}\n')
    expect((await cli(['get', folder, 'k', '--table', 'json'])).out).toBe('"Ada"\n')
  })
})

test('each key is found by the JSON that shows it', () => {
  fc.assert(
    fc.property(keys, (key) => {
      expect(encodeKey(keyOfJson(taggedJson(key)))).toEqual(encodeKey(key))
    }),
    { numRuns: 1000 },
  )
  for (const text of ['{"$date":null}', '[undefined]', '{}', '['.repeat(200_000)]) {
    expect(() => keyOfJson(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  }
})
