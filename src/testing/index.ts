/** Tools to prove adapters and programs. They need no test runner and nothing of the platform, and no store needs them. */
export { storageSuite, type StorageSuiteOptions } from './storage-suite.js'
export { cutOff, faulty, flipBit, type Decide, type Fault, type Faulty, type Point } from './faulty.js'
export type { SimulateOptions } from './simulate-options.js'
export { simulate, type Actor, type Simulated, type Simulation } from './simulator.js'
export { cuts, worldOver, WAYS, type Cut, type CutsOptions, type CutsResult, type Way, type World } from './cuts.js'
export { Random } from './random.js'
