/** Stores in shared mode, which their test closes at its end, and what several tests make such handles go through. */
import { expect, onTestFinished } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { objects } from './collecting-world.js'

export async function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store<string, number>> {
  const store = await openStore<string, number>({ storage, name: 's', mode: 'shared', ...(options as object) })
  onTestFinished(() => store.close())
  return store
}

export async function pair(
  storage: Storage,
  options: Partial<OpenOptions> = {},
): Promise<[Store<string, number>, Store<string, number>]> {
  return [await open(storage, options), await open(storage, options)]
}

export const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

/** The results of the settled promises: `done`, or the code of the error. */
export async function outcomes(...promises: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map((each) => (each.status === 'fulfilled' ? 'done' : (each.reason as { code: string }).code))
}

/** Open until it is shut. */
export function gate(): { readonly passed: Promise<void>; shut(): void; open(): void } {
  let open = (): void => undefined
  let passed = Promise.resolve()
  return {
    get passed() {
      return passed
    },
    shut: () => void (passed = new Promise((resolve) => (open = resolve))),
    open: () => open(),
  }
}

/** The value that a reader finds that opens the store anew. */
export async function found(storage: Storage, key: string): Promise<number | undefined> {
  const reader = await open(storage, { mode: 'follower' })
  return reader.get(key)
}

/** The storage of handles that tell each other of versions, as the tabs of a browser do. */
export function tabs(storage: Storage): Storage {
  const listeners = new Set<() => void>()
  return {
    ...storage,
    peers: {
      channel: (_path, heard) => {
        listeners.add(heard)
        return {
          tell: () => {
            for (const other of listeners) if (other !== heard) queueMicrotask(other)
          },
          close: () => void listeners.delete(heard),
        }
      },
      alone: (_path, act) => act(),
    },
  }
}

/** Objects whose time the test moves on. */
export function clockwork(trim: 'create' | 'writer'): { storage: Storage; pass: (ms: number) => void } {
  let shift = 0
  const clock = { ...systemClock, now: () => systemClock.now() + shift }
  return { storage: objects(clock, trim), pass: (ms) => (shift += ms) }
}
