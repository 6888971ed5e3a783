/** The world in which owners collect: its storage, and the lines over which they reach it. */
import { isTidemarkError, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import type { Actor, Simulation } from 'tidemark/testing'
import { sleep, type Clock } from '../../src/clock.js'
import type { Run } from '../../src/storage/turns.js'
import { intercept, type Call } from '../../src/storage/intercept.js'
import { StoreHandle } from '../../src/store/handle.js'
import { resolveOptions } from '../../src/store/open-options.js'
import { Store } from '../../src/store/store.js'
import { byEntry } from './by-entry.js'
import { atOnce } from '../../src/testing/at-once.js'
import { collect } from './storages.js'
import type { Contents, Truth } from './truth.js'

export const GRACE = 3_000
export const NAME = 'sim'

export interface World {
  readonly sim: Simulation
  /** How the store is written. */
  readonly mode: 'exclusive' | 'shared'
  readonly truth: Truth
  readonly storage: Storage
  readonly hasTime: boolean
  /** One is held up where it matters, while another one tidies up behind its back. */
  readonly isDuel: boolean
  /** The storage's answer when there is nothing. */
  readonly absent: () => unknown
  readonly retain: number
  /** Who was told that a version is his. */
  readonly acknowledged: Map<number, string>
  /** The changes that were surely not applied. */
  readonly refused: Set<string>
  /** The changes of which a try may still be applied: another try may lose to it. */
  readonly doubtful: Set<string>
  /** Tags and forks that were made, and of which versions. */
  readonly tags: Map<string, number>
  readonly untagged: Set<string>
  readonly forks: Map<string, number>
}

/**
 * Objects as in S3, of which a create looks at nothing but its own name; `create` leaves the look at the trim number to the
 * create, as databases can.
 */
export function objects(clock: Clock | undefined, trim: 'create' | 'writer'): Storage {
  // It is opened without a line, too, and then answers in virtual time all the same.
  const storage = atOnce(memory({ clock }))
  if (trim === 'create') return storage
  return {
    ...storage,
    capabilities: { ...storage.capabilities, name: 'objects', trim },
    // Each entry is a request of its own.
    log: (path) => byEntry(storage.log(path)),
    anchor: (path) => {
      const anchor = storage.anchor(path)
      return { ...anchor, swap: (token, bytes, _, options) => anchor.swap(token, bytes, 0, options) }
    },
  }
}

/** Where an actor is held up for once, and how often, how probably and at what it is held up besides. */
const DANGEROUS = [
  'append',
  'append',
  'append',
  'claim',
  'claim',
  'claim',
  'read',
  'swap',
  'put',
  'delete',
  'remove',
  'list',
]
const BESIDES = 0.01

/** The world's storage over the actor's line, which is held up at what it calls, and now and then ends there. */
export function lineOf(me: Actor, { sim, storage, truth, absent, isDuel }: World): Storage {
  const { random } = sim
  const method = DANGEROUS[random.below(isDuel && me.name === 'a' ? 6 : DANGEROUS.length)]
  let left = 1 + random.below(method === 'claim' ? (isDuel ? 1 : 2) : 3)
  const hold = (): void => {
    const ms = random.next() * GRACE * (random.chance(0.4) ? 0.5 : 4)
    sim.stall(me, ms, random.chance(0.5) ? 'stops' : 'runs')
  }
  return intercept(me.storage(storage), async <T>(call: Call, run: Run<T>) => {
    const { target, path, n = 0, signal } = call
    // Entries are read many ahead; of those that can't be there yet the answer may as well come at once.
    if (target === 'log' && call.method === 'read' && n > truth.headOf(path) + 1) return absent() as T
    const isIt = call.method === method && --left === 0
    if (isIt && !isDuel && random.chance(0.15)) {
      sim.crash(me)
      return new Promise<never>(() => undefined)
    }
    const isHeld = isIt || random.chance(BESIDES)
    const isBefore = random.chance(isDuel ? 0.85 : 0.7)
    if (isHeld && isBefore) {
      hold()
      await sleep(me.clock, 0)
    }
    const answer = run(signal)
    if (isHeld && !isBefore) hold()
    return answer
  })
}

export async function openWith(
  storage: Storage,
  name: string,
  mode: 'exclusive' | 'shared' | 'follower',
  clock: Clock,
  retain: number,
): Promise<Store<string>> {
  const options = resolveOptions({
    storage,
    name,
    mode,
    clock,
    graceMs: GRACE,
    timeoutMs: GRACE,
    retain: { versions: retain },
    checkpoint: { entries: 3, bytes: 1_000 },
    segmentBytes: 500,
    blockBytes: 100,
    bloomBits: 0,
    deflateLevel: 0,
  })
  const handle = await StoreHandle.open(options)
  return new Store<string>(handle, handle.spec('', options.table))
}

export async function read(from: Pick<Store<string>, 'entries'>): Promise<Contents> {
  return new Map(await collect(from.entries()))
}

const PASSING = new Set([
  'FENCED',
  'UNKNOWN_OUTCOME',
  'CONFLICT',
  'STORAGE_UNAVAILABLE',
  'VERSION_EXPIRED',
  'CLOSED',
  'ABORTED',
])

/** The code of an error that may happen; any other one is thrown on. */
export function passing(error: unknown, ...more: readonly string[]): string {
  if (!isTidemarkError(error) || !(PASSING.has(error.code) || more.includes(error.code))) throw error
  return error.code
}
