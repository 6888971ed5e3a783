import { test } from 'vitest'
import { simulate } from './support/dbg-sim.js'
test('x', async () => { try { await simulate(Number(process.env.SEED)) } catch (e) { console.log('FAIL', e) } })
