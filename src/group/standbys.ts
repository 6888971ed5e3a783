/** Who stands by: members in other zones first, then those that stand by for least per weight. */
import type { Draft, DraftMember, DraftShard } from './draft.js'
import { least, tie } from './least.js'

export function placeStandbys(draft: Draft): void {
  const { shards, settings } = draft
  for (const shard of shards) {
    shard.standbys = shard.owner ? shard.standbys.slice(0, settings.standbys) : shard.standbys
    for (const member of shard.standbys) member.standsBy++
  }
  for (const shard of shards) {
    while (shard.owner && shard.standbys.length < settings.standbys) {
      const member = choose(draft, shard)
      if (!member) break
      shard.standbys = [...shard.standbys, member]
      member.standsBy++
    }
  }
}

function choose({ takers }: Draft, shard: DraftShard): DraftMember | undefined {
  const { owner, next, standbys } = shard
  const zones = new Set([next ?? owner!, ...standbys].map(({ zone }) => zone))
  return least(
    takers.filter((member) => member !== owner && !standbys.includes(member)),
    ({ zone }) => (zones.has(zone) ? 1 : 0),
    (member) => member.standsBy / member.weight,
    (member) => tie(shard, member),
  )
}
