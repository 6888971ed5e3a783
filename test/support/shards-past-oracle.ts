/** What the oracle of a random life keeps of each shard (shards-past-life.ts). */

/** What a partition holds, and how far its source was read. */
export interface Content {
  readonly values: ReadonlyMap<string, number>
  readonly position: number
}

export interface Version {
  readonly version: number
  readonly time: number
  readonly label: string | undefined
  /** By partition; of those that its shard does not have, nothing. */
  readonly contents: ReadonlyMap<number, Content>
}

export interface Shard {
  readonly first: number
  readonly last: number
  readonly parents: readonly Shard[]
  readonly versions: Version[]
}

export function tagKey(shard: Shard, all: readonly Shard[], name: string): string {
  return `${all.indexOf(shard)} ${name}`
}

/** The shard and all that it came of. */
export function lineOf(shard: Shard): readonly Shard[] {
  const line = new Set([shard])
  for (const one of line) {
    for (const parent of one.parents) if (parent.first <= shard.last && parent.last >= shard.first) line.add(parent)
  }
  return [...line]
}

export function within({ first, last }: Shard, contents: ReadonlyMap<number, Content> | undefined) {
  return contents ? new Map([...contents].filter(([i]) => first <= i && i <= last)) : 'NOT_FOUND'
}

export function copyOf({ contents }: Version): Map<number, { values: Map<string, number>; position: number }> {
  return new Map([...contents].map(([i, { values, position }]) => [i, { values: new Map(values), position }]))
}

export function flat({ contents }: Pick<Version, 'contents'>): Map<string, number> {
  return new Map([...contents.values()].flatMap(({ values }) => [...values]))
}

export function sorted(all: ReadonlyMap<string, number>): [string, number][] {
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1))
}
