/** Rules R13 to R22 of docs/protocol.md: how entries are appended, and who may append them. */
import { expect } from 'vitest'
import type { Store } from 'tidemark'
import type { Outcome } from '../../src/storage/contract.js'
import { edit, rule } from '../support/mutated.js'
import { code, open, pair, pause, put } from '../support/rule-stores.js'
import type * as Sources from '../support/sources.js'

rule(
  'R13',
  'an entry is sent when the one before it is committed',
  [edit('src/engine/write/committer.ts', 'this.#running ??= this.#run()', 'this.#running = this.#run()')],
  async (sources) => {
    let [inFlight, most] = [0, 0]
    // The probe of a new store appends as well.
    let [released, release] = [Promise.resolve(), (): void => undefined]
    const storage = sources.intercept(sources.memory(), async (call, run) => {
      if (call.method !== 'append') return run(call.signal)
      most = Math.max(most, ++inFlight)
      await released
      return run(call.signal).finally(() => inFlight--)
    })
    const store = await open(sources, storage)
    released = new Promise<void>((resolve) => (release = resolve))
    const first = put(store, 'a', 1)
    await pause()
    const both = Promise.all([first, put(store, 'b', 2)])
    both.catch(() => undefined)
    for (let i = 0; i < 20; i++) await pause()
    release()
    expect(most).toBe(1)
    await both
    await store.close()
  },
)

/** A store whose next append is made, and answered otherwise; and how many are sent from then on. */
async function answered(
  sources: typeof Sources,
  answer: Outcome,
): Promise<{ readonly store: Store<string, number>; readonly sent: () => number }> {
  let sent = NaN
  const storage = sources.intercept(sources.memory(), async (call, run) => {
    const given = await run(call.signal)
    return call.method === 'append' && ++sent === 1 ? (answer as typeof given) : given
  })
  const store = await open(sources, storage)
  sent = 0
  return { store, sent: () => sent }
}

rule(
  'R14',
  'an append whose answer was lost is found to be our own',
  [
    edit(
      'src/log/append.ts',
      "sameWrite(found, entry) ? { outcome: 'committed', time: undefined } : { outcome: 'lost' }",
      "{ outcome: 'lost' }",
    ),
  ],
  async (sources) => {
    const { store } = await answered(sources, { outcome: 'lost' })
    await expect(put(store, 'a', 1)).resolves.toBe(2)
    expect(await put(store, 'a', 2)).toBe(3)
    expect(await store.get('a')).toBe(2)
    await store.close()
  },
)

rule(
  'R15',
  'after an append that stays unknown nothing more is written',
  [
    edit(
      'src/engine/write/committer.ts',
      'const written = new Set(sent && unknown ? this.queue.inFlight : [])',
      'const written = new Set()',
    ),
    edit(
      'src/engine/write/committer.ts',
      "(error.code !== 'UNKNOWN_OUTCOME' && error.code !== 'FENCED')",
      "error.code !== 'FENCED'",
    ),
  ],
  async (sources) => {
    const { store, sent } = await answered(sources, { outcome: 'unknown', settle: false })
    await expect(put(store, 'a', 1)).rejects.toThrow(code('UNKNOWN_OUTCOME'))
    await put(store, 'b', 1).catch(() => undefined)
    expect(sent()).toBe(1)
    await store.reopen()
    expect(await store.get('a')).toBe(1)
    await store.close()
  },
)

rule(
  'R16',
  'a repetition carries the offsets of the entry that came first',
  [
    edit(
      'src/engine/write/committer.ts',
      'const standing = standingAfter(this.#host.state.carried, request)',
      'const standing = (request.standing ??= standingAfter(this.#host.state.carried, request))',
    ),
  ],
  async (sources) => {
    const [a, b] = await pair(sources)
    b.put('b', 1)
    await b.commit({ offsets: { events: 200 } })
    await put(a, 'c', 1)
    await b.refresh()
    expect(await b.get('c')).toBe(1)
    expect(b.offsets).toEqual({ events: 200 })
    await Promise.all([a.close(), b.close()])
  },
)

rule(
  'R17',
  'a transaction that others came before runs again',
  [edit('src/store/read-set.ts', "if (kind === 'transaction') return isAhead ?", 'if (false) return isAhead ?')],
  async (sources) => {
    const [a, b] = await pair(sources)
    let runs = 0
    await a.transaction(async (tx) => {
      const value = (await tx.get('a'))!
      if (++runs === 1) await put(b, 'a', 2)
      tx.put('a', value + 1)
    })
    expect(await a.get('a')).toBe(3)
    await Promise.all([a.close(), b.close()])
  },
)

rule(
  'R18',
  'a commit does not go on top of others that have changed what it changes and had read',
  [edit('src/store/read-set.ts', 'if (found.length > 0) return', 'if (false) return')],
  async (sources) => {
    const [a, b] = await pair(sources)
    const value = (await a.get('a'))!
    await put(b, 'a', 0)
    // Another key than the one that was read is in nobody's way.
    await put(a, 'c', 1)
    expect([await b.get('a'), await a.get('c')]).toEqual([0, 1])
    await expect(put(b, 'c', 2)).resolves.toBeGreaterThan(0)

    const again = (await a.get('a'))!
    await put(b, 'a', 5)
    await expect(put(a, 'a', again + 1)).rejects.toThrow(code('CONFLICT'))
    expect([value, again]).toEqual([1, 0])
    await Promise.all([a.close(), b.close()])
  },
)

rule(
  'R18',
  'a key that a scan has found counts as read, and a new one does not',
  [edit('src/store/read-set.ts', 'if (reads.hasKey(slot, key)) return true', 'return reads.hasKey(slot, key)')],
  async (sources) => {
    const [a, b] = await pair(sources)
    const found = await a.toArray()
    expect(found).toEqual([['a', 1]])
    await put(b, 'new', 1)
    await put(a, 'new', 2)
    await put(b, 'a', 0)
    await expect(put(a, 'a', found[0]![1] - 1)).rejects.toThrow(code('CONFLICT'))
    await Promise.all([a.close(), b.close()])
  },
)

rule(
  'R19',
  'a commit with offsets is not repeated on top of others',
  [edit('src/store/changes.ts', 'const withOffsets = notes.offsets.size > 0', 'const withOffsets = false')],
  async (sources) => {
    const [a, b] = await pair(sources)
    b.put('b', 1)
    await b.commit({ offsets: { events: 5 } })
    a.put('c', 1)
    await expect(a.commit({ offsets: { events: 5 } })).rejects.toThrow(code('CONFLICT'))
    await Promise.all([a.close(), b.close()])
  },
)

rule(
  'R20',
  'what fails takes along what is queued behind it',
  [edit('src/engine/write/committer.ts', 'other === job || (!isAlone && other.isVersion)', 'other === job')],
  async (sources) => {
    let isFull = false
    const storage = sources.intercept(sources.memory(), async (call, run) => {
      if (call.method !== 'append' || !isFull) return run(call.signal)
      isFull = false
      await pause()
      await pause()
      throw new Error('refused')
    })
    const store = await open(sources, storage)
    isFull = true
    const first = put(store, 'a', 1)
    await pause()
    const outcomes = await Promise.allSettled([first, put(store, 'a', 2)])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await store.commit()
    expect(await store.get('a')).toBe(2)
    await store.close()
  },
)

rule(
  'R21',
  'a fence of another mode ends the right to write',
  [edit('src/engine/open/catch-up.ts', 'if (!isTaken) return', 'return')],
  async (sources) => {
    const storage = sources.memory()
    const [a, b] = await pair(sources, storage)
    await b.close()
    const owner = await open(sources, storage, { force: true })
    await expect(put(a, 'a', 2)).rejects.toThrow(code('FENCED'))
    await Promise.all([a.close(), owner.close()])
  },
)

rule(
  'R22',
  'a claim that lost its number claims the next one',
  [edit('src/engine/open/request.ts', 'export const CLAIM_TRIES = 8', 'export const CLAIM_TRIES = 1')],
  async (sources) => {
    const memory = sources.memory()
    await (await open(sources, memory)).close()
    let isFirst = true
    const storage = sources.intercept(memory, async (call, run) => {
      if (call.method === 'claim' && isFirst) {
        isFirst = false
        await (await open(sources, memory)).close()
      }
      return run(call.signal)
    })
    const opened = open(sources, storage)
    await expect(opened).resolves.toBeDefined()
    await (await opened).close()
  },
)
