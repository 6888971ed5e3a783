/** Who stands by: members in other zones first, then those that stand by for least per weight. */
import type { Draft, DraftMember, DraftShard } from './draft.js'
import { Ranking } from './ranking.js'

export function placeStandbys(draft: Draft): void {
  const { shards, takers, settings } = draft
  for (const shard of shards) {
    if (shard.owner && shard.standbys.length > settings.standbys)
      shard.standbys = shard.standbys.slice(0, settings.standbys)
    for (const member of shard.standbys) member.standsBy++
  }
  const ranking = new Ranking(takers, ({ standsBy, weight }) => standsBy / weight)
  const zones = new Set(takers.map(({ zone }) => zone))
  for (const shard of shards) {
    while (shard.owner && shard.standbys.length < settings.standbys) {
      const member = choose(shard, ranking, zones)
      if (!member) break
      shard.standbys = [...shard.standbys, member]
      ranking.change(member, () => member.standsBy++)
    }
  }
}

function choose(shard: DraftShard, ranking: Ranking<DraftMember>, zones: ReadonlySet<string>): DraftMember | undefined {
  const { owner, next, standbys } = shard
  const near = new Set([next ?? owner!, ...standbys].map(({ zone }) => zone))
  const isFree = (member: DraftMember): boolean => member !== owner && !standbys.includes(member)
  const hasOthers = [...zones].some((zone) => !near.has(zone))
  const far = hasOthers && ranking.least(shard, (member) => !near.has(member.zone) && isFree(member))
  return far || ranking.least(shard, isFree)
}
