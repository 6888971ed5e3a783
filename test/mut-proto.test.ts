import { expect, test } from 'vitest'
import type * as Collectors from './support/collectors.js'
async function load(name: string): Promise<typeof Collectors> {
  return import(/* @vite-ignore */ `./support/collectors.ts?mutation=${name}`) as Promise<typeof Collectors>
}
test('finds', async () => {
  const { collectors } = await load('headRule')
  let found
  for (let seed = 200; seed < 2200; seed++) {
    try {
      await collectors(seed)
    } catch (error) {
      found = [seed, String(error).slice(0, 100)]
      break
    }
  }
  console.log(found)
  expect(found).toBeDefined()
})
