/** Who has least, found without looking at all. */
import { expect, test } from 'vitest'
import { Random } from 'tidemark/testing'
import { Ranking } from '../../../src/group/ranking.js'

interface Ranked {
  readonly hash: number
  score: number
}

const ranked = (...scores: readonly number[]): Ranked[] => scores.map((score, i) => ({ hash: 10 * (i + 1), score }))
const at = (hash: number): { readonly hash: number } => ({ hash })

test('the least is one with the lowest score that may', () => {
  const [a, b, c] = ranked(3, 1, 2) as [Ranked, Ranked, Ranked]
  const ranking = new Ranking([a, b, c], ({ score }) => score)
  expect(ranking.least(at(0))).toBe(b)
  expect(ranking.least(at(0), (member) => member !== b)).toBe(c)
  expect(ranking.least(at(0), () => false)).toBeUndefined()
})

test('equals are taken from where the hash points to, and around', () => {
  const [a, b, c] = ranked(1, 1, 1) as [Ranked, Ranked, Ranked]
  const ranking = new Ranking([c, a, b], ({ score }) => score)
  expect([0, 10, 11, 20, 25, 31].map((hash) => ranking.least(at(hash)))).toEqual([a, a, b, b, c, a])
  expect(ranking.least(at(11), (member) => member !== b)).toBe(c)
})

test('who is not ranked stays so, whatever changes', () => {
  const [a, b] = ranked(2, 1) as [Ranked, Ranked]
  const ranking = new Ranking([a], ({ score }) => score)
  ranking.change(b, () => (b.score = 0))
  expect(b.score).toBe(0)
  expect(ranking.least(at(0))).toBe(a)
})

test('after any changes the least is that of a search through all', () => {
  const random = new Random(1)
  const all = ranked(...Array.from({ length: 20 }, () => random.below(6)))
  const ranking = new Ranking(all, ({ score }) => score)
  for (let i = 0; i < 500; i++) {
    const member = all[random.below(all.length)]!
    ranking.change(member, () => (member.score = random.below(6) / 2))
    const lowest = Math.min(...all.map(({ score }) => score))
    const by = random.below(250)
    const equals = all.filter(({ score }) => score === lowest)
    expect(ranking.least(at(by))).toBe(equals.find(({ hash }) => hash >= by) ?? equals[0])
  }
})
