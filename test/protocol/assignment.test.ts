/** Rules A1 and A2 of docs/protocol.md: what a decision moves. */
import type * as Assigning from '../../src/group/assign.js'
import { comeAndGo, rescaling } from '../support/assignment-runs.js'
import { edit, rule } from '../support/mutated.js'

const SEEDS = 60

rule<typeof Assigning>(
  'A1',
  'loads become even, and come to rest',
  [
    edit(
      'src/group/assign.ts',
      'loadOf(from) > loadWithOneMore(to) + 1e-9',
      'loadOf(from) >= loadWithOneMore(to) - 1e-9 && from !== to',
    ),
  ],
  async ({ assign }) => {
    for (let seed = 1; seed <= SEEDS; seed++) comeAndGo(assign, seed)
  },
  {
    module: 'src/group/assign.ts',
    wrong: /^AssertionError: (it never comes to rest|no rest after|\d+ moves|a join moves)/,
  },
)

rule<typeof Assigning>(
  'A2',
  'no shard moves twice within the time to cool down',
  [
    edit(
      'src/group/assign.ts',
      'was.movedAt === undefined || now - was.movedAt >= settings.coolMs',
      'was.movedAt !== now + settings.coolMs',
    ),
  ],
  async ({ assign }) => {
    for (let seed = 1; seed <= SEEDS; seed++) comeAndGo(assign, seed)
    for (let seed = 1; seed <= SEEDS; seed++) rescaling(assign, seed)
  },
  { module: 'src/group/assign.ts', wrong: /moved twice within/ },
)
