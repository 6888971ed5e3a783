import { beforeAll, describe, expect, test } from 'vitest'
import { isTidemarkError, type Store } from 'tidemark'
import { WAYS } from 'tidemark/testing'
import { thinned } from '../support/extent.js'
import { contents, cutCollector, makeTemplate, objectsOf, open, type Template } from '../support/collect-world.js'

let template: Template
beforeAll(async () => {
  template = await makeTemplate()
})

const typed = (error: unknown): undefined => {
  if (!isTidemarkError(error)) throw error
}

describe('a collector that is cut at every storage call in four ways', () => {
  test('loses nothing of what is kept, and what was left over goes later', async () => {
    console.log(`the collector alone: ${await cutCollector(template, { ways: WAYS, only: thinned(WAYS) })}`)
  })

  test('with a reader on a kept version in another handle: it goes on reading', async () => {
    const told = await cutCollector(template, {
      ways: ['never-sent'],
      only: thinned(['never-sent'], 4),
      async before(storage) {
        const follower = await open(storage, { mode: 'follower', cacheBytes: 0 })
        const [oldest] = [...template.past.versions].slice(-3)
        const views = [await follower.at(oldest![0]), await follower.at('kept'), await follower.snapshot()]
        const expected = await Promise.all(views.map(contents))
        expect(expected[0]).toBe(oldest![1])
        return async () => {
          expect(await Promise.all(views.map(contents))).toEqual(expected)
          await follower.refresh()
          expect(await Promise.all(views.map(contents))).toEqual(expected)
          await follower.close()
        }
      },
    })
    console.log(`with a reader: ${told}`)
  })

  test('with a former owner that goes on collecting', async () => {
    let former: Store
    const told = await cutCollector(template, {
      ways: ['error-after'],
      only: thinned(['error-after'], 2),
      async before(storage) {
        former = await open(storage)
        // It has condemned something, and believes that it is to delete it.
        await former.maintain()
        return async () => {
          await former.maintain().catch(typed)
          await former.close()
        }
      },
      during: () => former.maintain().catch(typed),
    })
    console.log(`with a former owner: ${told}`)
  })
})

test('the template has what is to be lost', async () => {
  expect((await objectsOf(template.storage)).segments).toBeGreaterThan(8)
  expect((await objectsOf(template.storage)).pins).toBe(2)
})
