/** What the members of a simulated group were told and did, and what may not be among it. */

/** An acknowledged commit of a shard. */
export interface Acknowledged {
  readonly first: number
  readonly last: number
  readonly version: number
  readonly token: number
  readonly positions: ReadonlyMap<number, number>
}

/** An event that a handler was given. */
export interface Begun {
  /** Its partition and offset. */
  readonly what: string
  readonly by: Beginner
  readonly partition: number
  readonly token: number
  readonly at: number
}

export interface Beginner {
  readonly actor: { readonly name: string }
  /** Both of its clocks may have missed a time. */
  readonly isBlind: boolean
}

export class GroupRecord {
  readonly acknowledged: Acknowledged[] = []
  readonly begun: Begun[] = []
  readonly #leaseMs: number

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs
  }

  /** What is wrong. `counts` are the events that each partition has counted, of as many as there are. */
  judge(counts: readonly number[], events: number, isSmooth: boolean): string | undefined {
    const wrong = counts.flatMap((count, i) => (count === events ? [] : [`partition ${i} has counted ${count}`]))
    if (wrong.length > 0) return `Of ${events} events each: ${wrong.join(', ')}.`
    for (const partition of counts.keys()) {
      const found = this.#judgeCommits(partition) ?? this.#judgeBegun(partition)
      if (found) return found
    }
    return isSmooth ? this.#judgeOnce() : undefined
  }

  #judgeCommits(partition: number): string | undefined {
    const own = this.acknowledged.filter(({ first, last }) => first <= partition && partition <= last)
    own.sort((a, b) => a.version - b.version)
    for (const [i, next] of own.entries()) {
      const before = own[i - 1]
      if (!before) continue
      if (before.version === next.version) return `Version ${next.version} was acknowledged twice.`
      if (before.token > next.token) return `Owner ${next.token} was acknowledged after ${before.token}.`
      const [was, is] = [before.positions.get(partition) ?? 0, next.positions.get(partition) ?? 0]
      if (was > is) return `Partition ${partition} went from ${was} back to ${is}.`
    }
    return undefined
  }

  /** Who lost a shard begins nothing there any more, once it has had the time to look (G10). */
  #judgeBegun(partition: number): string | undefined {
    const own = this.begun.filter((each) => each.partition === partition)
    for (const { by, token, at } of own) {
      const later = by.isBlind ? undefined : own.find((other) => other.token > token)
      if (later && later.at + this.#leaseMs / 3 + 1 < at)
        return `${by.actor.name} began an event of partition ${partition} by ${token}, ${at - later.at} ms after ${later.token}.`
    }
    return undefined
  }

  #judgeOnce(): string | undefined {
    const seen = new Set<string>()
    for (const { what } of this.begun) {
      if (seen.has(what)) return `Event ${what} was begun twice although nothing failed.`
      seen.add(what)
    }
    return undefined
  }
}
