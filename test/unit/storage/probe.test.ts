import { describe, expect, test } from 'vitest'
import { memory } from '../../../adapters/memory/index.js'
import { systemClock } from '../../../src/clock.js'
import { TidemarkError } from '../../../src/errors.js'
import type { Anchor, Log, Outcome, Storage } from '../../../src/storage/contract.js'
import { metered } from '../../../src/storage/metered.js'
import { isProbe } from '../../../src/storage/probe-name.js'
import { probe } from '../../../src/storage/probe.js'
import { faulty } from '../../../src/testing/index.js'

type Broken = { log?: (log: Log, path: string) => Partial<Log>; anchor?: (anchor: Anchor) => Partial<Anchor> }

/** `memory()` with some methods replaced. */
function broken({ log, anchor }: Broken, inner = memory()): Storage {
  return {
    ...inner,
    log(path) {
      const handle = inner.log(path)
      return { ...handle, ...log?.(handle, path) }
    },
    anchor(path) {
      const handle = inner.anchor(path)
      return { ...handle, ...anchor?.(handle) }
    },
  }
}

async function refusal(storage: Storage): Promise<string> {
  const error: unknown = await probe(storage, 'orders/0', systemClock).catch((e: unknown) => e)
  expect(error).toMatchObject({ code: 'STORAGE_UNSAFE', retryable: false })
  return (error as TidemarkError).message
}

const committed = (): Promise<Outcome> => Promise.resolve({ outcome: 'committed' })

test('a safe storage passes, in 68 calls at most, and nothing is left behind', async () => {
  const inner = memory()
  const storage = metered(inner)
  await probe(storage, 'orders/0', systemClock)
  const { put, get, list, delete: deletes } = storage.usage().requests
  expect(put + get + list + deletes).toBe(68)
  expect((await inner.blobs.list('')).items).toEqual([])
  expect((await inner.logs('')).paths).toEqual([])
  const writer = metered(broken({}, { ...memory(), capabilities: { name: 'objects', trim: 'writer' } }))
  await probe(writer, 'orders/0', systemClock)
  expect(Object.values(writer.usage().requests).reduce((a, b) => a + b)).toBe(67)
})

test('each storage object is probed once, and again when it failed', async () => {
  let fail = true
  const storage = metered(faulty(memory(), ({ index }) => (fail && index === 40 ? 'error-before' : undefined)))
  await expect(probe(storage, 'orders/0', systemClock)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  fail = false
  await probe(storage, 'orders/0', systemClock)
  const before = storage.usage()
  await probe(storage, 'users/0', systemClock)
  expect(storage.usage()).toEqual(before)
})

test('the probe of a storage in use disturbs nobody, and its names are told from those of stores', async () => {
  const storage = memory()
  const log = storage.log('orders/0/id')
  await log.claim(1, new Uint8Array(1), 1)
  await storage.anchor('orders/0/anchor').swap(undefined, new Uint8Array(1), 9)
  await probe(storage, 'orders/0', systemClock)
  expect((await log.list(1)).numbers).toEqual([1])
  expect(isProbe('orders/0/probe-00112233aabbccdd/entries')).toBe(true)
  expect(isProbe('probe-00112233aabbccdd/0/id')).toBe(false)
  expect(isProbe('orders/0/probe-1')).toBe(false)
})

describe('refused, with what is wrong and what it means', () => {
  test('a storage that ignores the condition of a create', async () => {
    const inner = memory()
    const entries = new Map<string, Uint8Array>()
    const storage = broken(
      {
        log: (_, path) => ({
          claim: (_n, bytes) => {
            entries.set(path, bytes)
            return committed()
          },
          read: () => Promise.resolve({ bytes: entries.get(path) }),
        }),
      },
      inner,
    )
    expect(await refusal(storage)).toBe(
      'The storage memory accepted 32 of 32 creates of one entry at once. Two writers could both be told that their ' +
        'commit is durable, and one of the two would be gone. Nothing was stored; use a storage, or a release of this ' +
        'one, that enforces conditional writes and reads its own writes.',
    )
  })

  test('one that enforces it only when nobody else writes', async () => {
    const storage = broken({
      log: (log) => ({
        async claim(n, bytes, from) {
          const { bytes: there } = await log.read(n)
          await systemClock.pause()
          if (there) return { outcome: 'lost' }
          await log.claim(n, bytes, from)
          return { outcome: 'committed' }
        },
      }),
    })
    expect(await refusal(storage)).toContain('accepted 32 of 32 creates of one entry at once')
  })

  test('one that enforces it only at once', async () => {
    let claims = 0
    const storage = broken({
      log: (log) => ({ claim: (...args) => (++claims > 32 ? committed() : log.claim(...args)) }),
    })
    expect(await refusal(storage)).toContain('accepted a create of an entry that exists')
  })

  test('one that answers lost to the write that it made', async () => {
    const storage = broken({
      log: (log) => ({ claim: (...args) => log.claim(...args).then(() => ({ outcome: 'lost' }) as const) }),
    })
    expect(await refusal(storage)).toContain('refused all of 32 creates of one entry')
  })

  test('one that ignores the token of a swap', async () => {
    const storage = broken({
      anchor: (anchor) => ({
        async swap(token, bytes, trim) {
          for (;;) {
            const there = await anchor.read()
            const answer = await anchor.swap(token && there.token, bytes, trim)
            if (answer.outcome === 'committed' || token === undefined) return answer
          }
        },
      }),
    })
    expect(await refusal(storage)).toContain('accepted 16 of 16 swaps with one token at once')
  })

  test('one that overwrites what should be created', async () => {
    const storage = broken({
      anchor: (anchor) => ({
        async swap(token, bytes, trim) {
          return anchor.swap(token ?? (await anchor.read()).token, bytes, trim)
        },
      }),
    })
    expect(await refusal(storage)).toContain('accepted a create of an object that exists')
  })

  test('one that creates trimmed entries although it says that it does not', async () => {
    const storage = broken({ anchor: (anchor) => ({ swap: (token, bytes) => anchor.swap(token, bytes, 0) }) })
    expect(await refusal(storage)).toContain('accepted a create of an entry that is trimmed')
  })

  test('one that does not read what was just written: entries, anchors, blobs, lists', async () => {
    const inner = memory()
    const absent = { bytes: undefined, token: undefined }
    expect(await refusal(broken({ log: () => ({ read: () => Promise.resolve(absent) }) }))).toContain(
      'returned another',
    )
    expect(await refusal(broken({ anchor: () => ({ read: () => Promise.resolve(absent) }) }))).toContain(
      'returned nothing for an object that was just created',
    )
    const blobs = inner.blobs
    expect(await refusal({ ...inner, blobs: { ...blobs, get: () => Promise.resolve(absent) } })).toContain(
      'returned nothing for a blob that was just written',
    )
    const none = { items: [], more: false }
    expect(await refusal({ ...inner, blobs: { ...blobs, list: () => Promise.resolve(none) } })).toContain(
      'did not list the one blob that was just written',
    )
    expect(await refusal({ ...inner, blobs: { ...blobs, delete: () => Promise.resolve({}) } })).toContain(
      'returned a blob that was just deleted',
    )
  })

  test('one that reads an anchor from before the swap', async () => {
    let first: Awaited<ReturnType<Anchor['read']>> | undefined
    const storage = broken({
      anchor: (anchor) => ({ read: async () => (first ??= await anchor.read()) }),
    })
    expect(await refusal(storage)).toContain('accepted one of 16 swaps with one token and returned another')
  })

  test('one that ignores ranges', async () => {
    const inner = memory()
    const get: Storage['blobs']['get'] = (name) => inner.blobs.get(name)
    expect(await refusal({ ...inner, blobs: { ...inner.blobs, get } })).toContain(
      'other bytes for 16 bytes at 0 of a blob',
    )
  })
})

test('errors that may pass are thrown as they are, at whatever call', async () => {
  for (let at = 0; at < 60; at++) {
    const storage = faulty(memory(), ({ index }) => (index === at ? 'error-before' : undefined))
    await expect(probe(storage, 'orders/0', systemClock)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  }
})

test('an unknown outcome does not make a storage unsafe: what is read back decides', async () => {
  for (let at = 0; at < 60; at++) {
    for (const fault of ['error-after', 'unknown-before'] as const) {
      const storage = faulty(memory(), ({ index }) => (index === at ? fault : undefined))
      const error: unknown = await probe(storage, 'orders/0', systemClock).catch((e: unknown) => e)
      if (error !== undefined) expect(error, `${fault} at ${at}`).toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    }
  }
})
