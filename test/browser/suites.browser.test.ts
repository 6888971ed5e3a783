import { eachAdapter, suiteTest } from '../support/counting.js'
import { MORE_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'
import { adapters } from './storages.js'

eachAdapter(adapters, '%s', (make, adapter) =>
  allSuites({ test: suiteTest(adapter), make, share: { writes: 2, reads: 8 }, loss: MORE_LOSSES }),
)
