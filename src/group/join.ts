/** Joining a group. */
import { throwIfAborted } from '../errors.js'
import { Control, type First } from './control.js'
import { Group } from './group.js'
import { ensureStore, findFamily, findRoot, surroundings } from './logs.js'
import { resolveGroupOptions, type GroupOptions } from './options.js'
import { ASSIGN_VERSION, newState, type Settings } from './state.js'
import { configured } from './transitions.js'

/**
 * Makes this process a member of the group that shares out the shards of a store, and creates the store when it does not exist.
 * Members need nothing in common but the storage. From now on this process owns shards; `run` works on them, and `leave` hands them
 * on.
 *
 * @throws `INVALID_ARGUMENT` when an option is wrong, or the store has another job or partition count
 * @throws `UNSUPPORTED_FORMAT` when the group follows rules of a newer release
 * @throws `STORAGE_UNAVAILABLE` when the storage does not answer; `ABORTED` by the signal
 * @example
 *     const group = await joinGroup({ storage, name: 'orders', partitions: 64 })
 *     await group.run(source, async (event, state) => { state.put(event.key, event.value) })
 */
export async function joinGroup(given: GroupOptions): Promise<Group> {
  const options = resolveGroupOptions(given)
  const { store, signal, moves, coolMs, standbys, warmEntries } = options
  const { storage, name, clock, logger, timeoutMs } = store
  throwIfAborted(signal)
  const made: { group?: Group } = {}
  const ctx = surroundings(store, (message, cause) => made.group?.warn(message, cause))
  await ensureStore(ctx, store)
  const root = await findRoot(ctx, store)
  const first = async (): Promise<First> => {
    const { living, partitions, generation } = await findFamily(ctx, store)
    const settings = { assignVersion: ASSIGN_VERSION, partitions, moves, coolMs, standbys, warmEntries }
    return { state: newState(settings, living), base: generation }
  }
  const control = await Control.open({ storage, name, clock, logger, timeoutMs }, first, () => made.group?.changed())
  try {
    const group = new Group(control, options, ctx, root)
    made.group = group
    const wanted = wantedBy(given)
    if (configured(control.state, wanted) !== control.state)
      await control.transact((state) => configured(state, wanted))
    await group.join(signal)
    return group
  } catch (error) {
    await control.close()
    throw error
  }
}

/** What a member says of the group as a whole. What it leaves out stays as it is. */
function wantedBy({ moves, coolMs, standbys, warmEntries }: GroupOptions): Partial<Settings> {
  const given = Object.entries({ moves, coolMs, standbys, warmEntries }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given)
}
