/** The place where a shard learns of damage. The repairer is loaded when something damaged was read, and asked from then on. */
import { Part, type Lazy } from '../../part.js'
import { damageOf } from '../../segment/damage.js'
import type { OpenLog, ShardState } from '../state.js'
import type { Repairable, Repairer } from './repairer.js'

const repairing = new Part(() => import('./repairer.js'))

export class DamageDetector {
  readonly #shard: OpenLog
  readonly repairer: Lazy<Repairer>

  constructor(shard: Repairable) {
    this.#shard = shard
    this.repairer = repairing.lazy((part) => new part.Repairer(shard))
  }

  /** Asks the repairer about the error of a read; throws the error when it is not about damage. */
  async about<R>(error: unknown, ask: (repairer: Repairer) => Promise<R>): Promise<R> {
    if (damageOf(error) === undefined) throw error
    return this.repairer.use(ask)
  }

  /**
   * After a read of `state` that failed: an equal state to repeat it on. Throws the error when it is not about damage, and
   * says what is lost when nothing is left to repair from.
   */
  repair(state: ShardState, error: unknown): Promise<ShardState> {
    return this.about(error, (repairer) => repairer.repair(state, error))
  }

  /** Puts a state in place of the present one that lists nothing damaged, and loads it where all is kept in memory. */
  async prepare(): Promise<void> {
    const { state } = this.#shard
    if (this.repairer.loaded === undefined && (await this.prepared(state)) === state) return
    await this.repairer.use((work) => work.prepare())
  }

  /** The state to use in place of this one, loaded where all is kept in memory. */
  async prepared(state: ShardState): Promise<ShardState> {
    const { repairer } = this
    if (repairer.loaded === undefined) {
      try {
        await this.#shard.context.resident?.prepare(state)
      } catch (error) {
        return this.about(error, (work) => work.prepared(state))
      }
    }
    // Another read may have met damage meanwhile.
    return repairer.loaded?.prepared(state) ?? state
  }
}
