/** Joining a group. */
import { resolveOptions, type OpenOptions } from '../store/open-options.js'
import { Control } from './control.js'
import { Group } from './group.js'
import { ensureStore, findFamily } from './logs.js'
import { ASSIGN_VERSION, newState } from './state.js'
import type { Renewer } from './presence.js'

/** Options of `joinGroup`. */
export interface GroupOptions extends Pick<OpenOptions, 'storage' | 'name' | 'partitions' | 'clock' | 'logger'> {
  readonly zone?: string
  readonly weight?: number
  readonly info?: unknown
  readonly leaseMs?: number
  readonly standbys?: number
  readonly warmEntries?: number
  readonly moves?: number
  readonly coolMs?: number
  readonly handoffMs?: number
  readonly store?: Pick<OpenOptions, 'resident' | 'retain'>
  readonly renewer?: Renewer
  readonly signal?: AbortSignal
}

export async function joinGroup(given: GroupOptions): Promise<Group> {
  const { storage, name, partitions, clock, logger, zone = '', weight = 1, info, leaseMs = 15_000 } = given
  const { standbys = 0, warmEntries = 16, moves = 2, coolMs = 300_000, handoffMs = 10_000, renewer, signal } = given
  const store = resolveOptions({ storage, name, partitions, clock, logger, ...given.store, mode: 'exclusive' })
  await ensureStore(store)
  const family = await findFamily(store)
  const settings = {
    assignVersion: ASSIGN_VERSION,
    partitions: family.partitions,
    moves,
    coolMs,
    standbys,
    warmEntries,
  }
  const made: { group?: Group } = {}
  const first = async (): Promise<{ state: ReturnType<typeof newState>; base: number }> => {
    const { living } = await findFamily(store)
    return { state: newState(settings, living), base: Math.max(0, ...living.map(({ generation }) => generation)) }
  }
  const control = await Control.open({ storage, name, clock, logger }, first, () => made.group?.changed())
  const group = new Group(control, { store, root: family.root, leaseMs, handoffMs, zone, weight, info, renewer })
  made.group = group
  try {
    await group.join(signal)
  } catch (error) {
    await control.close()
    throw error
  }
  return group
}
