/** Rules whose stories are too tangled to be told one by one: simulations find what goes wrong without them. */
import { rule, type Edit, type RuleNumber } from './mutated.js'
import type * as Collectors from './collectors.js'
import type * as Files from './model-fs-simulation.js'
import type * as Shards from './rescaled-events.js'

/** Within so many seeds a rule that is left out has to show. */
const PATIENCE = 3_000
/** With the rule, a few: the tests of the simulations themselves take thousands. */
const FEW = 3

/** Owners that collect and take a store from one another. Seeds count from one where few are as yet known to fail. */
export function collectorsRule(
  number: RuleNumber,
  title: string,
  edits: readonly Edit[],
  wrong: RegExp,
  from = 200,
): void {
  const run = ({ collectors }: typeof Collectors, isLeftOut: boolean): Promise<void> =>
    runSeeds(collectors, from, isLeftOut, wrong)
  rule<typeof Collectors>(number, title, edits, run, { module: 'test/support/collectors.ts', wrong })
}

/** Owners and followers of a log of files, on a model of a file system. */
export function filesRule(number: RuleNumber, title: string, edits: readonly Edit[], wrong: RegExp, from = 1): void {
  const run = ({ simulate }: typeof Files, isLeftOut: boolean): Promise<void> =>
    runSeeds(simulate, from, isLeftOut, wrong)
  rule<typeof Files>(number, title, edits, run, { module: 'test/support/model-fs-simulation.ts', wrong })
}

/** Owners of shards that are split and merged meanwhile. */
export function shardsRule(number: RuleNumber, title: string, edits: readonly Edit[], wrong: RegExp, from = 1): void {
  const run = ({ rescaledEvents }: typeof Shards, isLeftOut: boolean): Promise<void> =>
    runSeeds(rescaledEvents, from, isLeftOut, wrong)
  rule<typeof Shards>(number, title, edits, run, { module: 'test/support/rescaled-events.ts', wrong })
}

/** Throws what a seed shows. Without a rule it passes over what says no more than that something broke. */
async function runSeeds(
  run: (seed: number) => Promise<unknown>,
  from: number,
  isLeftOut: boolean,
  wrong: RegExp,
): Promise<void> {
  for (let seed = from; seed < from + (isLeftOut ? PATIENCE : FEW); seed++) {
    try {
      await run(seed)
    } catch (error) {
      if (!isLeftOut || wrong.test(String(error))) throw error
    }
    // A simulation lets no other task run: the runner of the tests has to hear something from time to time.
    if (seed % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}
