/** Looking after stores from outside: checking every byte of one, finding and destroying them. */
export { verify, type VerifyReport } from './verify.js'
export type { Damage, VerifyOptions, VerifyProgress } from './findings.js'
export { destroyStore, listStores, type DestroyOptions, type StoreInfo } from './stores.js'
export type { StorePlace } from './place.js'
export { diff, type DiffChange, type DiffOptions } from './diff.js'
