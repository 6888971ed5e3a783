/**
 * The rows of a control store, and the state that they say: one row for each member and each shard, one for the settings, one for
 * the target. Who changes the state writes only the rows that differ, so two edits of unlike things are small, and readers are
 * told just those. What is read is hostile until it is checked.
 */
import { damaged, unsupported } from '../errors.js'
import {
  ASSIGN_VERSION,
  byId,
  inOrder,
  type GroupState,
  type Member,
  type Range,
  type Settings,
  type Shard,
  type Target,
} from './state.js'
import { MAX_PARTITIONS } from '../log/delta.js'

const ID = /^[0-9a-f]{32}$/
const SETTINGS = 'settings'
const TARGET = 'target'

/** Rows by their keys. */
export type Rows = ReadonlyMap<string, unknown>

/** What turns the rows of one state into those of another. */
export interface RowChanges {
  readonly puts: ReadonlyMap<string, object>
  readonly deletes: readonly string[]
}

/** The rows in which `after` differs; all of them when nothing was before. */
export function changedRows(before: GroupState | undefined, after: GroupState): RowChanges {
  const old = rowsOf(before)
  const now = rowsOf(after)
  const puts = new Map<string, object>()
  for (const [key, part] of now) if (old.get(key) !== part) puts.set(key, withoutGaps(part))
  return { puts, deletes: [...old.keys()].filter((key) => !now.has(key)) }
}

/** The parts of a state, each under the key of its row. An edit leaves those parts as they are that it does not change. */
function rowsOf(state: GroupState | undefined): Map<string, object> {
  const rows = new Map<string, object>()
  if (!state) return rows
  rows.set(SETTINGS, state.settings)
  if (state.target) rows.set(TARGET, state.target)
  for (const member of state.members.values()) rows.set(`member/${member.id}`, member)
  for (const shard of state.shards.values()) rows.set(`shard/${shard.id}`, shard)
  return rows
}

/** The key has the id; what is undefined is left out. */
function withoutGaps(part: object): object {
  return Object.fromEntries(Object.entries(part).filter(([name, value]) => name !== 'id' && value !== undefined))
}

/**
 * The state that rows say; undefined when there are none. `what` names the control store for errors.
 * @throws `UNSUPPORTED_FORMAT` when they follow a newer version of `assign`, `CORRUPT` when they are damaged.
 */
export function stateOf(rows: Rows, what: string): GroupState | undefined {
  if (rows.size === 0) return undefined
  const settings = settingsOf(new Row(what, SETTINGS, rows.get(SETTINGS)))
  const members: Member[] = []
  const shards: Shard[] = []
  let target: Target | undefined
  for (const [key, value] of rows) {
    if (key === SETTINGS) continue
    const [kind, id = ''] = key.split('/')
    const row = new Row(what, key, value)
    if (key === TARGET) target = targetOf(row, settings)
    else if (!ID.test(id) || key !== `${kind}/${id}`) throw row.error('it has an unknown key')
    else if (kind === 'member') members.push(memberOf(row, id))
    else if (kind === 'shard') shards.push(shardOf(row, id))
    else throw row.error('it has an unknown key')
  }
  const state = { settings, members: byId(members), shards: byId(shards), target }
  checkRanges(inOrder(state), settings, what)
  return state
}

function settingsOf(row: Row): Settings {
  const assignVersion = row.number('assignVersion', 1)
  if (assignVersion > ASSIGN_VERSION)
    throw unsupported(`${row.what} follows version ${assignVersion} of the assignment`)
  return {
    assignVersion,
    partitions: row.number('partitions', 1, MAX_PARTITIONS),
    moves: row.number('moves', 1),
    coolMs: row.ms('coolMs'),
    standbys: row.number('standbys'),
    warmEntries: row.number('warmEntries'),
  }
}

function memberOf(row: Row, id: string): Member {
  const { zone, weight, info } = row.fields
  if (typeof zone !== 'string') throw row.error('it has no zone')
  if (typeof weight !== 'number' || !(weight > 0) || weight === Infinity) throw row.error('it has no weight')
  return {
    id,
    zone,
    weight,
    info: info ?? null,
    isLeaving: row.flag('isLeaving'),
    assignVersion: row.number('assignVersion', 1),
    joinedAt: row.ms('joinedAt'),
  }
}

function shardOf(row: Row, id: string): Shard {
  const { standbys, movedAt, quietAt } = row.fields
  if (!Array.isArray(standbys) || !standbys.every(isId)) throw row.error('it has no list of standbys')
  return {
    id,
    first: row.number('first'),
    last: row.number('last'),
    owner: row.id('owner'),
    next: row.id('next'),
    standbys: [...new Set(standbys)],
    fails: row.number('fails'),
    isParked: row.flag('isParked'),
    movedAt: movedAt === undefined ? undefined : row.ms('movedAt'),
    quietAt: quietAt === undefined ? undefined : row.number('quietAt'),
  }
}

function targetOf(row: Row, { partitions }: Settings): Target {
  const { cuts } = row.fields
  if (!Array.isArray(cuts)) throw row.error('it has no cuts')
  const isRising = (cuts as unknown[]).every(
    (cut, i) => Number.isInteger(cut) && (cut as number) > (i === 0 ? 0 : (cuts[i - 1] as number)),
  )
  if (!isRising || (cuts.at(-1) ?? 0) >= partitions) throw row.error('its cuts do not fit')
  return { cuts: [...(cuts as number[])] }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}

/** Each partition is in one shard. */
function checkRanges(shards: readonly Range[], { partitions }: Settings, what: string): void {
  const isTiled = shards.every(
    ({ first, last }, i) => first === (i === 0 ? 0 : shards[i - 1]!.last + 1) && first <= last,
  )
  if (!isTiled || shards.at(-1)?.last !== partitions - 1)
    throw damaged(what, `its shards do not have each of ${partitions} partitions once`)
}

/** One row, whose fields are checked as they are read. */
class Row {
  readonly what: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly #key: string

  constructor(what: string, key: string, value: unknown) {
    this.what = what
    this.#key = key
    if (typeof value !== 'object' || value === null) throw this.error('it is missing, or no object')
    this.fields = Object.assign(Object.create(null) as Record<string, unknown>, value)
  }

  error(problem: string): Error {
    return damaged(this.what, `row ${JSON.stringify(this.#key)}: ${problem}`)
  }

  number(name: string, lowest = 0, highest = Number.MAX_SAFE_INTEGER): number {
    const value = this.fields[name]
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < lowest || value > highest)
      throw this.error(`its ${name} is no number from ${lowest} on`)
    return value
  }

  ms(name: string): number {
    const value = this.fields[name]
    if (typeof value !== 'number' || !(value >= 0 && value < Infinity)) throw this.error(`its ${name} is no time`)
    return value
  }

  flag(name: string): boolean {
    const value = this.fields[name]
    if (typeof value !== 'boolean') throw this.error(`its ${name} is neither true nor false`)
    return value
  }

  id(name: string): string | undefined {
    const value = this.fields[name]
    if (value !== undefined && !isId(value)) throw this.error(`its ${name} is no id`)
    return value
  }
}
