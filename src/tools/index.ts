/** Looks after stores from outside: checks every byte, compares versions, finds stores and their shards, and destroys them. */
export { verify } from './verify.js'
export type { Damage, VerifyOptions, VerifyProgress, VerifyReport } from './findings.js'
export { destroyStore, type DestroyOptions } from './destroy.js'
export { listStores, type StoreInfo } from './stores.js'
export { listShards, type ShardLog } from './family.js'
export type { StorePlace } from './place.js'
export { diff, type DiffChange, type DiffOptions } from './diff.js'
