import type { Anchor, Storage } from '../storage/contract.js'
import { check, equal, equalAbsent, equalBytes, text, type Promised } from './assert.js'
import { race } from './race.js'

const PATH = 'orders/0/anchor'

/** Swaps, expects that to succeed, and resolves to the new token. */
async function swapped(anchor: Anchor, token: string | undefined, body: string): Promise<string> {
  const answer = await anchor.swap(token, text(body), 0)
  equal(answer.outcome, 'committed', `a swap to ${body}`)
  const now = await current(anchor, body)
  if ('token' in answer && answer.token !== undefined) equal(answer.token, now, 'the token that a swap answers')
  return now
}

async function current(anchor: Anchor, body: string): Promise<string> {
  const { bytes, token } = await anchor.read()
  equalBytes(bytes, text(body), 'the anchor')
  check(typeof token === 'string', 'the token of an anchor that exists is a string')
  return token
}

async function lost(anchor: Anchor, token: string | undefined, what: string): Promise<void> {
  equal((await anchor.swap(token, text('other'), 0)).outcome, 'lost', what)
}

/** Swaps from 16 handles at once: one succeeds, and its bytes read back. */
async function raceOf16(storage: Storage, token: string | undefined): Promise<void> {
  const bodies = Array.from({ length: 16 }, (_, i) => `racer ${i}`)
  await race(
    bodies,
    (body) => storage.anchor(PATH).swap(token, body, 0),
    async () => (await storage.anchor(PATH).read()).bytes,
    'swaps at once',
  )
}

export const anchorTests: readonly Promised[] = [
  [
    'anchor: one that was never written has neither bytes nor token',
    async (storage) => {
      const { bytes, token } = await storage.anchor(PATH).read()
      equalAbsent(bytes, 'an anchor that was never written')
      equal(token, undefined, 'its token')
    },
  ],
  [
    'anchor: a swap with the current token replaces it, and every handle sees that',
    async (storage) => {
      const anchor = storage.anchor(PATH)
      let token = await swapped(anchor, undefined, 'one')
      token = await swapped(anchor, token, 'two')
      await swapped(storage.anchor(PATH), token, 'three, and longer than before')
      await current(anchor, 'three, and longer than before')
    },
  ],
  [
    'anchor: a swap with a token that is out of date is lost',
    async (storage) => {
      const anchor = storage.anchor(PATH)
      const first = await swapped(anchor, undefined, 'one')
      const second = await swapped(anchor, first, 'two')
      check(first !== second, 'the token changes with the bytes')
      await lost(anchor, first, 'a swap with the token before the last')
      await current(anchor, 'two')
    },
  ],
  [
    'anchor: a swap without a token is lost when there is one, a swap with a token when there is none',
    async (storage) => {
      const anchor = storage.anchor(PATH)
      const token = await swapped(anchor, undefined, 'one')
      await lost(anchor, undefined, 'a swap from absent, of an anchor that exists')
      await current(anchor, 'one')
      await anchor.remove()
      await lost(anchor, token, 'a swap of an anchor that is gone')
      equalAbsent((await anchor.read()).bytes, 'a removed anchor')
    },
  ],
  [
    'anchor: of 16 swaps with one token at once exactly one succeeds',
    async (storage) => raceOf16(storage, await swapped(storage.anchor(PATH), undefined, 'before')),
  ],
  ['anchor: of 16 that create it at once exactly one succeeds', (storage) => raceOf16(storage, undefined)],
  [
    'anchor: removed it is absent and can be created again; one that is absent counts as removed',
    async (storage) => {
      const anchor = storage.anchor(PATH)
      await anchor.remove()
      await swapped(anchor, undefined, 'one')
      await anchor.remove()
      await anchor.remove()
      equalAbsent((await anchor.read()).bytes, 'a removed anchor')
      await swapped(anchor, undefined, 'two')
    },
  ],
  [
    'anchor: those of two shards and two stores have nothing in common',
    async (storage) => {
      const paths = ['orders/0/anchor', 'orders/1/anchor', 'orders-0/0/anchor']
      for (const path of paths) await swapped(storage.anchor(path), undefined, path)
      await storage.anchor(paths[1]!).remove()
      await current(storage.anchor(paths[0]!), paths[0]!)
      await current(storage.anchor(paths[2]!), paths[2]!)
    },
  ],
]
