/**
 * Keeps what a handle knows of damage: which segments not to use any more, and the states that were repaired around them. All who
 * meet the same damage share one repair, and the present state is put in place for everybody.
 */
import { singleFlight } from '../../async.js'
import { isTidemarkError, type TidemarkError } from '../../errors.js'
import type { SegmentRef } from '../../manifest/manifest.js'
import { damageOf, type Damage } from '../../segment/damage.js'
import { checkWhole } from '../../segment/whole.js'
import type { LogContext, ShardContext } from '../context.js'
import { lossReport } from './loss-report.js'
import { expired, namedAnchor } from '../history/past.js'
import { listPins } from '../history/pins.js'
import { readOn } from '../open/recovery.js'
import { isFinal, repairedState, type Ground } from './rebuild.js'
import { segmentsOf, type Composed, type OpenLog, type ShardState, type StatePart } from '../state.js'

/** How often a segment may read wrong in part and right as a whole, before the error is passed on. */
const MISREADS = 3

/** The shard whose damage is repaired. */
export interface Repairable extends OpenLog {
  /** Puts an equal state in place of the present one. */
  replace(equal: ShardState): void
}

export class Repairer {
  readonly #shard: Repairable
  readonly #ctx: ShardContext
  readonly #log: LogContext
  /** By name: what the first read of it said. */
  readonly #damaged = new Map<string, TidemarkError>()
  /** By name and the manifest under which it is read: that nothing is left to repair it from. */
  readonly #lost = new Map<string, TidemarkError>()
  readonly #misreads = new Map<string, number>()
  /** Reads of whole segments, by their names, and the repair of the present state. */
  readonly #once = singleFlight()
  /** Damage that was told of. */
  readonly #told = new Set<string>()
  readonly #repaired = new WeakMap<ShardState, Promise<ShardState>>()

  constructor(shard: Repairable) {
    this.#shard = shard
    this.#ctx = shard.context
    this.#log = shard.log
  }

  isAnyDamaged(segments: readonly SegmentRef[]): boolean {
    return segments.some(({ name }) => this.#damaged.has(name))
  }

  /** Whether the state stands on something that is known to be damaged, and not known to be lost. */
  isHit(state: ShardState): boolean {
    return this.#damaged.size > 0 && this.#hits(state).length > 0
  }

  #hits(state: ShardState): string[] {
    const names = new Set(segmentsOf(state).map(({ name }) => name))
    return [...names].filter((name) => this.#isHit(state, name))
  }

  #isHit(state: ShardState, name: string): boolean {
    return this.#damaged.has(name) && !this.#lost.has(lossOf(state, name))
  }

  /** The state itself as long as nothing that it lists is known to be damaged, else an equal one. */
  async sound(state: ShardState): Promise<ShardState> {
    let sound = state
    // The rebuilt state may list more that was found to be damaged meanwhile.
    while (this.isHit(sound)) {
      let running = this.#repaired.get(sound)
      if (running === undefined) {
        running = this.#rebuild(sound)
        this.#repaired.set(sound, running)
      }
      sound = await running
    }
    return sound
  }

  /** The same, or the state as it is where it can't be repaired: what it can still read it shall read. */
  async soundest(state: ShardState): Promise<ShardState> {
    return this.sound(state).catch((error: unknown) => {
      if (isFinal(error)) return state
      throw error
    })
  }

  async #rebuild(state: ShardState): Promise<ShardState> {
    const trim = Math.max(this.#shard.state.carried.trim, state.carried.trim)
    const ground: Ground = { ctx: this.#ctx, log: this.#log, damaged: this.#damaged, trim }
    const has = (name: string): boolean => this.#isHit(state, name)
    let isDone = false
    try {
      for (;;) {
        const repaired = await repairedState({ ...ground, damaged: { has } }, state)
        if (!(await this.#findMore(state, repaired))) continue
        this.#tell(state, repaired)
        isDone = true
        return repaired
      }
    } catch (error) {
      if (!isFinal(error)) throw error
      const hits = this.#hits(state)
      const lost = await this.#irreparable(ground, state, hits)
      const final = lossReport(this.#ctx.store, state, this.#damaged, lost, error)
      for (const name of lost) this.#lost.set(lossOf(state, name), final)
      throw final
    } finally {
      // It is tried again the next time: lost segments are passed over then, and the storage may answer.
      if (!isDone) this.#repaired.delete(state)
    }
  }

  /**
   * Those that cannot be repaired even alone; all of them, when they stand in each other's way. A repair that fails does not say
   * which segment it failed for. Only with that known is what is lost passed over from then on, and the rest repaired.
   */
  async #irreparable(ground: Ground, state: ShardState, names: readonly string[]): Promise<readonly string[]> {
    if (names.length < 2) return names
    const lost: string[] = []
    for (const name of names) {
      // Segments that the state does not list must be sound in any case.
      const has = (other: string): boolean => other === name || (!names.includes(other) && this.#isHit(state, other))
      try {
        await repairedState({ ...ground, damaged: { has } }, state)
      } catch (error) {
        if (!isFinal(error)) throw error
        lost.push(name)
      }
    }
    return lost.length > 0 ? lost : names
  }

  /**
   * Reads all that the repaired state lists and the other did not, and resolves with whether it is sound: the next fold gives
   * up what it replaces, and that may be the only good copy of something else.
   */
  async #findMore(before: ShardState, after: ShardState): Promise<boolean> {
    const known = new Set(segmentsOf(before).map(({ name }) => name))
    let isSound = true
    for (const segment of segmentsOf(after)) {
      if (known.has(segment.name)) continue
      known.add(segment.name)
      const { bytes } = await this.#ctx.storage.blobs.get(segment.name)
      try {
        await checkWhole(this.#log.platform, bytes, segment)
      } catch (error) {
        if (damageOf(error) === undefined) throw error
        this.#damaged.set(segment.name, error as TidemarkError)
        isSound = false
      }
    }
    return isSound
  }

  #tell(before: ShardState, after: ShardState): void {
    const names = new Set(segmentsOf(before).map(({ name }) => name))
    const found = [...this.#damaged].filter(([name]) => names.has(name) && !this.#told.has(name))
    if (found.length === 0) return
    for (const [name] of found) this.#told.add(name)
    this.#ctx.counters.repaired += found.length
    const { version } = after.carried
    const what = found.map(([, { message }]) => message).join(' ')
    const healed = version === this.#shard.state.carried.version ? ' The next fold writes it anew.' : ''
    this.#ctx.emit('repaired', {
      message: `${what} Version ${version} of store "${this.#ctx.store}" is read from an older fold and the log instead; nothing is lost.${healed}`,
      cause: found[0]![1],
    })
  }

  /**
   * After a read of `state` that failed: an equal state to repeat it on. Throws the error when it is not about damage, and
   * what is lost when nothing is left to repair from.
   */
  async repair(state: ShardState, error: unknown): Promise<ShardState> {
    if (state.of) return repairParts(state.of, error)
    const name = await this.#learn(state, error)
    const sound = await this.sound(state)
    // A state that does not list what its reader has met cannot help.
    if (sound === state && this.#damaged.has(name)) throw this.#lost.get(lossOf(state, name)) ?? error
    // For the present state the two are one repair. What others come to know of it is told to those who read it.
    if (this.isHit(this.#shard.state)) await this.prepare().catch(() => undefined)
    return sound
  }

  /** The same after a read of several states: it is enough that one of them is another afterwards. */
  async repairAll(states: readonly ShardState[], error: unknown): Promise<ShardState[]> {
    const ends = await Promise.allSettled(states.map((state) => this.repair(state, error)))
    const failed = ends.filter((result) => result.status === 'rejected')
    if (failed.length === states.length) throw failed.at(-1)!.reason
    return ends.map((result, i) => (result.status === 'fulfilled' ? result.value : states[i]!))
  }

  /** Puts a state in place of the present one that lists nothing damaged, and loads it where all is kept in memory. */
  prepare(): Promise<void> {
    return this.#once('present', () => this.#prepare())
  }

  async #prepare(): Promise<void> {
    for (;;) {
      const before = this.#shard.state
      const sound = await this.prepared(before)
      if (sound === before) return
      const now = this.#shard.state
      // Entries that came meanwhile follow on the repaired state as they did on the other.
      if (now.manifest !== before.manifest) continue
      const tail = [...sound.tail, ...now.tail.filter(({ n }) => n > before.head)]
      this.#shard.replace({ ...now, manifest: sound.manifest, tail, isRepaired: true })
      const kept = new Set(segmentsOf(sound).map(({ name }) => name))
      this.#ctx.resident?.release(segmentsOf(before).filter(({ name }) => !kept.has(name)))
      return
    }
  }

  /** The state to use in place of this one, loaded where all is kept in memory. */
  async prepared(state: ShardState): Promise<ShardState> {
    for (;;) {
      const sound = await this.sound(state)
      try {
        await this.#ctx.resident?.prepare(sound)
        if (!this.isHit(sound)) return sound
      } catch (error) {
        const lost = this.#lost.get(lossOf(sound, await this.#learn(sound, error)))
        if (lost) throw lost
      }
    }
  }

  /** Takes note of the damage that a read of `state` has met, and resolves with the segment's name; throws all other errors. */
  async #learn(state: ShardState, error: unknown): Promise<string> {
    const damage = damageOf(error)
    if (damage === undefined) throw error
    const { name } = damage.place
    if (damage.isMissing && !this.#damaged.has(name)) await this.#assertKept(state)
    await this.#check(damage, error as TidemarkError)
    return name
  }

  /** Reads the whole segment once more: what was damaged on its way only is no reason to give it up. */
  #check({ place }: Damage, error: TidemarkError): Promise<void> {
    const { name } = place
    if (this.#damaged.has(name)) return Promise.resolve()
    return this.#once(name, () => this.#readAgain(name, place, error))
  }

  async #readAgain(name: string, place: Damage['place'], error: TidemarkError): Promise<void> {
    const { bytes } = await this.#ctx.storage.blobs.get(name)
    try {
      await checkWhole(this.#log.platform, bytes, place)
    } catch (whole) {
      if (!isTidemarkError(whole) || whole.code !== 'CORRUPT') throw whole
      this.#damaged.set(name, error)
      return
    }
    const misreads = (this.#misreads.get(name) ?? 0) + 1
    this.#misreads.set(name, misreads)
    if (misreads >= MISREADS) throw error
  }

  /** A missing segment may have been collected: the anchor and the head tell, as they are now (R39). */
  async #assertKept(state: ShardState): Promise<void> {
    const [ctx, log] = [this.#ctx, this.#log]
    const { trim } = await namedAnchor(ctx, log)
    const { version, manifestAt } = state.carried
    const present = this.#shard.state
    const newest = trim >= present.head ? undefined : await readOn(ctx, log, present)
    if (newest !== undefined && version >= newest.carried.keeps) return
    const isPinned = manifestAt === 0 && (await listPins(ctx.storage, log.path)).some((pin) => pin.version === version)
    if (!isPinned) throw expired(ctx.store, version)
  }
}

/** Those parts of a state are repaired, each in its own log, that list what a read has met. */
async function repairParts(of: Composed, error: unknown): Promise<ShardState> {
  const name = damageOf(error)?.place.name
  const lists = (state: ShardState): boolean => segmentsOf(state).some((segment) => segment.name === name)
  if (!of.parts.some(({ state }) => lists(state))) throw error
  const repair = async ({ of: log, state }: StatePart): Promise<ShardState> =>
    lists(state) ? log.detector.repair(state, error) : state
  return of.with(await Promise.all(of.parts.map(repair)))
}

function lossOf({ carried }: ShardState, name: string): string {
  return `${carried.manifestAt} ${name}`
}
