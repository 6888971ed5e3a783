/** Many owners of one store: members share its shards out with nothing between them but the storage. */
export { joinGroup } from './join.js'
export { newestEpoch, restoreShards, tagShards } from './cut.js'
export type { RestoreShardsOptions, ShardVersion, TagShardsOptions } from './cut.js'
export { rescale } from './rescale.js'
export type { Scale } from './rescale.js'
export type { GroupOptions, LeaveOptions } from './options.js'
export { renewInWorker, workerRenewer, type RenewInWorkerOptions, type WorkerPort } from './worker.js'
export type { Renewer } from './presence.js'
export type { Group } from './group.js'
export type { GroupStatus, MemberInfo, ShardAssignment } from './views.js'
export type { GroupEvents } from './events.js'
export type {
  GroupHandler,
  GroupRunOptions,
  GroupRunResult,
  HandlerContext,
  ShardProgress,
  ShardRange,
} from './program.js'
