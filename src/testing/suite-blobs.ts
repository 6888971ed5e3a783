import type { Storage } from '../storage/contract.js'
import { check, equal, equalAbsent, equalBytes, pattern, text, type Promised } from './assert.js'

const at = (name: string): string => `orders/0/id/seg/${name}`

/** All names under `prefix`, `limit` at a time. */
async function listed(storage: Storage, prefix: string, limit?: number): Promise<string[]> {
  const names: string[] = []
  for (let after: string | undefined; ; after = names.at(-1)) {
    const { items, more } = await storage.blobs.list(prefix, { after, limit })
    if (limit !== undefined) check(items.length <= limit, `a list of at most ${limit} has ${items.length} items`)
    for (const { name } of items) {
      check(after === undefined || name > after, `${name} is listed after ${after}`)
      names.push(name)
    }
    if (!more) return names
    check(items.length > 0, 'a list without items says that more follow')
  }
}

async function put(storage: Storage, ...names: string[]): Promise<void> {
  await Promise.all(names.map((name) => storage.blobs.put(name, text(name))))
}

export const blobTests: readonly Promised[] = [
  [
    'blobs: one that was never put is absent, an empty one is not',
    async ({ blobs }) => {
      equalAbsent((await blobs.get(at('a'))).bytes, 'a blob that was never put')
      equalAbsent((await blobs.get(at('a'), { range: { offset: 2, length: 4 } })).bytes, 'a range of an absent blob')
      await blobs.put(at('a'), new Uint8Array(0))
      equalBytes((await blobs.get(at('a'))).bytes, new Uint8Array(0), 'an empty blob')
    },
  ],
  [
    'blobs: 1 byte and 5 MiB read back byte for byte',
    async ({ blobs }) => {
      for (const length of [1, 5 << 20]) {
        const bytes = pattern(length, length)
        await blobs.put(at(`s${length}`), bytes)
        equalBytes((await blobs.get(at(`s${length}`))).bytes, bytes, `a blob of ${length} bytes`)
      }
    },
  ],
  [
    'blobs: part of a larger buffer is stored as that part alone',
    async ({ blobs }) => {
      const buffer = pattern(300)
      await blobs.put(at('part'), buffer.subarray(100, 200))
      equalBytes((await blobs.get(at('part'))).bytes, buffer.slice(100, 200), 'a blob put from a subarray')
    },
  ],
  [
    'blobs: a put that is repeated does no harm',
    async ({ blobs }) => {
      await blobs.put(at('a'), text('same'))
      await blobs.put(at('a'), text('same'))
      equalBytes((await blobs.get(at('a'))).bytes, text('same'), 'a blob put twice')
    },
  ],
  [
    'blobs: a range answers its part, at the start, in the middle and at the end',
    async ({ blobs }) => {
      const bytes = pattern(70_000)
      await blobs.put(at('a'), bytes)
      for (const [offset, length] of [
        [0, 1],
        [0, 70_000],
        [12_345, 40_000],
        [69_999, 1],
      ] as const) {
        const part = (await blobs.get(at('a'), { range: { offset, length } })).bytes
        equalBytes(part, bytes.slice(offset, offset + length), `${length} bytes at ${offset}`)
      }
    },
  ],
  [
    'blobs: a range that is read at once is what is waited for, and what is not all there is not read at once',
    async ({ blobs }) => {
      if (!blobs.getNow) return
      const now = (name: string, offset: number, length: number): Uint8Array | undefined => {
        try {
          return blobs.getNow?.(at(name), { offset, length })
        } catch {
          return undefined
        }
      }
      const bytes = pattern(100)
      await blobs.put(at('a'), bytes)
      equalBytes((await blobs.get(at('a'))).bytes, bytes, 'a blob')
      for (const [offset, length] of [
        [0, 100],
        [0, 1],
        [40, 20],
        [99, 1],
      ] as const) {
        const part = now('a', offset, length)
        if (part) equalBytes(part, bytes.slice(offset, offset + length), `${length} bytes from ${offset} on, at once`)
      }
      equalAbsent(now('a', 90, 20), 'a range that ends beyond the end, at once')
      equalAbsent(now('b', 0, 1), 'a range of an absent blob, at once')
      await blobs.delete([at('a')])
      equalAbsent(now('a', 0, 1), 'a range of a deleted blob, at once')
    },
  ],
  [
    'blobs: a range beyond the end is shorter, never absent',
    async ({ blobs }) => {
      const bytes = pattern(100)
      await blobs.put(at('a'), bytes)
      for (const offset of [90, 100, 200]) {
        const part = (await blobs.get(at('a'), { range: { offset, length: 50 } })).bytes
        equalBytes(part, bytes.slice(offset), `50 bytes at ${offset} of 100`)
      }
    },
  ],
  [
    'blobs: bytes passed in and bytes returned stay as they are while the storage goes on',
    async ({ blobs }) => {
      const given = pattern(9000, 1)
      await blobs.put(at('a'), given)
      const { bytes } = await blobs.get(at('a'))
      const part = (await blobs.get(at('a'), { range: { offset: 10, length: 5000 } })).bytes
      for (let i = 0; i < 8; i++) {
        await blobs.put(at(`b${i}`), pattern(9000, 100 + i))
        await blobs.get(at(`b${i}`))
      }
      equalBytes(given, pattern(9000, 1), 'bytes passed in')
      equalBytes(bytes, pattern(9000, 1), 'bytes returned')
      equalBytes(part, pattern(9000, 1).slice(10, 5010), 'a range returned')
    },
  ],
  [
    'blobs: unusual names of the legal characters are names like any other',
    async (storage) => {
      const names = ['-', '_', '0', 'a..b', '.hidden', 'x.tmp', 'x.lock', '__proto__', 'a'.repeat(120)].map(at)
      names.push('-/0/_/pins/..a', '.orders/0/id/seg/a', 'log/0/log/pins/log')
      await put(storage, ...names)
      for (const name of names) equalBytes((await storage.blobs.get(name)).bytes, text(name), name)
      equal(await listed(storage, ''), names.toSorted(), 'the names listed')
    },
  ],
  [
    'blobs: a list is in the order of the whole name, over all folders',
    async (storage) => {
      // '-' and '.' come before '/', digits and letters after it.
      const names = [
        'a/0/id/seg/x',
        'a-b/0/id/seg/x',
        'a.b/0/id/seg/x',
        'a0/0/id/seg/x',
        'ab/0/id/seg/x',
        'a/0/id/seg/x-y',
      ]
      await put(storage, ...names)
      equal(await listed(storage, ''), names.toSorted(), 'the names listed')
    },
  ],
  [
    'blobs: a prefix may end anywhere in a name',
    async (storage) => {
      const names = [at('ab'), at('abc'), at('b'), 'orders/0/id/pins/ab', 'orders/1/id/seg/ab', 'orders-2/0/id/seg/ab']
      await put(storage, ...names)
      for (const prefix of ['orders/0/', 'orders/0/id/s', at(''), at('a'), at('ab'), 'orders', at('x'), 'x']) {
        const expected = names.filter((name) => name.startsWith(prefix)).sort()
        equal(await listed(storage, prefix), expected, `names that begin with ${prefix}`)
      }
    },
  ],
  [
    'blobs: pages of a list hold every name once; after and more are exact',
    async (storage) => {
      const names = Array.from({ length: 25 }, (_, i) => at(String(i).padStart(3, '0')))
      await put(storage, ...names)
      for (const limit of [1, 5, 7, 24, 25, 26]) {
        equal(await listed(storage, at(''), limit), names, `the names listed, ${limit} at a time`)
      }
      const { blobs } = storage
      equal((await blobs.list(at(''), { limit: 25 })).more, false, 'more, after the last name')
      equal((await blobs.list(at(''), { limit: 24 })).more, true, 'more, before the last name')
      const rest = await blobs.list(at(''), { after: at('0215') })
      equal(
        rest.items.map((item) => item.name),
        names.slice(22),
        'names after one that does not exist',
      )
      equal((await blobs.list(at(''), { after: at('024') })).items, [], 'names after the last')
    },
  ],
  [
    'blobs: a list tells the size of each blob, and nothing when there is none',
    async ({ blobs }) => {
      const empty = await blobs.list(at(''))
      equal([empty.items, empty.more], [[], false], 'the list of an empty storage')
      for (const size of [0, 1, 100_000]) await blobs.put(at(`s${size}`), pattern(size))
      const { items } = await blobs.list(at(''))
      equal(
        items.map(({ name, size }) => [name, size]),
        [0, 1, 100_000].map((n) => [at(`s${n}`), n]),
        'the sizes',
      )
    },
  ],
  [
    'blobs: neither log entries nor anchors are listed',
    async (storage) => {
      for (const shard of [0, 1]) {
        const log = storage.log(`orders/${shard}/id`)
        await log.claim(1, text('fence'), 1)
        for (let n = 2; n <= 5; n++) await log.append(n, text(`entry ${n}`), 1)
        await storage.anchor(`orders/${shard}/anchor`).swap(undefined, text('anchor'), 0)
        await log.close()
      }
      const names = ['orders/0/id/pins/p', 'orders/0/id/seg/s', 'orders/1/id/seg/s']
      await put(storage, ...names)
      for (const limit of [undefined, 1, 2]) equal(await listed(storage, '', limit), names, 'all that is listed')
    },
  ],
  [
    'blobs: deleted ones are absent and not listed; one that is absent counts as removed',
    async (storage) => {
      await put(storage, at('a'), at('b'), at('c'))
      await storage.blobs.delete([at('a'), at('never'), at('c')])
      await storage.blobs.delete([at('a')])
      await storage.blobs.delete([])
      equalAbsent((await storage.blobs.get(at('a'))).bytes, 'a deleted blob')
      equal(await listed(storage, ''), [at('b')], 'what is left')
    },
  ],
  [
    'blobs: 32 puts at once are all stored, 32 reads at once are all answered',
    async (storage) => {
      const names = Array.from({ length: 32 }, (_, i) => at(`n${i}`))
      await put(storage, ...names)
      const answers = await Promise.all(names.map((name) => storage.blobs.get(name)))
      answers.forEach(({ bytes }, i) => equalBytes(bytes, text(names[i]!), names[i]!))
    },
  ],
  [
    'blobs: a read beside a put finds the whole blob or none',
    async ({ blobs }) => {
      const bytes = pattern(1 << 20)
      const putting = blobs.put(at('a'), bytes)
      for (let i = 0; i < 8; i++) {
        const found = (await blobs.get(at('a'))).bytes
        if (found) equalBytes(found, bytes, 'a blob that is being put')
      }
      await putting
      equalBytes((await blobs.get(at('a'))).bytes, bytes, 'a blob that was put')
    },
  ],
]
