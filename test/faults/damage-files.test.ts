import { describe } from 'vitest'
import { filesWorld } from '../support/damage.js'
import { damageTests } from '../support/damage-tests.js'

describe('a small store on nodeFs()', () => {
  damageTests('nodeFs()', filesWorld, true)
})
