import { beforeAll, describe, expect, test } from 'vitest'
import { WAYS } from 'tidemark/testing'
import { thinned } from '../support/extent.js'
import { formerOwner, readerOf } from '../support/collect-beside.js'
import { cutCollector, makeTemplate, objectsOf, type Template } from '../support/collect-world.js'

let template: Template
beforeAll(async () => {
  template = await makeTemplate()
})

describe('a collector that is cut at every storage call in four ways', () => {
  test('loses nothing of what is kept, and what was left over goes later', async () => {
    console.log(`the collector alone: ${await cutCollector(template, { ways: WAYS, only: thinned(WAYS, 3) })}`)
  })

  test('with a reader on a kept version in another handle: it goes on reading', async () => {
    const told = await cutCollector(template, {
      ways: ['never-sent'],
      only: thinned(['never-sent'], 10),
      ...readerOf(template),
    })
    console.log(`with a reader: ${told}`)
  })

  test('with a former owner that goes on collecting', async () => {
    const told = await cutCollector(template, {
      ways: ['error-after'],
      only: thinned(['error-after'], 5),
      ...formerOwner(),
    })
    console.log(`with a former owner: ${told}`)
  })
})

test('the template has what is to be lost', async () => {
  expect((await objectsOf(template.storage)).segments).toBeGreaterThan(8)
  expect((await objectsOf(template.storage)).pins).toBe(2)
})
