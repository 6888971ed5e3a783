/** Chooses the store of a place when none is named. */
import type { Clock } from '../clock.js'
import { TidemarkError, invalid, isDamage, isTidemarkError } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { eachOf, contextOf, openToRead } from '../transfer/options.js'
import { listStores } from '../tools/stores.js'

/** A store in the list of a place. */
export interface StoreLine {
  readonly name: string
  readonly version: number
  /** When the version and the store were made, in milliseconds since 1970. */
  readonly versionTime: number | null
  readonly created: number
  readonly mode: string
  /** The store that it was forked from. */
  readonly parent: string | null
  /** Why nothing is known of it: it is the rest of one, it is damaged, or a newer release wrote it. */
  readonly unreadable?: string
}

export interface Chosen {
  readonly name: string
  /** All stores of the place, when there are several. */
  readonly stores: readonly StoreLine[]
}

const AT_ONCE = 4

/** The stores of a place, the oldest first and forks after those that are none. */
export async function describeStores(storage: Storage, clock: Clock): Promise<StoreLine[]> {
  const lines: StoreLine[] = []
  await eachOf(await listStores(storage), AT_ONCE, async ({ name, incomplete }) => {
    const line = incomplete
      ? unreadable(name, 'only what is left of it; destroy removes that')
      : await describe(storage, name, clock)
    if (line) lines.push(line)
  })
  const rank = ({ parent, unreadable: why }: StoreLine): number => (why !== undefined ? 2 : parent === null ? 0 : 1)
  return lines.sort((a, b) => rank(a) - rank(b) || a.created - b.created || (a.name < b.name ? -1 : 1))
}

async function describe(storage: Storage, name: string, clock: Clock): Promise<StoreLine | undefined> {
  try {
    const shard = await openToRead(contextOf({ storage, name }, clock), undefined)
    const { carried, manifest } = shard.state
    await shard.close()
    const { version, versionTime, mode } = carried
    const { created, parent = null } = manifest.config
    return { name, version, versionTime: version === 0 ? null : versionTime, created, mode, parent }
  } catch (error) {
    // Somebody has destroyed the store meanwhile.
    if (isTidemarkError(error) && error.code === 'NOT_FOUND') return undefined
    if (!isDamage(error)) throw error
    return unreadable(name, error.message)
  }
}

function unreadable(name: string, why: string): StoreLine {
  return { name, version: 0, versionTime: null, created: 0, mode: '', parent: null, unreadable: why }
}

/**
 * The store of a command that names none: the only one, or of several the oldest that is no fork. So a store that is made
 * later never changes the meaning of a command.
 */
export async function chooseStore(storage: Storage, where: string, clock: Clock): Promise<Chosen> {
  const found = await listStores(storage)
  const whole = found.filter(({ incomplete }) => !incomplete)
  // Remains of other stores do not count beside a whole one.
  const [only, ...others] = whole.length > 0 ? whole : found
  if (only === undefined) throw new TidemarkError('NOT_FOUND', `There is no store in ${where}; check the path.`)
  if (others.length === 0) return { name: only.name, stores: [] }
  const stores = await describeStores(storage, clock)
  const candidates = stores.filter(({ name }) => whole.length === 0 || whole.some((store) => store.name === name))
  const [first] = candidates
  // Nobody can tell the oldest one when the age of one of them is unknown.
  const isDoubtful = candidates.some(({ unreadable: why }) => why !== undefined)
  if (first === undefined || isDoubtful) throw severalStores(where, stores)
  return { name: first.name, stores }
}

export function severalStores(where: string, stores: readonly { readonly name: string }[]): TidemarkError {
  const names = stores.map(({ name }) => name).join(', ')
  return invalid(`There are ${stores.length} stores in ${where}: ${names}. Choose one with --store.`)
}
