/** A store of which everything is replaced and collected again and again, while somebody reads. */
import { onTestFinished } from 'vitest'
import { openStore, systemClock, type Clock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { intercept } from '../../src/storage/intercept.js'
import { gate } from './shared.js'

export const GRACE = 1000
export const KEYS = 120
const START = 1_700_000_000_000

export interface Churned {
  readonly storage: Storage
  readonly clock: Clock
  readonly store: Store
  readonly open: (options?: Partial<OpenOptions>) => Promise<Store>
  readonly pass: (ms: number) => void
  /** Writes all keys anew, and collects; meanwhile so much of a grace period passes. */
  readonly churn: (part?: number) => Promise<void>
  /** Segments that are there. */
  readonly segments: () => Promise<string[]>
  /** Reads of segments that `act` begins in this very turn wait until the function that it returns is called. */
  readonly stall: (act: () => void) => () => void
}

/** Every key has the value `${key} 0` in both of its tables. */
export async function churned(
  mode: OpenOptions['mode'] = 'exclusive',
  more: Partial<OpenOptions> = {},
): Promise<Churned> {
  let now = START
  const clock: Clock = { ...systemClock, now: () => now, monotonic: () => now }
  const inner = memory({ clock })
  const reads = gate()
  let isStalling = false
  const storage = intercept(inner, async ({ target, method, path }, run) => {
    if (isStalling && target === 'blobs' && method === 'get' && path.includes('/seg/')) await reads.passed
    return run(undefined)
  })
  const open = async (options: Partial<OpenOptions> = {}): Promise<Store> => {
    const opened = await openStore({
      storage,
      name: 's',
      mode,
      clock,
      graceMs: GRACE,
      retain: { versions: 1, hourly: 0, daily: 0 },
      segmentBytes: 1500,
      blockBytes: 100,
      cacheBytes: 0,
      logger: {},
      ...options,
    })
    onTestFinished(() => opened.close())
    return opened
  }
  const store = await open({ partitions: 2, ...more })
  let round = 0
  const write = async (): Promise<void> => {
    for (const table of [store, store.table('t')]) for (let i = 0; i < KEYS; i++) table.put(i, `${i} ${round}`)
    round++
    await store.commit()
    await store.checkpoint()
  }
  await write()
  // With its own fold beneath it.
  await store.commit()
  return {
    storage,
    clock,
    store,
    open,
    stall: (act) => {
      reads.shut()
      isStalling = true
      act()
      isStalling = false
      return () => reads.open()
    },
    pass: (ms) => void (now += ms),
    churn: async (part = 0.7) => {
      await write()
      now += GRACE * part
      await store.maintain({ minDeletes: 1 })
    },
    segments: async () => {
      const { items } = await inner.blobs.list('s/')
      return items.map(({ name }) => name).filter((name) => name.includes('/seg/'))
    },
  }
}
