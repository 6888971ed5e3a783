/** Tasks that must not run beside each other. */
import { expect, test } from 'vitest'
import { serial, singleFlight } from '../../src/async.js'

test('tasks run one after another, and one that fails stops none behind it', async () => {
  const inTurn = serial()
  const steps: string[] = []
  const task = (name: string) => async () => {
    steps.push(`${name} begins`)
    await Promise.resolve()
    steps.push(`${name} ends`)
    if (name === 'a') throw new Error(name)
    return name
  }
  const ends = await Promise.allSettled([inTurn(task('a')), inTurn(task('b'))])
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
})

test('callers of one key share what is under way and its error, and the next call runs anew', async () => {
  const once = singleFlight()
  let runs = 0
  const task = async (): Promise<number> => {
    await Promise.resolve()
    if (++runs === 1) throw new Error('down')
    return runs
  }
  const ends = await Promise.allSettled([once('a', task), once('a', task)])
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(runs).toBe(1)
  expect(await Promise.all([once('a', task), once('a', task), once('b', task)])).toEqual([2, 2, 3])
})
