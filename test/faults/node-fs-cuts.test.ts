/** The node-fs adapter, cut at every call of the file system, in every way: what was promised before holds afterwards. */
import { expect, test, vi } from 'vitest'
import { LOG_TUNING, type LogTuning } from '../../adapters/node-fs/log/tuning.js'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { isTidemarkError } from '../../src/errors.js'
import type { FileSystem } from '../../adapters/node-fs/file-system.js'
import type { Log, Outcome, Storage } from '../../src/storage/contract.js'
import type { ModelFs } from '../support/model-fs.js'
import { WHOLE, extent } from '../support/extent.js'
import { cutEverywhere, modelClock, type CutScenario } from '../support/model-fs-run.js'
import { forAdapter } from '../support/counting.js'

forAdapter('nodeFs')

// Thousands of runs, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 })

const LOG = 'orders/0/id'
const tuning: LogTuning = { ...LOG_TUNING, patienceMs: 0, preallocateBytes: 512, rotateBytes: 700 }
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const string = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)
const storageOn = (fs: FileSystem, seed = 1): Storage => fileStorage(fs, '/disk', modelClock(seed), tuning)

/** A typed error is an answer like any other; what else is thrown is a failure. */
async function typed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isTidemarkError(error)) return undefined
    throw error
  }
}

async function report(name: string, scenario: CutScenario<never>): Promise<void> {
  const { points, runs } = await cutEverywhere(scenario, extent(2, 1), !WHOLE)
  console.log(`${name}: ${points} cut points, ${runs} runs`)
  expect(points).toBeGreaterThan(5)
}

test('put: what resolved is there, what is there is whole, and a repeat succeeds', async () => {
  const names = ['orders/0/id/seg/a', 'orders/0/id/seg/b', 'other/0/id/seg/a']
  const bytes = text('segment'.repeat(40))
  const scenario: CutScenario<Set<string>> = {
    notes: () => new Set(),
    async run(fs, done) {
      const { blobs } = storageOn(fs)
      for (const name of names) if (await typed(blobs.put(name, bytes))) done.add(name)
    },
    async verify(disk, done) {
      const { blobs } = storageOn(disk.process(), 2)
      const listed = (await blobs.list('')).items
      for (const name of names) {
        const found = (await blobs.get(name)).bytes
        if (done.has(name)) expect(found, name).toBeDefined()
        if (found) expect(found).toEqual(bytes)
        expect(listed.some((item) => item.name === name && item.size === bytes.length)).toBe(found !== undefined)
        await blobs.put(name, bytes)
        expect((await blobs.get(name)).bytes).toEqual(bytes)
      }
      await blobs.delete(names)
    },
  }
  await report('put', scenario as CutScenario<never>)
})

test('swap: a committed one is found unless a later one is, a lost one never', async () => {
  const path = 'orders/0/anchor'
  interface Notes {
    sent: string[]
    committed: string[]
    lost: string[]
  }
  const scenario: CutScenario<Notes> = {
    notes: () => ({ sent: [], committed: [], lost: [] }),
    async run(fs, notes, disk) {
      const mine = storageOn(fs).anchor(path)
      const others = storageOn(disk.process(), 3).anchor(path)
      for (let i = 0; i < 4; i++) {
        for (const [anchor, body] of [
          [mine, `mine ${i}`],
          [others, `other ${i}`],
        ] as const) {
          const read = await typed(anchor.read())
          if (!read) continue
          notes.sent.push(body)
          const answer = await typed(anchor.swap(read.token, text(body), 0))
          if (answer?.outcome === 'committed') notes.committed.push(body)
          if (answer === undefined || answer.outcome === 'lost') notes.lost.push(body)
          // A token that is out of date.
          if (i > 1 && body.startsWith('other')) {
            expect((await others.swap('1', text('stale'), 0)).outcome).toBe('lost')
            notes.lost.push('stale')
          }
        }
      }
    },
    async verify(disk, { sent, committed, lost }) {
      const anchor = storageOn(disk.process(), 4).anchor(path)
      const { bytes, token } = await anchor.read()
      const found = string(bytes)
      expect(lost).not.toContain(found)
      const last = committed.at(-1)
      if (last) expect(sent.indexOf(found!)).toBeGreaterThanOrEqual(sent.indexOf(last))
      expect((await anchor.swap(token, text('next'), 0)).outcome).toBe('committed')
      expect(string((await anchor.read()).bytes)).toBe('next')
      await anchor.remove()
      expect((await anchor.read()).bytes).toBeUndefined()
    },
  }
  await report('swap', scenario as CutScenario<never>)
})

interface LogNotes {
  readonly committed: Map<number, string>
  readonly lost: string[]
  /** Up to which number a power loss may take nothing back. */
  durable: number
  sent: number
}

const former = new Map([1, 2, 3].map((n) => [n, `former ${n}`]))
const newNotes = (durable: number): LogNotes => ({ committed: new Map(former), lost: [], durable, sent: 0 })

/** Sends a body that is sent only once. */
async function write(
  notes: LogNotes,
  n: number,
  who: string,
  send: (bytes: Uint8Array) => Promise<Outcome>,
): Promise<string> {
  const body = `${who} ${n}, sent ${++notes.sent} ${'x'.repeat(40)}`
  const answer = await typed(send(text(body)))
  if (answer?.outcome === 'committed') {
    if (notes.committed.has(n)) throw new Error(`${n} was acknowledged as ${notes.committed.get(n)} and as ${body}`)
    notes.committed.set(n, body)
  }
  // A method that throws has surely changed nothing.
  if (answer === undefined || answer.outcome === 'lost') notes.lost.push(body)
  return answer?.outcome ?? 'failed'
}

/** Claims like the core does: behind the head that is read, at most eight times. Resolves to the number of the fence. */
async function open(log: Log, notes: LogNotes, who: string, from: (head: number) => number): Promise<number> {
  for (let tries = 0; tries < 8; tries++) {
    const head = (await typed(log.list(1)))?.numbers.at(-1) ?? 0
    const outcome = await write(notes, head + 1, who, (bytes) => log.claim(head + 1, bytes, from(head)))
    if (outcome === 'committed') return head + 1
    if (outcome === 'unknown') return 0
  }
  return 0
}

/** A new process claims the log and reads it: the history holds all that it must and nothing that was lost. */
async function verifyLog(disk: ModelFs, notes: LogNotes): Promise<void> {
  const storage = storageOn(disk.process(), 5)
  const found = await history(storage.log(LOG))
  const log = storage.log(LOG)
  const head = await open(log, newNotes(0), 'verifier', (last) => last - 1)
  const after = await history(storage.log(LOG))
  expect(head).toBeGreaterThan(found.length)
  expect(after.length).toBe(head)
  // Entries that were read before the claim are read after it.
  expect(after.slice(0, found.length)).toEqual(found)
  for (const body of notes.lost) expect(after).not.toContain(body)
  for (const [n, body] of notes.committed) {
    if (n <= notes.durable) expect(after[n - 1], `entry ${n}`).toBe(body)
    else expect([body, undefined]).toContain(after.slice(0, -1)[n - 1])
  }
  await log.close()
}

async function history(follower: Log): Promise<(string | undefined)[]> {
  const { numbers } = await follower.list(1)
  expect(numbers).toEqual(numbers.map((_, i) => i + 1))
  const bodies = await Promise.all(numbers.map(async (n) => string((await follower.read(n)).bytes)))
  await follower.close()
  return bodies
}

for (const durability of ['strict', 'relaxed'] as const) {
  test(`claim and append, ${durability}: an acknowledged entry stays, a lost one is never read`, async () => {
    const scenario: CutScenario<LogNotes> = {
      notes: () => newNotes(durability === 'strict' ? Infinity : 4),
      async prepare(disk) {
        const log = storageOn(disk.process(), 6).log(LOG)
        await log.claim(1, text(former.get(1)!), 1)
        for (const n of [2, 3]) await log.append(n, text(former.get(n)!), 1)
      },
      async run(fs, notes, disk) {
        const before = storageOn(disk.process(), 7).log(LOG)
        const owned = await open(before, notes, 'before', () => 1)
        const log = storageOn(fs).log(LOG, { durability })
        let n = await open(log, notes, 'later', (head) => head - 1)
        // The one before goes on as if nothing had happened.
        await write(notes, owned + 1, 'before', (bytes) => before.append(owned + 1, bytes, 1))
        for (let i = 0; n !== 0 && i < 8; i++) {
          const outcome = await write(notes, n + 1, 'later', (bytes) => log.append(n + 1, bytes, n - 1))
          if (outcome === 'lost' || outcome === 'unknown') break
          if (outcome === 'committed') n++
          if (durability === 'relaxed' && i % 3 === 2 && (await typed(log.sync()))) notes.durable = n
        }
        await typed(log.close())
      },
      verify: verifyLog,
    }
    await report(`claim and append, ${durability}`, scenario as CutScenario<never>)
  })
}

test('a claim of a first number that is not 1 leaves nothing, or a log that begins with it', async () => {
  interface Notes {
    outcomes: (string | undefined)[]
  }
  const scenario: CutScenario<Notes> = {
    notes: () => ({ outcomes: [] }),
    async run(fs, { outcomes }) {
      const log = storageOn(fs).log(LOG)
      outcomes.push((await typed(log.claim(7, text('mine'), 7)))?.outcome)
      if (outcomes[0] === 'committed') outcomes.push((await typed(log.append(8, text('next'), 7)))?.outcome)
      await typed(log.close())
    },
    async verify(disk, { outcomes }) {
      const found = await storageOn(disk.process(), 2).log(LOG).list(1)
      const { numbers } = found
      expect([[], [7], [7, 8]]).toContainEqual(numbers)
      for (const [i, outcome] of outcomes.entries()) if (outcome === 'committed') expect(numbers).toContain(7 + i)
      // The next one finishes: it wins the number, or reads who did.
      const log = storageOn(disk.process(), 3).log(LOG)
      const answers: string[] = []
      for (let tries = 0; tries < 3 && answers.at(-1) !== 'committed'; tries++) {
        const head = (await log.list(1)).numbers.at(-1) ?? 6
        answers.push((await log.claim(head + 1, text('later'), 7)).outcome)
      }
      expect(answers.at(-1)).toBe('committed')
      const after = (await storageOn(disk.process(), 4).log(LOG).list(1)).numbers
      expect(after).toEqual(after.map((_, i) => 7 + i))
      expect(after.slice(0, numbers.length)).toEqual(numbers)
      const first = string((await storageOn(disk.process(), 4).log(LOG).read(7)).bytes)
      if (numbers.length > 0 || outcomes[0] === 'committed') expect(first).toBe('mine')
      else if (outcomes[0] === 'lost' || (outcomes.length === 1 && outcomes[0] === undefined))
        expect(first).toBe('later')
      else expect(['mine', 'later']).toContain(first)
      expect(string((await log.read(after.at(-1)!)).bytes)).toBe('later')
      await log.close()
    },
  }
  await report('a claim of a later first number', scenario as CutScenario<never>)
})
