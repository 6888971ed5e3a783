import { expect, test } from 'vitest'
import { memory } from '../../../adapters/memory/index.js'
import { systemClock, type Clock } from '../../../src/clock.js'
import { TidemarkError } from '../../../src/errors.js'
import type { Anchor, Blobs, Log, Storage } from '../../../src/storage/contract.js'
import { storageSuite } from '../../../src/testing/index.js'

interface Parts {
  blobs?: (blobs: Blobs) => Partial<Blobs>
  log?: (log: Log, path: string) => Partial<Log>
  anchor?: (anchor: Anchor) => Partial<Anchor>
  logs?: (storage: Storage) => Storage['logs']
}

/** `memory()` with some methods replaced; what they share is made anew for each storage. */
function broken(make: () => Parts): () => Storage {
  return () => {
    const inner = memory({ clock: systemClock })
    const parts = make()
    return {
      capabilities: inner.capabilities,
      blobs: { ...inner.blobs, ...parts.blobs?.(inner.blobs) },
      log(path) {
        const log = inner.log(path)
        return { ...log, ...parts.log?.(log, path) }
      },
      anchor(path) {
        const anchor = inner.anchor(path)
        return { ...anchor, ...parts.anchor?.(anchor) }
      },
      logs: parts.logs?.(inner) ?? ((prefix, options) => inner.logs(prefix, options)),
    }
  }
}

/**
 * Counts turns of the event loop and not time: however busy the machine is, whatever answers at all has answered by then, for
 * this storage waits for nothing.
 */
const patient: Clock = {
  ...systemClock,
  timer(_, run) {
    let left = 20_000
    const turn = (): void => void (left-- > 0 ? setImmediate(turn) : left > -2 && run())
    turn()
    return () => (left = -2)
  },
}

/** Those of the promises that a storage does not keep, of all or of one alone. */
async function unkept(create: () => Storage, promise?: string): Promise<string[]> {
  const runs: Array<Promise<string | undefined>> = []
  storageSuite({
    create,
    clock: patient,
    test(name, run) {
      if (promise !== undefined && name !== promise) return
      runs.push(
        run().then(
          () => undefined,
          () => name,
        ),
      )
    },
  })
  return (await Promise.all(runs)).filter((name) => name !== undefined)
}

const committed = { outcome: 'committed' } as const
const hang = (): Promise<never> => new Promise(() => {})

test('the suite finds nothing wrong with memory', async () => {
  expect(await unkept(() => memory())).toEqual([])
})

const MISTAKES: ReadonlyArray<readonly [mistake: string, found: string, parts: () => Parts]> = [
  [
    'an empty blob is taken for absent',
    'blobs: one that was never put is absent, an empty one is not',
    () => ({
      blobs: (blobs) => ({
        async get(name, options) {
          const answer = await blobs.get(name, options)
          return { ...answer, bytes: answer.bytes?.length ? answer.bytes : undefined }
        },
      }),
    }),
  ],
  [
    'the whole buffer is stored for a part of it',
    'blobs: part of a larger buffer is stored as that part alone',
    () => ({ blobs: (blobs) => ({ put: (name, bytes) => blobs.put(name, new Uint8Array(bytes.buffer)) }) }),
  ],
  [
    'a range is ignored',
    'blobs: a range answers its part, at the start, in the middle and at the end',
    () => ({ blobs: (blobs) => ({ get: (name) => blobs.get(name) }) }),
  ],
  [
    'a range beyond the end is refused',
    'blobs: a range beyond the end is shorter, never absent',
    () => ({
      blobs: (blobs) => ({
        async get(name, options) {
          const answer = await blobs.get(name, options)
          return options?.range && answer.bytes?.length === 0 ? { bytes: undefined } : answer
        },
      }),
    }),
  ],
  [
    'a Buffer is returned',
    'blobs: 1 byte and 5 MiB read back byte for byte',
    () => ({
      blobs: (blobs) => ({
        async get(name, options) {
          const { bytes } = await blobs.get(name, options)
          return { bytes: bytes && Buffer.from(bytes) }
        },
      }),
    }),
  ],
  [
    'one buffer is used for all reads',
    'blobs: bytes passed in and bytes returned stay as they are while the storage goes on',
    () => {
      const buffer = new Uint8Array(6 << 20)
      return {
        blobs: (blobs) => ({
          async get(name, options) {
            const { bytes } = await blobs.get(name, options)
            if (bytes) buffer.set(bytes)
            return { bytes: bytes && buffer.subarray(0, bytes.length) }
          },
        }),
      }
    },
  ],
  [
    'a list goes folder by folder',
    'blobs: a list is in the order of the whole name, over all folders',
    () => ({
      blobs: (blobs) => ({
        async list(prefix, options) {
          const answer = await blobs.list(prefix, options)
          const key = (name: string): string => name.replaceAll('/', '\0')
          return { ...answer, items: answer.items.toSorted((a, b) => (key(a.name) < key(b.name) ? -1 : 1)) }
        },
      }),
    }),
  ],
  [
    'a list ignores after',
    'blobs: pages of a list hold every name once; after and more are exact',
    () => ({ blobs: (blobs) => ({ list: (prefix, o) => blobs.list(prefix, { limit: o?.limit }) }) }),
  ],
  [
    'a list says that more follow when it was just filled',
    'blobs: pages of a list hold every name once; after and more are exact',
    () => ({
      blobs: (blobs) => ({
        async list(prefix, options) {
          const answer = await blobs.list(prefix, options)
          return { ...answer, more: answer.items.length === options?.limit }
        },
      }),
    }),
  ],
  [
    'anchors are listed',
    'blobs: neither log entries nor anchors are listed',
    () => ({
      blobs: (blobs) => ({
        async list(prefix, options) {
          const answer = await blobs.list(prefix, options)
          return { ...answer, items: [...answer.items, { name: 'orders/0/anchor', size: 6 }] }
        },
      }),
    }),
  ],
  [
    'deleting what is absent is an error',
    'blobs: deleted ones are absent and not listed; one that is absent counts as removed',
    () => ({
      blobs: (blobs) => ({
        async delete(names) {
          for (const name of names) if (!(await blobs.get(name)).bytes) throw new Error('not found')
          return blobs.delete(names)
        },
      }),
    }),
  ],
  [
    'a create overwrites',
    'log: a number that is taken is lost to everybody else, and keeps its bytes',
    () => {
      const entries = new Map<string, Uint8Array>()
      return {
        log: (log, path) => ({
          async claim(n, bytes, from) {
            await log.claim(n, bytes, from)
            entries.set(`${path} ${n}`, bytes)
            return committed
          },
          read: async (n) => ({ bytes: entries.get(`${path} ${n}`) ?? (await log.read(n)).bytes }),
        }),
      }
    },
  ],
  [
    'a create looks first and writes then',
    'log: of 32 handles that claim one number at once exactly one commits, and its bytes are read',
    () => ({
      log: (log) => ({
        async claim(n, bytes, from) {
          if ((await log.read(n)).bytes) return { outcome: 'lost' }
          await systemClock.pause()
          await log.claim(n, bytes, from)
          return committed
        },
      }),
    }),
  ],
  [
    'a former owner is told that it committed',
    'log: a claim fences the former owner; its next append is lost',
    () => ({ log: (log) => ({ append: (...args) => log.append(...args).then(() => committed) }) }),
  ],
  [
    'a list of entries is in the order of names without zeros',
    'log: list answers the numbers that are present, ascending, from a number on',
    () => ({
      log: (log) => ({
        list: async (from, o) => ({
          numbers: (await log.list(from, o)).numbers
            .map(String)
            .sort((a, b) => (a < b ? -1 : 1))
            .map(Number),
        }),
      }),
    }),
  ],
  [
    'the tail begins behind the number that was asked for',
    'log: readTail answers the entries from a number on, ascending, to the last one',
    () => ({ log: (log) => ({ readTail: (from) => log.readTail!(from + 1) }) }),
  ],
  [
    'a tail that is longer than one answer ends there',
    'log: readTail answers some entries of many large ones, one at least, and says that others follow',
    () => ({ log: (log) => ({ readTail: async (from) => ({ ...(await log.readTail!(from)), more: false }) }) }),
  ],
  [
    'the whole tail is one answer, however long it is',
    'log: readTail answers some entries of many large ones, one at least, and says that others follow',
    () => ({
      log: (log) => ({
        async readTail(from) {
          const entries = []
          for (let n = from, bytes; (bytes = (await log.read(n)).bytes); n++) entries.push({ n, bytes })
          return { entries, more: false }
        },
      }),
    }),
  ],
  [
    'the tail has entries that were removed',
    'log: readTail beside appends shows no hole, and leaves out what was removed',
    () => {
      const removed = new Map<number, Uint8Array>()
      return {
        log: (log) => ({
          async remove(numbers) {
            for (const n of numbers) removed.set(n, (await log.read(n)).bytes!)
            return log.remove(numbers)
          },
          async readTail(from) {
            const { entries, more } = await log.readTail!(from)
            const gone = [...removed].map(([n, bytes]) => ({ n, bytes })).filter(({ n }) => n >= from)
            return { entries: [...gone, ...entries], more }
          },
        }),
      }
    },
  ],
  [
    'removed entries can still be read',
    'log: removed entries are absent; one that is absent counts as removed; the others stay',
    () => ({ log: () => ({ remove: () => Promise.resolve({}) }) }),
  ],
  [
    'destroying a log leaves its entries',
    'log: destroyed it is gone, the blobs beside it are not, and destroying it again does no harm',
    () => ({ log: () => ({ destroy: () => Promise.resolve({}) }) }),
  ],
  [
    'a log is listed once it has blobs',
    'logs: answers the paths under a prefix that hold entries, ascending',
    () => ({
      logs: (storage) => async (prefix) => {
        const { items } = await storage.blobs.list(prefix)
        return { paths: [...new Set(items.map((item) => item.name.replace(/\/seg\/.*/, '')))] }
      },
    }),
  ],
  [
    'a log begins with entry 1 alone',
    'log: one that has no entry begins with any number, if nothing before that is needed',
    () => ({
      log: (log) => ({
        async claim(n, bytes, from) {
          const { numbers } = await log.list(1)
          if (n > 1 && numbers.length === 0) throw new TidemarkError('CORRUPT', 'entries are missing')
          return log.claim(n, bytes, from)
        },
      }),
    }),
  ],
  [
    'the tail of a log is looked for from entry 1 on',
    'log: one that has no entry begins with any number, if nothing before that is needed',
    () => ({
      log: (log) => ({
        readTail: async (from) =>
          (await log.read(Math.max(from, 1))).bytes ? log.readTail!(from) : { entries: [], more: false },
      }),
    }),
  ],
  [
    'a shard is known by a number only',
    'shards: logs lie side by side under one store, and each is found under its own folder',
    () => ({
      logs: (storage) => async (prefix) => {
        const { paths } = await storage.logs(prefix)
        return { paths: paths.filter((path) => /^[^/]+\/\d{1,6}\//.test(path)) }
      },
    }),
  ],
  [
    'an anchor counts as a log',
    'shards: an anchor without a log beside it is read and swapped, and is no log',
    () => {
      const anchors = new Set<string>()
      return {
        anchor: (anchor) => ({
          swap(...args) {
            anchors.add('orders/an-anchor')
            return anchor.swap(...args)
          },
        }),
        logs: (storage) => async (prefix) => ({ paths: [...(await storage.logs(prefix)).paths, ...anchors] }),
      }
    },
  ],
  [
    'the trim number of one anchor holds for the whole store',
    "trim 'create': an anchor guards the logs of its own folder, and no others",
    () => {
      let trimmed = 0
      return {
        anchor: (anchor) => ({
          swap(token, bytes, trim) {
            trimmed = Math.max(trimmed, trim)
            return anchor.swap(token, bytes, trim)
          },
        }),
        log: (log) => ({
          claim: async (n, bytes, from) => (n <= trimmed ? { outcome: 'lost' } : log.claim(n, bytes, from)),
        }),
      }
    },
  ],
  [
    'a swap ignores the token',
    'anchor: a swap with a token that is out of date is lost',
    () => ({
      anchor: (anchor) => ({
        swap: async (_, bytes, trim) => anchor.swap((await anchor.read()).token, bytes, trim),
      }),
    }),
  ],
  [
    'a swap compares first and writes then',
    'anchor: of 16 swaps with one token at once exactly one succeeds',
    () => ({
      anchor: (anchor) => ({
        async swap(token, bytes, trim) {
          const there = await anchor.read()
          if (there.token !== token) return { outcome: 'lost' }
          await systemClock.pause()
          for (;;) {
            const now = await anchor.read()
            const answer = await anchor.swap(now.token, bytes, trim)
            if (answer.outcome === 'committed') return answer
          }
        },
      }),
    }),
  ],
  [
    'a create does not look at the trim number',
    "trim 'create': no entry is created up to the number that the anchor says is trimmed",
    () => ({ anchor: (anchor) => ({ swap: (token, bytes) => anchor.swap(token, bytes, 0) }) }),
  ],
  [
    'an aborted call rejects with the platform’s own error',
    'signals: a call with an aborted signal ends as ABORTED or completes',
    () => ({
      blobs: (blobs) => ({
        async get(name, options) {
          options?.signal?.throwIfAborted()
          return blobs.get(name, options)
        },
      }),
    }),
  ],
  [
    'an aborted call hangs',
    'signals: a call that is aborted on its way ends as ABORTED, as unknown, or completes',
    () => ({ anchor: (anchor) => ({ read: (o) => (o?.signal ? hang() : anchor.read(o)) }) }),
  ],
  [
    'an aborted append says ABORTED and happens nevertheless',
    'signals: an append or a swap that ends as ABORTED has surely changed nothing',
    () => ({
      log: (log) => ({
        async append(n, bytes, from, options) {
          const answer = await log.append(n, bytes, from)
          if (options?.signal?.aborted) await log.read(1, options)
          return answer
        },
      }),
    }),
  ],
  [
    'time steps back',
    'time: where answers have one, it is in milliseconds and never steps back',
    () => {
      let time = 1.7e12
      return { anchor: (anchor) => ({ read: async () => ({ ...(await anchor.read()), time: time-- }) }) }
    },
  ],
  [
    'time is in seconds',
    'time: where answers have one, it is in milliseconds and never steps back',
    () => ({ anchor: (anchor) => ({ read: async () => ({ ...(await anchor.read()), time: 1.7e9 }) }) }),
  ],
]

for (const [mistake, found, parts] of MISTAKES) {
  test(`the suite finds out: ${mistake}`, async () => {
    expect(await unkept(broken(parts), found)).toEqual([found])
  })
}
