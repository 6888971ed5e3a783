/** What a shard does about damage: the repairer is loaded when something damaged was read, and asked from then on. */
import { Part, type Lazy } from '../../part.js'
import { damageOf } from '../../segment/damage.js'
import type { LogContext, ShardContext } from '../context.js'
import type { ShardState } from '../state.js'
import type { Repairer } from './repairer.js'

const repairing = new Part(() => import('./repairer.js'))

export class DamageDetector {
  readonly #ctx: ShardContext
  readonly #state: () => ShardState
  readonly repairer: Lazy<Repairer>

  /** `replace` puts an equal state in place of the present one. */
  constructor(ctx: ShardContext, log: LogContext, state: () => ShardState, replace: (equal: ShardState) => void) {
    this.#ctx = ctx
    this.#state = state
    this.repairer = repairing.lazy((part) => new part.Repairer(ctx, log, state, replace))
  }

  isDamaged(name: string): boolean {
    return this.repairer.loaded?.isDamaged(name) === true
  }

  /**
   * After a read of `state` that failed: an equal state to repeat it on. Throws the error when it is not about damage, and
   * what is lost when nothing is left to repair from.
   */
  async mend(state: ShardState, error: unknown): Promise<ShardState> {
    if (damageOf(error) === undefined) throw error
    return this.repairer.use((work) => work.mend(state, error))
  }

  /** Of a read of several states: it is enough that one of them is another afterwards. */
  async mendAll(states: readonly ShardState[], error: unknown): Promise<ShardState[]> {
    if (damageOf(error) === undefined) throw error
    return this.repairer.use((work) => work.mendAll(states, error))
  }

  /** Puts a state in place of the present one that lists nothing damaged, and loads it where all is kept in memory. */
  async prepare(): Promise<void> {
    const state = this.#state()
    if (this.repairer.loaded === undefined && (await this.prepared(state)) === state) return
    await this.repairer.use((work) => work.prepare())
  }

  /** The state to use in place of this one, loaded where all is kept in memory. */
  async prepared(state: ShardState): Promise<ShardState> {
    const { repairer } = this
    if (repairer.loaded === undefined) {
      try {
        await this.#ctx.resident?.prepare(state)
      } catch (error) {
        if (damageOf(error) === undefined) throw error
        return repairer.use((work) => work.prepared(state))
      }
    }
    // Another read may have met damage meanwhile.
    return repairer.loaded?.prepared(state) ?? state
  }
}
