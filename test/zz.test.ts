import { test } from 'vitest'
import { simulate, type Steps } from './support/model-fs-simulation.js'
async function first(rules: any, max: number) {
  const seeds: string[] = []
  for (let seed = 1; seed <= max && seeds.length < 5; seed++) await simulate(seed, rules).catch((e) => seeds.push(seed + ' ' + String(e).slice(0, 110)))
  return seeds
}
test('calls', async () => {
  const t = performance.now(); const steps: Steps = new Map(); let n = 0
  for (let i=1;i<=400;i++) n += (await simulate(i, {}, steps)).steps
  console.log((performance.now() - t)/1000, 'ms/seed', n/1000, 'steps/seed')
  console.log([...steps].map(([k,v])=>k+' '+JSON.stringify(v)).join('\n'))
  for (const r of ['checkAfterWrite','rewriteTail','freshFiles','syncBeforeName']) console.log(r, (await first({[r]:false}, 2000)).join('\n   '))
}, 200000)
