/** Many owners of one store: members share its shards out with nothing between them but the storage. */
export { joinGroup } from './join.js'
export type { GroupOptions } from './join.js'
export type { Group, GroupRunOptions, GroupRunResult, GroupStatus, MemberInfo, ShardAssignment } from './group.js'
export type { GroupEvents } from './group-events.js'
export type { GroupHandler, HandlerContext, ShardProgress, ShardRange } from './program.js'
