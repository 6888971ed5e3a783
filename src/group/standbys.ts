/** Who stands by: members in other zones first, then those that stand by for least per weight. */
import type { Draft, DraftMember, DraftShard } from './draft.js'
import { least, tie } from './least.js'

export function placeStandbys(draft: Draft): void {
  const { shards, settings } = draft
  for (const shard of shards) {
    if (shard.owner && shard.standbys.length > settings.standbys)
      shard.standbys = shard.standbys.slice(0, settings.standbys)
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
  const zones = [next ?? owner!, ...standbys].map(({ zone }) => zone)
  const isFree = (member: DraftMember): boolean => member !== owner && !standbys.includes(member)
  const among = (may: (member: DraftMember) => boolean): DraftMember | undefined =>
    least(takers, dutiesOf, (a, b) => tie(shard, a) - tie(shard, b), may)
  return among((member) => !zones.includes(member.zone) && isFree(member)) ?? among(isFree)
}

function dutiesOf({ standsBy, weight }: DraftMember): number {
  return standsBy / weight
}
