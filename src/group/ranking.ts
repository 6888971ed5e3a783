/** Members in the order of a score that changes of one at a time: who has least is found without looking at all. */

interface Hashed {
  readonly hash: number
}

/** Equals stand on a circle by their hashes, and are taken from where a hash points to: so not all are given the same. */
export class Ranking<T extends Hashed> {
  readonly #score: (member: T) => number
  /** The scores that there are, lowest first. */
  readonly #scores: number[] = []
  /** Who has each score, lowest hash first. */
  readonly #equals = new Map<number, T[]>()

  constructor(members: Iterable<T>, score: (member: T) => number) {
    this.#score = score
    for (const member of members) this.#add(member)
  }

  /** Runs what changes the score of a member; one that is not ranked stays so. */
  change(member: T, run: () => unknown): void {
    const isRanked = this.#remove(member)
    run()
    if (isRanked) this.#add(member)
  }

  /** Who has least of those that may; of equals the next one from `by` on. */
  least(by: Hashed, may?: (member: T) => boolean): T | undefined {
    for (const score of this.#scores) {
      const equals = this.#equals.get(score)!
      const from = placeOf(equals.length, (i) => equals[i]!.hash >= by.hash)
      for (let i = 0; i < equals.length; i++) {
        const member = equals[(from + i) % equals.length]!
        if (!may || may(member)) return member
      }
    }
    return undefined
  }

  #add(member: T): void {
    const score = this.#score(member)
    const equals = this.#equals.get(score)
    if (equals) {
      equals.splice(
        placeOf(equals.length, (i) => equals[i]!.hash > member.hash),
        0,
        member,
      )
      return
    }
    this.#equals.set(score, [member])
    this.#scores.splice(this.#placeOf(score), 0, score)
  }

  #remove(member: T): boolean {
    const score = this.#score(member)
    const equals = this.#equals.get(score) ?? []
    const i = equals.indexOf(member)
    if (i < 0) return false
    equals.splice(i, 1)
    if (equals.length > 0) return true
    this.#equals.delete(score)
    this.#scores.splice(this.#placeOf(score), 1)
    return true
  }

  /** Where a score is, or would be. */
  #placeOf(score: number): number {
    return placeOf(this.#scores.length, (i) => this.#scores[i]! >= score)
  }
}

/** The first of so many places that is late enough; the number of places when none is. */
function placeOf(count: number, isLate: (i: number) => boolean): number {
  let [from, to] = [0, count]
  while (from < to) {
    const middle = (from + to) >> 1
    if (isLate(middle)) to = middle
    else from = middle + 1
  }
  return from
}
