/** Repair as an open shard sees it: nothing of it is needed before something damaged was read (mending.ts). */
import { damageOf } from '../../segment/damage.js'
import type { LogContext, ShardContext } from '../context.js'
import type { Repairer } from './repairer.js'
import { mending } from '../parts.js'
import type { ShardState } from '../state.js'

export interface DamageHost {
  state(): ShardState
  /** Puts an equal state in place of the present one. */
  replace(state: ShardState): void
}

export class DamageDetector {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #host: DamageHost
  #repairer: Repairer | undefined

  constructor(ctx: ShardContext, log: LogContext, host: DamageHost) {
    this.#ctx = ctx
    this.#log = log
    this.#host = host
  }

  #use<T>(act: (work: Repairer) => Promise<T>): Promise<T> {
    return mending.use((part) => act((this.#repairer ??= new part.Repairer(this.#ctx, this.#log, this.#host))))
  }

  isDamaged(name: string): boolean {
    return this.#repairer?.isDamaged(name) === true
  }

  /** Whether the state stands on something that is known to be damaged, and not known to be lost. */
  isHit(state: ShardState): boolean {
    return this.#repairer?.isHit(state) === true
  }

  /** An equal state that lists nothing damaged, or the state as it is where it can't be repaired. */
  async soundest(state: ShardState): Promise<ShardState> {
    return this.#repairer ? this.#repairer.soundest(state) : state
  }

  /**
   * After a read of `state` that failed: an equal state to repeat it on. Throws the error when it is not about damage, and
   * what is lost when nothing is left to repair from.
   */
  async mend(state: ShardState, error: unknown): Promise<ShardState> {
    if (damageOf(error) === undefined) throw error
    return this.#use((work) => work.mend(state, error))
  }

  /** Of a read of several states: it is enough that one of them is another afterwards. */
  async mendAll(states: readonly ShardState[], error: unknown): Promise<ShardState[]> {
    if (damageOf(error) === undefined) throw error
    return this.#use((work) => work.mendAll(states, error))
  }

  /** Puts a state in place of the present one that lists nothing damaged, and loads it where all is kept in memory. */
  async prepare(): Promise<void> {
    const state = this.#host.state()
    if (this.#repairer === undefined && (await this.prepared(state)) === state) return
    await this.#use((work) => work.prepare())
  }

  /** The state to use in place of this one, loaded where all is kept in memory. */
  async prepared(state: ShardState): Promise<ShardState> {
    if (this.#repairer === undefined) {
      try {
        await this.#ctx.resident?.prepare(state)
        if (!this.isHit(state)) return state
      } catch (error) {
        if (damageOf(error) === undefined) throw error
      }
    }
    return this.#use((work) => work.prepared(state))
  }
}
