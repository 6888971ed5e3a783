import { describe, test } from 'vitest'
import { MORE_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'
import { adapters } from './storages.js'

describe.each(adapters)('%s', (_, make) => allSuites({ test, make, share: { writes: 2, reads: 8 }, loss: MORE_LOSSES }))
