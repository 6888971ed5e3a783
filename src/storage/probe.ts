/**
 * Finds out, before a store trusts it, whether a storage enforces what the protocol stands on: create-once, compare and
 * swap, and reading what was just written. A storage that accepts a condition and ignores it looks healthy until two
 * writers meet, and then loses acknowledged commits.
 *
 * - An adapter that knows a cheaper way has a `probe` of its own. What follows is for all others.
 * - Everything happens under `<path>/probe-<random hex>/`: no store and no log has such a name (`isProbe`), and what a
 *   crash leaves there harms nobody.
 * - Only a wrong answer makes a storage unsafe. Errors pass through as they are; `unknown` proves nothing by itself: what
 *   is read back decides.
 * - 67 calls when all is well, 68 with `trim: 'create'`; 48 of them in two bursts.
 */
import type { Clock } from '../clock.js'
import { TidemarkError } from '../errors.js'
import type { Log, Outcome, Storage } from './contract.js'
import { probePath } from './probe-name.js'

const CREATES = 32
const SWAPS = 16

const passed = new WeakSet<object>()

/**
 * Resolves when `storage` proved safe; `path` is where it may write, `<store>/<shard>`. Once for each `adapter`: what the
 * caller knows the storage by, when `storage` itself is a decorator made anew each time.
 * Throws `STORAGE_UNSAFE` with what it got wrong, or the storage's own error when it could not be asked.
 */
export async function probe(storage: Storage, path: string, clock: Clock, adapter: object = storage): Promise<void> {
  if (passed.has(adapter)) return
  // Drawn in any case: the ids of a store do not depend on the storage.
  const at = probePath(path, clock.random(8))
  if (storage.probe) await storage.probe(path)
  else await race(storage, at)
  passed.add(adapter)
}

async function race(storage: Storage, at: string): Promise<void> {
  const logs: Log[] = []
  const blobs: string[] = []
  const log = (): Log => {
    const handle = storage.log(`${at}/entries`)
    logs.push(handle)
    return handle
  }
  try {
    await probeLog(storage, log)
    await probeAnchor(storage, `${at}/anchor`, log)
    await probeBlobs(storage, `${at}/entries/seg/`, blobs)
  } finally {
    // The verdict stands whatever becomes of the leftovers.
    const last = logs.pop()
    await Promise.allSettled(logs.map((handle) => handle.close()))
    await Promise.allSettled([last?.destroy(), storage.anchor(`${at}/anchor`).remove(), storage.blobs.delete(blobs)])
    await Promise.allSettled([last?.close()])
  }
}

async function probeLog(storage: Storage, log: () => Log): Promise<void> {
  if ((await log().read(1)).bytes !== undefined)
    throw unsafe(storage, 'returned an entry that was never written', STALE)
  const bytes = bodies(CREATES)
  const outcomes = await all(bytes.map((b) => log().claim(1, b, 1)))
  const reader = log()
  const stored = (await reader.read(1)).bytes
  judge(storage, 'creates of one entry', CREATE_ONCE, outcomes, bytes, stored)
  await refused(storage, 'a create of an entry that exists', CREATE_ONCE, () => log().claim(1, message('second'), 1))
}

async function probeAnchor(storage: Storage, path: string, log: () => Log): Promise<void> {
  const anchor = storage.anchor(path)
  const first = message('first')
  const created = await certain(storage, () => anchor.swap(undefined, first, 1))
  const before = await anchor.read()
  // Asked twice, the second answer is `lost` when the first request did it after all.
  if (created === 'lost' && before.bytes === undefined) {
    throw unsafe(storage, 'refused to create an object that does not exist', NOTHING)
  }
  expectBytes(storage, 'an object that was just created', before.bytes, first)
  await refused(storage, 'a create of an object that exists', SWAP, () => anchor.swap(undefined, message('again'), 1))

  const bytes = bodies(SWAPS)
  const outcomes = await all(bytes.map((b) => storage.anchor(path).swap(before.token, b, 2)))
  const after = await anchor.read()
  judge(storage, 'swaps with one token', SWAP, outcomes, bytes, after.bytes)
  await refused(storage, 'a swap with a token that is out of date', SWAP, () =>
    anchor.swap(before.token, message('stale'), 2),
  )
  if (storage.capabilities.trim === 'create') {
    // Entry 1 exists; entry 2 is free, and the anchor says that it is trimmed.
    await refused(storage, 'a create of an entry that is trimmed', CREATE_ONCE, () => log().append(2, bytes[0]!, 1))
  }
}

async function probeBlobs(storage: Storage, prefix: string, made: string[]): Promise<void> {
  const { blobs } = storage
  const name = `${prefix}a`
  const bytes = new Uint8Array(4096).map((_, i) => (i * 7 + (i >> 8)) & 255)
  made.push(name)
  await blobs.put(name, bytes)
  expectBytes(storage, 'a blob that was just written', (await blobs.get(name)).bytes, bytes)
  for (const [offset, length] of [
    [0, 16],
    [1000, 1000],
    [4080, 16],
  ] as const) {
    const part = (await blobs.get(name, { range: { offset, length } })).bytes
    expectBytes(storage, `${length} bytes at ${offset} of a blob`, part, bytes.subarray(offset, offset + length))
  }
  const { items, more } = await blobs.list(prefix)
  if (more || items.length !== 1 || items[0]?.name !== name || items[0].size !== bytes.length) {
    throw unsafe(storage, 'did not list the one blob that was just written', LISTING)
  }
  await blobs.delete([name])
  if ((await blobs.get(name)).bytes !== undefined) throw unsafe(storage, 'returned a blob that was just deleted', STALE)
}

/** Judges many conditional writes at once: exactly one may be done, and its bytes have to read back. */
function judge(
  storage: Storage,
  what: string,
  meaning: string,
  outcomes: readonly Outcome[],
  bytes: readonly Uint8Array[],
  stored: Uint8Array | undefined,
): void {
  const committed = outcomes.filter((o) => o.outcome === 'committed').length
  const unknown = outcomes.find((o) => o.outcome === 'unknown')
  if (committed > 1) throw unsafe(storage, `accepted ${committed} of ${outcomes.length} ${what} at once`, meaning)
  const winner = stored === undefined ? -1 : bytes.findIndex((b) => sameBytes(b, stored))
  if (winner >= 0 && (outcomes[winner]?.outcome === 'committed' || (committed === 0 && unknown))) return
  if (committed === 1) throw unsafe(storage, `accepted one of ${outcomes.length} ${what} and returned another`, STALE)
  if (unknown) throw noAnswer(storage, unknown)
  throw unsafe(storage, `refused all of ${outcomes.length} ${what}`, NOTHING)
}

/** Makes a write that must be lost. */
async function refused(storage: Storage, what: string, meaning: string, write: () => Promise<Outcome>): Promise<void> {
  if ((await certain(storage, write)) === 'committed') throw unsafe(storage, `accepted ${what}`, meaning)
}

/** Makes a write, and once more when its outcome is unknown, as the log would. */
async function certain(storage: Storage, write: () => Promise<Outcome>): Promise<'committed' | 'lost'> {
  let answer = await write()
  if (answer.outcome === 'unknown') answer = await write()
  if (answer.outcome === 'unknown') throw noAnswer(storage, answer)
  return answer.outcome
}

function expectBytes(storage: Storage, what: string, got: Uint8Array | undefined, expected: Uint8Array): void {
  if (got !== undefined && sameBytes(got, expected)) return
  throw unsafe(storage, `returned ${got === undefined ? 'nothing' : 'other bytes'} for ${what}`, STALE)
}

const CREATE_ONCE = 'Two writers could both be told that their commit is durable, and one of the two would be gone.'
const SWAP = 'Two writers could overwrite what the other recorded about the log, and kept versions could be deleted.'
const STALE = 'A store could open without its newest commits, or with bytes that are not its own.'
const NOTHING = 'Nothing could ever be committed.'
const LISTING = 'A lost anchor could not be rebuilt, and unused data would never be found.'

function unsafe(storage: Storage, did: string, meaning: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNSAFE',
    `The storage ${storage.capabilities.name} ${did}. ${meaning} ` +
      'Nothing was stored; use a storage, or a release of this one, that enforces conditional writes and reads its own writes.',
  )
}

function noAnswer(storage: Storage, { cause }: { readonly cause?: unknown }): TidemarkError {
  const { name } = storage.capabilities
  return new TidemarkError(
    'STORAGE_UNAVAILABLE',
    `${name} did not say what became of a write of the probe; try again.`,
    {
      cause,
    },
  )
}

/** Waits for all, then throws the first error: nothing runs on after the probe has ended. */
async function all<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(calls)
  return settled.map((s) => {
    if (s.status === 'rejected') throw s.reason
    return s.value
  })
}

const bodies = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => message(`writer ${i}`))

const message = (text: string): Uint8Array => new TextEncoder().encode(`tidemark probe: ${text}`)

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((x, i) => x === b[i])
