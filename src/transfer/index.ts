/** Moves versions between stores: copies and backups in another storage, and archives. */
export { pull, push, type PullOptions, type PushOptions, type PushResult } from './push.js'
export { backups, keep, type BackupInfo } from './backups.js'
export { exportZip, type ExportOptions } from './export.js'
export { importZip, type ImportOptions, type ImportPlace, type ImportResult } from './import.js'
export type { TransferOptions, TransferProgress } from './options.js'
export type { ByteSource } from './unzip.js'
export type { StorePlace } from '../tools/place.js'
