/**
 * One log of the node-fs adapter under two or three claimants and a follower, in an order that follows from a seed: each call of
 * the file system waits for its turn, processes are held up, killed and started again, syncs fail, there may be no room, and the
 * power may go. Some claimants share the log: each of their entries is a claim, and none may be left in doubt on a healthy disk.
 * Then a last owner claims, and everything that anybody was told is compared with the history that it finds.
 */
import { LOG_TUNING, type LogTuning } from '../../adapters/node-fs/log/tuning.js'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { isTidemarkError } from '../../src/errors.js'
import type { Log, Outcome } from '../../src/storage/contract.js'
import { Random } from '../../src/testing/random.js'
import { ModelFs, type ModelProcess } from './model-fs.js'
import { Interleaving, modelClock, type Disturbance } from './model-fs-run.js'

const LOG = 'orders/0/id'
const LIMIT = 20_000
/** About as long as most stories are. */
const MOST_STEPS_BEFORE_POWER_LOSS = 500
/** How many turns a follower waits at most when there is nothing new. */
const LONGEST_PAUSE = 40
/** The calls that a file system without room may refuse. */
const NEEDS_ROOM: ReadonlySet<string> = new Set(['open', 'write', 'link', 'rename', 'mkdir'])
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const string = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export interface Simulated {
  readonly committed: number
  readonly lost: number
  readonly unknown: number
  /** Entries of claimants that share the log. */
  readonly shared: number
  /** Calls that there was no room for. */
  readonly refused: number
  readonly seen: number
  readonly steps: number
}

/** How often each kind of step was taken, or disturbed: `write log` is a write to a log file. */
export type Steps = Map<string, Record<Disturbance, number>>

/** All that any process was told. */
class Told {
  readonly committed = new Map<number, string>()
  readonly lost = new Set<string>()
  readonly seen = new Map<number, string>()
  /** Entries up to here may have been removed. */
  trim = 0
  unknown = 0
  shared = 0
  refused = 0
  sent = 0
}

/** Throws when the history contradicts what somebody was told. */
export async function simulate(seed: number, steps: Steps = new Map()): Promise<Simulated> {
  const order = new Interleaving(seed, (what, step) => {
    let counts = steps.get(step)
    if (!counts) steps.set(step, (counts = { taken: 0, 'held up': 0, killed: 0, 'lost power': 0 }))
    counts[what]++
  })
  const { random } = order
  const tuning = {
    ...LOG_TUNING,
    patienceMs: random.chance(0.5) ? 0 : 3,
    preallocateBytes: 256,
    // By luck of its own, as below.
    largeBytes: new Random(seed + 2_000_000_000).chance(0.5) ? 60 : 1_000_000,
    reserveBytes: 64,
    rotateBytes: 600,
  }
  const failSync = random.chance(0.5) ? 0.1 : 0
  // Full disks have luck of their own, so that the other seeds tell what they told before.
  const luck = new Random(seed + 1_000_000_000)
  const failRoom = luck.chance(0.3) ? 0.04 : 0
  const sharing = luck.chance(0.5) ? 0.8 : 0
  const killing = random.chance(0.5) ? 0.006 : 0
  const powerEnds = random.chance(0.5) ? random.below(MOST_STEPS_BEFORE_POWER_LOSS) : Infinity
  const told = new Told()
  let disk = new ModelFs()
  let living = new Map<string, ModelProcess>()
  let started = 0
  let over = false

  function start(kind: 'claimant' | 'follower'): void {
    const name = `${kind} ${++started}`
    const fs = disk.process({
      async onStep({ call, path }) {
        await order.next(name, `${call} ${kindOf(path)}`)
        if (failRoom > 0 && NEEDS_ROOM.has(call) && luck.chance(failRoom)) {
          told.refused++
          return { before: 'ENOSPC' }
        }
        // The descriptor of an owner's own file was opened under its temporary name.
        return call === 'fdatasync' && /\/(?:log|temp)\./.test(path) && random.chance(failSync)
          ? { before: 'EIO' }
          : undefined
      },
    })
    living.set(name, fs)
    const storage = fileStorage(fs, '/disk', modelClock(seed * 100 + started), tuning)
    const isSharing = luck.chance(sharing)
    const program = kind === 'follower' ? follow() : isSharing ? share(name) : claimant(name)
    // A process that was killed never ends: it is not in the list any more.
    program.then(
      () => living.delete(name),
      (error: unknown) => {
        living.delete(name)
        failure ??= error
      },
    )

    async function claimant(who: string): Promise<void> {
      for (let lives = 1 + random.below(2); lives > 0; lives--) {
        const log = storage.log(LOG)
        let n = await open(log, who)
        for (let entries = random.below(5); n !== 0 && entries > 0; entries--) {
          const from = Math.max(1, n + 1 - random.below(4))
          const outcome = await send(who, n + 1, (bytes) => log.append(n + 1, bytes, from))
          if (outcome === 'committed') n++
          else if (outcome !== 'failed') break
          if (outcome === 'committed' && random.chance(0.1)) await remove(log, from - 1)
        }
        await typed(log.close())
      }
    }

    async function share(who: string): Promise<void> {
      const log = storage.log(LOG)
      for (let entries = 1 + random.below(6); entries > 0; entries--) {
        const head = (await typed(log.list(1)))?.numbers.at(-1) ?? 0
        const from = Math.max(1, head + 1 - random.below(4))
        const outcome = await send(who, head + 1, (bytes) => log.claim(head + 1, bytes, from))
        if (outcome === 'committed') told.shared++
        // An entry is never left in doubt by what others do, or by one of them that dies, unless they have removed it since.
        const isRemoved = head + 1 <= told.trim
        if (failSync + failRoom === 0 && !isRemoved && (outcome === 'unknown' || outcome === 'failed')) {
          throw new Error(`a claim on a healthy disk: ${outcome}`)
        }
        if (outcome === 'unknown') break
      }
      await typed(log.close())
    }

    async function open(log: Log, who: string): Promise<number> {
      for (let tries = 0; tries < 3; tries++) {
        const head = (await typed(log.list(1)))?.numbers.at(-1) ?? 0
        const from = Math.max(1, head + 1 - random.below(4))
        const outcome = await send(who, head + 1, (bytes) => log.claim(head + 1, bytes, from))
        if (outcome === 'committed') return head + 1
        if (outcome === 'unknown') return 0
      }
      return 0
    }

    /** Reads on for as long as somebody may write, sometimes with a new handle. */
    async function follow(): Promise<void> {
      let log = storage.log(LOG)
      for (let n = 1; [...living.keys()].some((other) => other.startsWith('claimant'));) {
        const found = await typed(log.read(n))
        if (found?.bytes) see(n, string(found.bytes))
        if (found?.bytes || n <= told.trim) {
          n++
          continue
        }
        if (random.chance(0.05)) {
          await typed(log.close())
          log = storage.log(LOG)
        }
        for (let turns = random.below(LONGEST_PAUSE); turns > 0; turns--) await order.next(name, 'pause')
      }
      await typed(log.close())
    }
  }

  async function send(who: string, n: number, act: (bytes: Uint8Array) => Promise<Outcome>): Promise<string> {
    const body = `${who}, sent ${++told.sent}, ${'x'.repeat(random.below(80))}`
    const answer = await typed(act(text(body)))
    if (answer?.outcome === 'unknown') told.unknown++
    if (answer === undefined || answer.outcome === 'lost') told.lost.add(body)
    if (answer?.outcome === 'committed') {
      if (told.committed.has(n)) throw new Error(`${n} was acknowledged twice`)
      told.committed.set(n, body)
    }
    return answer?.outcome ?? 'failed'
  }

  function see(n: number, body: string): void {
    if ((told.seen.get(n) ?? body) !== body) throw new Error(`a follower saw two entries ${n}`)
    told.seen.set(n, body)
  }

  async function remove(log: Log, trim: number): Promise<void> {
    told.trim = Math.max(told.trim, trim)
    await typed(log.remove(Array.from({ length: trim }, (_, i) => i + 1)))
  }

  function startAll(fewest: number): void {
    for (let claimants = fewest + random.below(2); claimants > 0; claimants--) start('claimant')
    start('follower')
  }

  let failure: unknown
  startAll(2)
  await order.run(
    () => over || failure !== undefined || living.size === 0,
    LIMIT,
    () => {
      if (order.steps === powerEnds) {
        for (const name of living.keys()) order.forget(name, 'lost power')
        living = new Map()
        disk = disk.crash({ seed })
        // After a failed sync a page cache shows followers what the power loss now takes back (docs/format.md).
        if (failSync > 0) told.seen.clear()
        startAll(1)
      } else if (random.chance(killing) && started < 12) {
        const [name, fs] = [...living][random.below(living.size)]!
        fs.kill()
        order.forget(name, 'killed')
        living.delete(name)
        start(name.startsWith('follower') ? 'follower' : 'claimant')
      }
    },
  )
  over = true
  if (failure !== undefined) throw failure
  disk = disk.kill()

  // The power may go at the end as well: all that was told was told to the world.
  if (random.chance(0.75)) disk = disk.crash({ seed: seed + 1 })
  await compare(disk, tuning, told, failSync > 0)
  const { committed, lost, unknown, shared, refused, seen } = told
  return {
    committed: committed.size,
    lost: lost.size,
    unknown,
    shared,
    refused,
    seen: seen.size,
    steps: order.steps,
  }
}

/** `lies`: syncs have failed, so that a page cache showed followers what a power loss then took back (docs/format.md). */
async function compare(disk: ModelFs, tuning: LogTuning, told: Told, lies: boolean): Promise<void> {
  const storage = fileStorage(disk.process(), '/disk', modelClock(9), tuning)
  const log = storage.log(LOG)
  let head = 0
  for (let tries = 0; ; tries++) {
    const next = ((await log.list(1)).numbers.at(-1) ?? 0) + 1
    const { outcome } = await log.claim(next, text('last'), Math.max(1, next - 1))
    if (outcome === 'committed') head = next
    if (head) break
    if (tries === 8) throw new Error(`the last owner cannot claim: ${outcome}`)
  }
  const reader = storage.log(LOG)
  const history = new Map<number, string>()
  for (let n = told.trim + 1; n <= head; n++) {
    const { bytes } = await reader.read(n)
    if (!bytes) throw new Error(`there is a hole at ${n}, below ${head}`)
    history.set(n, string(bytes))
  }
  const bodies = new Set(history.values())
  if (bodies.size !== history.size) throw new Error('an entry is there twice')
  for (const [n, body] of told.committed) {
    if (n > told.trim && history.get(n) !== body)
      throw new Error(`${n} was acknowledged as ${body}, is ${history.get(n)}`)
  }
  for (const body of told.lost) if (bodies.has(body)) throw new Error(`${body} was lost and is in the history`)
  for (const [n, body] of told.seen) {
    if (n > told.trim && !lies && history.get(n) !== body) {
      throw new Error(`a follower saw ${n} as ${body}, it is ${history.get(n)}`)
    }
  }
}

/** The kind of the file at a path: `log`, `owner`, `temp`, `trim`; `folder` for any other. */
function kindOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.indexOf('.')
  return dot > 0 ? name.slice(0, dot) : 'folder'
}

async function typed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isTidemarkError(error) && error.code !== 'CORRUPT') return undefined
    throw error
  }
}
