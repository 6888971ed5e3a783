/** The options of `joinGroup`. */
import { writeJson } from '../bytes/json.js'
import { invalid, reasonOf, show } from '../errors.js'
import { resolveOptions, type OpenOptions, type ResolvedOptions } from '../store/open-options.js'
import { any, checker, number, optional, signal, type Check } from '../store/options.js'
import { LONGEST_LEASE } from './lease.js'
import type { Renewer } from './presence.js'

/** The options of `joinGroup`. */
export interface GroupOptions extends Pick<
  OpenOptions,
  'storage' | 'name' | 'partitions' | 'job' | 'clock' | 'logger' | 'timeoutMs'
> {
  /**
   * Where this member is, such as a zone of a cloud. Standbys sit in other zones than owners, where there are any.
   * @default ''
   * @when Set it where a whole zone may fail at once.
   */
  readonly zone?: string | undefined
  /**
   * How much this member takes: shards are shared out in proportion to it.
   * @default 1
   * @unit parts
   * @when Raise it on a larger machine.
   */
  readonly weight?: number | undefined
  /**
   * What this member tells others of itself, such as its address: anything that JSON keeps. `ownerOf` and `members` show it.
   * @default null
   * @when Set it when requests are sent on to owners.
   */
  readonly info?: unknown
  /**
   * How long a member lives without a sign: it gives one three times in so many milliseconds. Timers of background tabs fire once a
   * minute: 120,000 suits them. All members should say the same.
   * @default 15_000
   * @unit milliseconds
   * @when Lower it when others have to take over sooner; each halving doubles what an idle member costs.
   */
  readonly leaseMs?: number | undefined
  /**
   * How many members follow each shard, so that they can take it over at once. This, `warmEntries`, `moves` and `coolMs` are about the
   * whole group: what the newest member that gives one has said counts for all; the default is only for a group that is made.
   * @default 0
   * @unit members
   * @when Set 1 when a shard has to go on sooner than its state can be read.
   */
  readonly standbys?: number | undefined
  /**
   * A member takes over what is handed to it once it lacks no more entries than this.
   * @default 16
   * @unit entries
   * @when Raise it where commits come faster than they are read.
   */
  readonly warmEntries?: number | undefined
  /**
   * How many shards may be on their way to one member.
   * @default 2
   * @unit shards
   * @when Raise it when there are hundreds of small shards.
   */
  readonly moves?: number | undefined
  /**
   * How long a shard that was moved stays where it is, unless its owner leaves or fails.
   * @default 300_000
   * @unit milliseconds
   * @when Lower it when loads have to become even sooner.
   */
  readonly coolMs?: number | undefined
  /**
   * How long a new owner waits for the former one to end the event in hand, from when that one must have heard of it.
   * @default 10_000
   * @unit milliseconds
   * @when Raise it above the time of the longest handler.
   */
  readonly handoffMs?: number | undefined
  /**
   * How the shards that this member owns or follows are opened.
   * @default as `openStore` does it
   * @when Set it when handlers read without waiting, or more versions are to be kept.
   */
  readonly store?: Pick<OpenOptions, 'resident' | 'retain'> | undefined
  /**
   * Renews the lease beside the thread, as a worker can.
   * @default a timer of the thread
   * @when Set it where handlers keep the thread for longer than a lease.
   */
  readonly renewer?: Renewer | undefined
  /**
   * Ends the joining with `ABORTED`.
   * @default none
   * @when Set it when whoever waits for the group may go away.
   */
  readonly signal?: AbortSignal | undefined
}

/** Options of `leave`. */
export interface LeaveOptions {
  /**
   * How long others are waited for that take the shards over. What is not handed over by then is lost, as if the process had
   * died, and the events that were not committed are handled again.
   * @default 30_000
   * @unit milliseconds
   * @when Raise it when handlers take longer; lower it below what the platform grants before it kills the process.
   */
  readonly timeoutMs?: number | undefined
}

const LONGEST_TIMER = 2 ** 31 - 1
const MAX_INFO = 65_536

const zone: Check<string> = (name, given = '') => {
  if (typeof given === 'string' && given.length <= 256) return given
  throw invalid(`${name}: a string of at most 256 characters is expected, not ${show(given)}.`)
}

const weight: Check<number> = (name, given = 1) => {
  if (typeof given === 'number' && given > 0 && given <= 1_000_000) return given
  throw invalid(`${name}: a number above 0 is expected, not ${show(given)}.`)
}

/** A copy of it, as JSON keeps it. */
const info: Check<unknown> = (name, given = null) => {
  let text: string
  try {
    text = JSON.stringify(given)
    writeJson(JSON.parse(text))
  } catch (cause) {
    throw invalid(`${name}: it cannot be written as JSON: ${reasonOf(cause)}`, cause)
  }
  if (text.length > MAX_INFO)
    throw invalid(`${name}: its JSON has ${text.length} characters, and ${MAX_INFO} are allowed.`)
  return JSON.parse(text) as unknown
}

const renewer: Check<Renewer> = (name, given) => {
  if (typeof Object(given).start === 'function') return given as Renewer
  throw invalid(`${name}: an object with a function start() is expected.`)
}

const CHECKS = {
  storage: any<OpenOptions['storage']>(),
  name: any<OpenOptions['name']>(),
  partitions: any<OpenOptions['partitions']>(),
  job: any<OpenOptions['job']>(),
  clock: any<OpenOptions['clock']>(),
  logger: any<OpenOptions['logger']>(),
  timeoutMs: any<OpenOptions['timeoutMs']>(),
  zone,
  weight,
  info,
  leaseMs: number(15_000, 30, LONGEST_LEASE),
  standbys: number(0, 0, 64),
  warmEntries: number(16, 0),
  moves: number(2, 1, 4096),
  coolMs: number(300_000, 0),
  handoffMs: number(10_000, 0, LONGEST_TIMER),
  store: any<GroupOptions['store']>(),
  renewer: optional(renewer),
  signal,
}
const check = checker('joinGroup', CHECKS)

export type ResolvedGroupOptions = Omit<ReturnType<typeof check>, 'store'> & {
  /** Those of each shard. */
  readonly store: ResolvedOptions
}

/** @throws `INVALID_ARGUMENT` */
export function resolveGroupOptions(given: GroupOptions): ResolvedGroupOptions {
  const options = check(given)
  const { storage, name, partitions, job, clock, logger, timeoutMs, store } = options
  const own = { storage, name, partitions, job, clock, logger, timeoutMs }
  return { ...options, store: resolveOptions({ ...store, ...own, mode: 'exclusive' }) }
}
